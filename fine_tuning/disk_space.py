"""Tells that a disk is full, which each library that writes files says in words of its own.

Knows errors and free bytes. Does not know what is written.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from fine_tuning.errors import FineTuningError

_FULL_BELOW_BYTES = 2**20


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


@contextmanager
def full_disk_told(
    *folders: Path, free_bytes: Callable[[Path], int] = _free_bytes
) -> Iterator[None]:
    """Turns what fails because no room is left in one of ``folders`` into FineTuningError."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        there = [folder for folder in folders if folder.exists()]
        full = [folder for folder in there if free_bytes(folder) < _FULL_BELOW_BYTES]
        if not full and "No space left" not in str(error):
            raise
        raise FineTuningError(
            f"The disk is full: writing to {' or '.join(map(str, full or folders))} failed. Make "
            "room and repeat the command, which goes on from its last checkpoint; or give "
            "--output-dir and --checkpoint-dir on a larger disk."
        ) from error
