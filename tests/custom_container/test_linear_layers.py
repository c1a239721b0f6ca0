"""Linear layers: in every format the products are those of fp32, within that format's rounding."""

import os
import platform
import subprocess
import sys

import pytest
import torch
from torch import nn

from src import linear_layers
from src.errors import ModelError
from src.linear_layers import CastLinear, Int8Linear, Int8Product, PrepackedLinear

# Products of two bytes that are as large as bytes can be, of one sign or of both.
LARGEST = [[127.0, 127.0], [-127.0, -127.0], [127.0, -127.0]]
INT8_OF_AN_OLD_CPU = """
import torch
from torch import nn
from src.linear_layers import Int8Linear, largest_int8_weight

linear = nn.Linear(64, 48)
x = torch.tensor(LARGEST).repeat(1, 32)
with torch.inference_mode():
    linear.weight.fill_(0.5)
    change = (Int8Linear(linear, torch.float32)(x) - linear(x)).abs().max().item()
print(largest_int8_weight(), change < 1e-3)
"""


def layer_and_rows(bias=True):
    """A linear layer, and rows whose sizes differ a million times."""
    torch.manual_seed(0)
    return nn.Linear(96, 48, bias=bias), torch.randn(3, 17, 96) * torch.logspace(-3, 3, 17)[:, None]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("layer", "dtype", "tolerance"),
    [
        (PrepackedLinear, torch.float32, 1e-6),
        (PrepackedLinear, torch.bfloat16, 0.02),
        (CastLinear, torch.bfloat16, 0.02),
        (Int8Linear, torch.float32, 0.03),
        (Int8Linear, torch.bfloat16, 0.03),
    ],
)
@torch.inference_mode()
def test_a_layer_in_another_format_is_near_its_own_in_fp32(layer, dtype, tolerance, bias):
    """Token by token: a large neighbour costs a small one nothing."""
    linear, x = layer_and_rows(bias)

    y = layer(linear, dtype)(x)

    expected = linear(x)
    assert y.shape == expected.shape
    assert y.dtype == dtype
    change = (y.float() - expected).abs().amax(dim=-1) / expected.abs().amax(dim=-1)
    assert change.max() < tolerance


@pytest.mark.parametrize("layer", [PrepackedLinear, CastLinear, Int8Linear])
@torch.inference_mode()
def test_weights_may_lie_in_another_order_in_memory(layer):
    """As tied or transposed ones do."""
    linear, x = layer_and_rows()
    linear.weight.set_(linear.weight.t().contiguous().t())

    y = layer(linear, torch.float32)(x)

    expected = linear(x)
    assert not linear.weight.is_contiguous()
    assert (y - expected).abs().max() < 0.03 * expected.abs().max()


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@torch.inference_mode()
def test_a_token_that_is_no_number_has_no_answer_in_int8(value):
    """And its neighbours keep theirs."""
    linear, x = layer_and_rows()
    x[1, 5, 7] = value

    is_number = Int8Linear(linear, torch.float32)(x).isfinite()

    assert not is_number[1, 5].any()
    is_number[1, 5] = True
    assert is_number.all()


@torch.inference_mode()
def test_a_token_in_int8_is_the_same_in_any_company():
    """To the bit: its scale is its own, and whole numbers below 2^24 have one sum in any order."""
    linear, x = layer_and_rows()
    layer = Int8Linear(linear, torch.float32)

    alone = torch.stack([layer(row[None])[0] for row in x.flatten(0, 1)])

    assert torch.equal(layer(x).flatten(0, 1), alone)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="capped are the instructions of x86-64")
@pytest.mark.parametrize("instructions", ["SSE41", "AVX2", "AVX512_CORE"])
def test_without_vnni_weights_stay_so_small_that_no_sum_is_cut(instructions):
    """Two products are added in 16 bits there, which two of the largest exceed."""
    program = INT8_OF_AN_OLD_CPU.replace("LARGEST", str(LARGEST))
    outcome = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            "ONEDNN_MAX_CPU_ISA": instructions,
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        check=True,
    )

    assert outcome.stdout.split() == ["63", "True"]


def test_a_cpu_that_sums_no_products_of_int8_right_is_told_so(monkeypatch):
    """A job that would answer wrong does not begin."""
    monkeypatch.setattr(Int8Product, "__call__", lambda product, x: torch.full((1, 16), 32767.0))
    linear_layers.largest_int8_weight.cache_clear()

    with pytest.raises(ModelError, match="int8, whose products this CPU computes wrong"):
        linear_layers.largest_int8_weight()
