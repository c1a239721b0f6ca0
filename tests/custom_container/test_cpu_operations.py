"""The CPU's kernels: each step is torch's own arithmetic, in every format."""

from contextlib import contextmanager
from functools import partial

import numba
import pytest
import torch
from torch import nn
from torch.nn import functional

from src import cpu_kernels
from src.cpu_kernels import BYTE_OF_ZERO
from src.cpu_operations import (
    add_,
    added_norm,
    compile_kernels,
    gelu_gated,
    layer_norm,
    quantized,
    rotated_heads,
    scale_rows_,
    softmax_,
)
from src.forward_pass import PackedForwardPass, set_precision
from src.packed_attention import attention_for
from src.precision import Precision, layers_format
from tests.custom_container.tiny_model import encoder

FORMATS = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)


@pytest.fixture(autouse=True)
def seed():
    """The same random numbers in every test."""
    torch.manual_seed(0)


def assert_near(got, expected):
    """Within one rounding of the format that was asked for."""
    tolerance = {torch.float32: 2e-6, torch.bfloat16: 2**-8}[got.dtype]
    torch.testing.assert_close(got.float(), expected, rtol=tolerance, atol=tolerance)


@FORMATS
@pytest.mark.parametrize("keys", [1, 3, 16, 47, 192])
def test_softmax_is_over_the_keys_a_row_may_see(dtype, keys):
    """Each row of each matrix has a first key and a last one; the others get exactly nothing."""
    scores = (10 * torch.randn(4, 50, keys)).to(dtype)
    first = torch.randint(keys, (50,))
    end = torch.minimum(first + 1 + torch.randint(keys, (50,)), torch.tensor(keys))
    place = torch.arange(keys)
    hidden = (place < first[:, None]) | (place >= end[:, None])
    expected = (0.3 * scores.float()).masked_fill(hidden, -torch.inf).softmax(dim=-1)

    assert_near(softmax_(scores, first, end, 0.3), expected)
    assert not scores[:, hidden].any()


def test_softmax_of_a_row_that_sees_nothing_is_a_number():
    """Queries that pad a block may see no key; NaN would spread from them."""
    nowhere = torch.tensor([0])

    assert softmax_(torch.randn(1, 2, 20), nowhere, nowhere, 1.0).isfinite().all()


@pytest.mark.parametrize("largest", [-3e4, 3e4])
def test_softmax_of_extreme_scores_is_a_number(largest):
    """The largest score is subtracted before the power is taken."""
    scores = torch.tensor([[[largest, largest - 1, -largest]]])
    expected = scores.softmax(dim=-1)

    assert_near(softmax_(scores, torch.tensor([0]), torch.tensor([3]), 1.0), expected)


@FORMATS
@pytest.mark.parametrize("bias", [True, False])
def test_layer_norm_is_torchs(dtype, bias):
    """With and without a bias."""
    norm = nn.LayerNorm(96, eps=1e-5, bias=bias)
    for weights in norm.parameters():
        nn.init.normal_(weights)
    stream = 3 * torch.randn(17, 96) + 1

    with torch.inference_mode():
        assert_near(layer_norm(stream, norm, dtype), norm(stream))


@FORMATS
def test_an_update_is_added_in_place(dtype):
    """The stream is the same tensor, in fp32."""
    stream, update = torch.randn(17, 96), torch.randn(17, 96).to(dtype)
    expected = stream + update.float()

    assert add_(stream, update) is stream
    torch.testing.assert_close(stream, expected)


@FORMATS
def test_the_norm_of_an_updated_stream_is_torchs(dtype):
    """The stream is changed in place, and the norm is that of the sum before it is rounded."""
    norm = nn.LayerNorm(96, eps=1e-5)
    stream, update = torch.randn(17, 96), torch.randn(17, 96).to(dtype)
    expected = stream + update.float()

    with torch.inference_mode():
        assert_near(added_norm(stream, update, norm, dtype), norm(expected))
    torch.testing.assert_close(stream, expected)


