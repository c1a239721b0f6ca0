"""Compile the CPU's kernels as the image brings them: `python -m src.kernels_of_the_image`.

Runs when the image is built, on a CPU that may lack the instructions it compiles to.
"""

from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

from numba import config

from src.kept_kernels import KINDS, OF_THE_IMAGE, compile_for


def compile_for_kinds(folder: Path) -> None:
    """Compile all kernels for every kind of CPU, into a folder of its name in `folder`."""
    # A process for each, because numba has one target in its life; a folder, because it rewrites an
    # index there and two processes would overwrite each other's.
    with ProcessPoolExecutor(mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        list(pool.map(_compile_for_kind, KINDS, repeat(folder)))


def _compile_for_kind(kind: str, folder: Path) -> None:
    compile_for(kind)
    config.CACHE_DIR = str(folder / kind)
    # Imported here, because what is kept and where is settled when a kernel is defined.
    import torch  # noqa: PLC0415

    from src.cpu_operations import compile_kernels  # noqa: PLC0415

    compile_kernels(torch.float32, quantizes=True)
    compile_kernels(torch.bfloat16, quantizes=True)


if __name__ == "__main__":
    compile_for_kinds(OF_THE_IMAGE)
