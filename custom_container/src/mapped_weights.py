"""Weights that are mapped from their file: given back to it once something was made of them.

Until their file is unmapped every page that was read counts as this process's, so that a model
would need the memory of both its formats. Knows addresses and pages; knows nothing of models.
"""

import ctypes
import mmap
from pathlib import Path

from torch import Tensor

MAPPINGS = Path("/proc/self/maps")


def give_back(weights: Tensor) -> None:
    """Take the pages of `weights` out of this process, if a file holds them; their values stay.

    They come back from the file, or from the system's cache of it, when they are read again.
    """
    if weights.device.type != "cpu":
        return
    begin = weights.data_ptr() // mmap.PAGESIZE * mmap.PAGESIZE
    end = weights.data_ptr() + weights.nbytes
    if _is_mapped_from_a_file(begin, end):
        size = ctypes.c_size_t(end - begin)
        ctypes.CDLL(None).madvise(ctypes.c_void_p(begin), size, mmap.MADV_DONTNEED)


def _is_mapped_from_a_file(begin: int, end: int) -> bool:
    """Whether [begin, end) lies in one mapping of a file; other memory would be emptied."""
    if not MAPPINGS.exists():
        return False
    for mapping in MAPPINGS.read_text().splitlines():
        addresses, _permissions, _offset, _device, inode, *_path = mapping.split()
        first, past = (int(address, 16) for address in addresses.split("-"))
        if first <= begin and end <= past:
            return inode != "0"
    return False
