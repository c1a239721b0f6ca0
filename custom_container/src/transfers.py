"""Between the CPU's memory and the device's, without waiting for what else the device has to do.

A plain copy waits until the device has done all that was asked of it before; with a micro-batch
under way, that is a micro-batch's time in which the next one is not even asked for. Knows tensors
and devices; knows nothing of what they hold.
"""

import torch
from torch import Tensor


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on `device`, where it is ready for what is computed there next."""
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def on_cpu(tensor: Tensor) -> Tensor:
    """A tensor of any device on the CPU, once it is computed."""
    if tensor.device.type == "cpu":
        return tensor
    copy = tensor.to("cpu", non_blocking=True)
    copied = torch.cuda.Event(blocking=True)
    copied.record()
    copied.synchronize()
    return copy
