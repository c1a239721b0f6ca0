"""Kernels compiled for kinds of CPU: the kind a CPU is of, what an image brings, what is taken."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from src.cpu_kernels import only_compiled
from src.cpu_operations import softmax_
from src.kept_kernels import KINDS, kind_of_cpu

# On a CPU of AVX-512, whatever this one has.
SETTINGS = """
import json
from numba import config
from src import kept_kernels
features = dict.fromkeys(kept_kernels.KINDS["x86-64-v4"], True)
kept_kernels.get_host_cpu_features = lambda: features
kept_kernels.share_kernels()
print(json.dumps([config.CPU_NAME, config.CPU_FEATURES, config.CACHE_DIR]))
"""
# In place of the module that compiles: writes down what it would compile for.
COMPILER = """
from pathlib import Path
from numba import config
def compile_kernels(dtype, quantizes):
    name = str(dtype).removeprefix("torch.")
    Path(config.CACHE_DIR, name).write_text(f"for {config.CPU_NAME}, {config.CPU_FEATURES}")
"""
HASWELL = dict.fromkeys(KINDS["x86-64-v3"] | {"sse4.2", "aes"}, True)


@pytest.mark.parametrize(
    ("features", "kind"),
    [
        pytest.param(HASWELL, "x86-64-v3", id="AVX2"),
        pytest.param(HASWELL | {"avx512f": True}, "x86-64-v3", id="a part of AVX-512"),
        pytest.param(HASWELL | dict.fromkeys(KINDS["x86-64-v4"], True), "x86-64-v4", id="AVX-512"),
        pytest.param(HASWELL | {"avx2": False}, None, id="AVX2 switched off"),
        pytest.param({"neon": True}, None, id="another architecture"),
    ],
)
def test_a_cpu_is_of_the_best_kind_it_has_all_of(features, kind):
    """An instruction that a CPU lacks would end the process."""
    assert kind_of_cpu(features) == kind


@pytest.fixture
def program(tmp_path, container_dir):
    """The container's program with kernels beside it, as in the image."""
    (tmp_path / "src").mkdir()
    for module in ("kept_kernels.py", "kernels_of_the_image.py"):
        shutil.copy(container_dir / "src" / module, tmp_path / "src")
    for kind in KINDS:
        kernels = tmp_path / "kernels" / kind / "src_of_the_image"
        kernels.mkdir(parents=True)
        (kernels / "norm.nbi").write_text(f"for {kind}")
    return tmp_path


def settings(program: Path, **environment: str) -> tuple[str, str, str]:
    """numba's settings in a process of the program: the CPU's name and features, the folder."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    outcome = subprocess.run(
        [sys.executable, "-c", SETTINGS],
        cwd=program,
        env={**own, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(outcome.stdout)


def test_the_kernels_of_an_image_are_taken_from_where_numba_could_write(program, tmp_path):
    """numba reads nothing from a folder on a read-only file system."""
    name, features, folder = settings(program, TMPDIR=str(tmp_path))

    assert (name, features) == ("x86-64-v4", "")
    assert not Path(folder).is_relative_to(program / "kernels")
    assert (Path(folder) / "src_of_the_image" / "norm.nbi").read_text() == "for x86-64-v4"


def test_settings_of_the_environment_stay(program, tmp_path):
    """The image's build asks for a kind that its own CPU may not be of."""
    given = {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": "+sse4a"}

    assert settings(program, **given, NUMBA_CACHE_DIR=str(tmp_path)) == [
        *given.values(),
        str(tmp_path),
    ]


def test_an_image_gets_kernels_for_every_kind(program):
    """Each kind in a process of its own, whatever the CPU that builds."""
    (program / "src" / "cpu_operations.py").write_text(COMPILER)

    subprocess.run([sys.executable, "-m", "src.kernels_of_the_image"], cwd=program, check=True)

    compiled = {path.parent.name: path.read_text() for path in program.glob("kernels/*/bfloat16")}
    assert compiled == {kind: f"for {kind}, " for kind in KINDS}


def test_what_is_only_compiled_is_not_run():
    """The machine that builds an image may lack the instructions it compiles to."""
    scores = torch.ones(1, 1, 2)
    one = torch.ones(1, dtype=torch.int64)

    with only_compiled():
        softmax_(scores, one - 1, one + 1, 1.0)
    assert scores.tolist() == [[[1, 1]]]

    softmax_(scores, one - 1, one + 1, 1.0)
    assert scores.tolist() == [[[0.5, 0.5]]]
