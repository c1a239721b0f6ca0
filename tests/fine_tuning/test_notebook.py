"""The notebook runs from top to bottom, and what it leaves can be packed."""

import json
import subprocess
import sys

NOTEBOOK = "modernbert_finetune.ipynb"
# What the cells rely on and a kernel brings: `display`.
KERNEL = "from builtins import print as display\n"
TINY = "EPOCHS = 0.3\n"


def test_the_notebook_runs_and_its_model_is_packed(request, tmp_path):
    """Its code cells run in their order, in a folder of their own, on tiny data."""
    repository = request.config.rootpath
    notebook = json.loads((repository / NOTEBOOK).read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    # The first cell holds the choices; the shortest training is chosen after it.
    script = "\n".join([KERNEL, cells[0], TINY, *cells[1:]])
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(repository), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "single_label_classification" in ran.stdout
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
