"""The notebook runs from top to bottom, and what it leaves can be packed."""

import contextlib
import json
import runpy
import subprocess
import sys

import pytest

from tests.fine_tuning.label_sets import write_label_set

NOTEBOOK = "modernbert_finetune.ipynb"
TINY = "EPOCHS = 0.3\n"
OWN_FILE = f'{TINY}TRAIN_FILE, COLUMNS = Path("rows.csv"), Columns(label=("damages",))\n'


@pytest.mark.parametrize(
    ("choices", "problem_type"),
    [(TINY, "single_label_classification"), (OWN_FILE, "regression")],
    ids=["as it comes", "a file of numbers"],
)
def test_the_notebook_runs_and_its_model_is_packed(
    request, capsys, tmp_path, choices, problem_type
):
    """Its code cells run in their order, in a folder of their own, on tiny data."""
    repository = request.config.rootpath
    notebook = json.loads((repository / NOTEBOOK).read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    # The first cell holds the choices; others are made after it.
    script = "\n".join([cells[0], choices, *cells[1:]])
    (tmp_path / "cells.py").write_text(script, encoding="utf-8")
    write_label_set(tmp_path / "rows.csv", problem_type)
    with contextlib.chdir(tmp_path):
        # What the cells rely on and a kernel brings: `display`.
        runpy.run_path("cells.py", {"display": print})
    assert problem_type in capsys.readouterr().out
    packed = subprocess.run(
        [sys.executable, str(repository / "package_model.py"), "--model-dir", "notebook_model"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert packed.returncode == 0, packed.stderr
    assert (tmp_path / "model.tar.gz").exists()


def test_the_notebook_is_committed_without_output(request):
    """No figures of somebody's machine stay in it."""
    notebook = json.loads((request.config.rootpath / NOTEBOOK).read_text(encoding="utf-8"))
    assert all(not cell.get("outputs") for cell in notebook["cells"])
