"""Weights that are mapped from their file: given back to it once something was made of them.

Until their file is unmapped the kernel counts every page that was read, so that a model would need
the memory of both its formats. Knows addresses and pages; knows nothing of models.
"""

import ctypes
import mmap

from torch import Tensor

# Of Linux 5.4 and later; the pages come back from the file when they are read again.
MADV_PAGEOUT = 21


def page_out(weights: Tensor) -> None:
    """Let the kernel take the pages of `weights` out of memory; their values stay.

    A request, not a command: where it is not granted, memory is all that is lost.
    """
    begin = weights.data_ptr() // mmap.PAGESIZE * mmap.PAGESIZE
    size = weights.data_ptr() + weights.nbytes - begin
    ctypes.CDLL(None).madvise(ctypes.c_void_p(begin), ctypes.c_size_t(size), MADV_PAGEOUT)
