"""Precision: each device gets the format that it multiplies fastest, and none that it cannot."""

import pytest
import torch

from src.errors import ModelError
from src.precision import Precision, checked_precision, layers_format
from src.settings import FASTEST_PRECISION

CPU, GPU = torch.device("cpu"), torch.device("cuda")
T4, A10G = (7, 5), (8, 6)


@pytest.mark.parametrize(("capability", "fastest"), [(T4, Precision.FP16), (A10G, Precision.BF16)])
def test_a_gpus_format_is_the_fastest_it_multiplies(capability, fastest, monkeypatch):
    """bf16 needs compute capability 8.0."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)

    assert checked_precision(FASTEST_PRECISION, GPU) == fastest


@pytest.mark.parametrize(
    ("capabilities", "fastest"),
    [
        ({"avx512_bf16": True}, Precision.BF16),
        ({"amx_bf16": True}, Precision.BF16),
        ({"bf16": True}, Precision.BF16),
        ({"avx2": True, "avx512_bf16": False}, Precision.FP32),
    ],
)
def test_a_cpus_format_is_bf16_where_it_has_instructions_for_it(capabilities, fastest, monkeypatch):
    """Without them it would only be emulated."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)

    assert checked_precision(FASTEST_PRECISION, CPU) == fastest


@pytest.mark.parametrize(
    ("name", "device", "capability"),
    [("fp16", CPU, None), ("int8", GPU, A10G), ("bf16", GPU, T4)],
)
def test_a_format_that_the_device_does_not_compute_is_refused(
    name, device, capability, monkeypatch
):
    """With what each runs on; a T4 has no instructions for bf16."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)

    with pytest.raises(ModelError, match=f"INFERENCE_PRECISION is {name}, which is not computed"):
        checked_precision(name, device)


@pytest.mark.parametrize(("name", "device"), [("bf16", CPU), ("int8", CPU), ("fp16", GPU)])
def test_a_format_that_the_device_computes_is_taken(name, device, monkeypatch):
    """The user's word goes before the fastest."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: T4)

    assert checked_precision(name, device) == Precision(name)


@pytest.mark.parametrize(
    ("capabilities", "between"),
    [({"avx512_bf16": True}, torch.bfloat16), ({"avx512_vnni": True}, torch.float32)],
)
def test_between_int8_layers_is_the_cpus_fastest_other_format(capabilities, between, monkeypatch):
    """Many CPUs multiply int8 and only emulate bf16."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)

    assert layers_format(Precision.INT8) == between
