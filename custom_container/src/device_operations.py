"""The kernels of a device, as a module of operations: cpu_operations or gpu_operations.

Knows devices and what their kernels need to be compiled; knows nothing of what they compute.
"""

import logging
from functools import cache
from types import ModuleType

import torch

from src import cpu_operations

logger = logging.getLogger(__name__)


@cache
def operations_for(device: torch.device) -> ModuleType | None:
    """The device's kernels; None on a GPU for which they cannot be compiled, and the log says why.

    Both modules have `add_`, `added_norm`, `gelu_gated`, `layer_norm` and `rotated_heads`.
    """
    if device.type == "cpu":
        return cpu_operations
    try:
        from src import gpu_operations  # noqa: PLC0415

        gpu_operations.try_kernels(device)
    except Exception as error:
        # Whatever is missing, Triton or the C compiler it calls: it is slower without, no more.
        logger.warning("No kernels for this GPU: %s: %s", type(error).__name__, error)
        return None
    return gpu_operations
