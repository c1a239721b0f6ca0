"""Which number format on which device.

Knows devices and formats; knows neither models nor how the layers that use a format are computed.
"""

from enum import StrEnum

import torch

from src.errors import ModelError
from src.settings import FASTEST_PRECISION


class Precision(StrEnum):
    """A number format of the linear layers, in the words of INFERENCE_PRECISION."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"


DTYPES = {
    Precision.FP32: torch.float32,
    Precision.BF16: torch.bfloat16,
    Precision.FP16: torch.float16,
}
"""The formats that transformers can load a whole model in."""


def layers_format(precision: Precision) -> torch.dtype:
    """What linear layers in this format give; those in int8, the fastest of the CPU's others."""
    return DTYPES.get(precision) or DTYPES[fastest_precision(torch.device("cpu"))]


def device_of_inference() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fastest_precision(device: torch.device) -> Precision:
    """The format that the device multiplies fastest without a gate: bf16, fp16 or fp32.

    bf16 on GPUs of compute capability 8.0 and on CPUs with instructions for it, fp16 on older GPUs
    (a T4). A CPU without such instructions would only emulate bf16.
    """
    if device.type == "cuda":
        capable = torch.cuda.get_device_capability(device) >= (8, 0)
        return Precision.BF16 if capable else Precision.FP16
    if torch.backends.mkldnn.is_available() and _multiplies_bf16(torch.cpu.get_capabilities()):
        return Precision.BF16
    return Precision.FP32


def _multiplies_bf16(capabilities: dict[str, bool]) -> bool:
    return any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))


def checked_precision(name: str, device: torch.device) -> Precision:
    """The format called `name`, or the fastest; raises ModelError if `device` has none such."""
    precision = fastest_precision(device) if name == FASTEST_PRECISION else Precision(name)
    if precision not in _formats(device):
        raise ModelError(
            f"INFERENCE_PRECISION is {precision}, which is not computed on this {device.type}: "
            "int8 runs on CPUs, fp16 on GPUs, bf16 on CPUs and on GPUs of compute capability 8.0 "
            "(a T4 has 7.5). Leave it unset for the fastest format of the device."
        )
    return precision


def _formats(device: torch.device) -> set[Precision]:
    """The formats that a device computes, emulated ones on CPUs included."""
    if device.type == "cpu":
        return {Precision.FP32, Precision.BF16, Precision.INT8}
    return {Precision.FP32, Precision.FP16, fastest_precision(device)}
