"""Compiled kernels that outlive the process which compiled them, up to those an image brings.

numba compiles for the very CPU at hand, and what it keeps serves that one only; but an image is
built on another. So kernels are compiled for a kind of CPU, of which there are few. Knows numba's
settings; knows no kernel.
"""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from llvmlite.binding import get_host_cpu_features
from numba import config

OF_THE_IMAGE = Path(__file__).parents[1] / "kernels"
"""Where an image brings kernels, a folder for each kind; a checkout has none and keeps its own."""

KINDS = {
    "x86-64-v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    "x86-64-v3": {"avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"},
}
"""The levels of x86-64 in its ABI, the best first, and what a CPU of each has, by LLVM's names."""


def kind_of_cpu(features: Mapping[str, bool]) -> str | None:
    """The best kind that a CPU with these features is of, if it is of one."""
    had = {name for name, is_there in features.items() if is_there}
    return next((kind for kind, needed in KINDS.items() if needed <= had), None)


def compile_for(kind: str) -> None:
    """Let numba compile for a kind of CPU, which need not be this one's."""
    config.CPU_NAME, config.CPU_FEATURES = kind, ""


def share_kernels() -> None:
    """Let numba compile for this CPU's kind, and take what the image brings, unless told already.

    A CPU of no kind gets kernels of its own.
    """
    kind = kind_of_cpu(get_host_cpu_features())
    if kind is None or config.CPU_NAME is not None:
        return
    compile_for(kind)
    if (OF_THE_IMAGE / kind).is_dir() and not config.CACHE_DIR:
        # numba reads only from where it could write, and the image's file system is read-only.
        config.CACHE_DIR = tempfile.mkdtemp(prefix="kernels-")
        shutil.copytree(OF_THE_IMAGE / kind, config.CACHE_DIR, dirs_exist_ok=True)