@FORMATS
def test_queries_and_keys_turn_by_their_positions_angles(dtype):
    """Halves of a head are the two coordinates; values keep theirs."""
    product = torch.randn(17, 3 * 4 * 16).to(dtype)
    angles = torch.rand(17, 8).repeat(1, 2)
    cosines, sines = angles.cos(), angles.sin()
    parts = product.float().view(17, 3, 4, 16).permute(1, 2, 0, 3)
    turned = torch.cat([-parts[..., 8:], parts[..., :8]], dim=-1)
    expected = parts * cosines + turned * sines
    expected[2] = parts[2]

    assert_near(rotated_heads(product, 16, cosines, sines), expected)


@FORMATS
def test_one_half_goes_through_gelu_and_gates_the_other(dtype):
    """gelu by the normal distribution itself, as ModernBERT has it."""
    product = (4 * torch.randn(17, 200)).to(dtype)
    left, right = product.float().chunk(2, dim=-1)

    assert_near(gelu_gated(product), functional.gelu(left) * right)


@FORMATS
def test_a_row_is_quantized_by_its_own_largest_value(dtype):
    """The error is half a step at most, and 127 steps reach the largest value; zeros stay zeros."""
    x = (torch.randn(70, 96) * torch.logspace(-6, 6, 70)[:, None]).to(dtype)
    x[3] = 0

    quantized_x, scales = quantized(x)

    steps = quantized_x.int() - BYTE_OF_ZERO
    assert steps.abs().amax(dim=1).tolist() == [0 if row == 3 else 127 for row in range(70)]
    assert ((steps * scales[:, None] - x.float()).abs() <= 0.5001 * scales[:, None]).all()


@FORMATS
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_no_number_is_none_after_it_was_quantized(dtype, value):
    """The row's scale tells, so that no layer after it makes an answer of it."""
    x = torch.randn(2, 96).to(dtype)
    x[1, 5] = value

    _, scales = quantized(x)

    assert scales.isfinite().tolist() == [True, False]


@FORMATS
def test_a_product_is_scaled_in_place(dtype):
    """Row by row, and then the bias column by column."""
    product, scales, bias = torch.randn(17, 96).to(dtype), torch.rand(17), torch.randn(96)
    expected = product.float() * scales[:, None] + bias

    assert scale_rows_(product, scales, bias) is product
    assert_near(product, expected)


@contextmanager
def called_kernels(monkeypatch):
    """The kernels that are called, each with the types of what it is given."""
    calls = set()

    def recorded(name, kernel, *arguments):
        calls.add((name, *map(numba.typeof, arguments)))
        kernel(*arguments)

    names = ("add", "gelu_gate", "norm", "quantize", "rotate", "scale_rows", "softmax")
    with monkeypatch.context() as patched:
        for name in names:
            patched.setattr(cpu_kernels, name, partial(recorded, name, getattr(cpu_kernels, name)))
        yield calls


@pytest.mark.parametrize("capability", ["amx_bf16", "avx512_bf16", "avx512_vnni"])
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16, Precision.INT8])
@pytest.mark.parametrize("model_type", ["modernbert", "bert"])
def test_all_that_a_model_calls_is_compiled_ahead(model_type, monkeypatch, precision, capability):
    """Another type of one argument would be compiled while the first request waits."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {capability: True})
    attention_for.cache_clear()
    model = encoder(model_type)
    forward_pass = PackedForwardPass(model)
    documents = [[5] * 40, [6] * 128, [7]]

    with called_kernels(monkeypatch) as compiled:
        compile_kernels(layers_format(precision), precision == Precision.INT8)
    with called_kernels(monkeypatch) as called:
        forward_pass.logits(documents)
        set_precision(model, precision, is_packed=True)
        forward_pass.logits(documents)
    attention_for.cache_clear()

    assert called <= compiled
    if model_type == "modernbert":
        assert {name for name, *_ in called} == {name for name, *_ in compiled}
