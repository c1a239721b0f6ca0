"""The GPU's kernels: each step is torch's own arithmetic, in every format.

On a machine without a GPU, Triton's interpreter runs them on the CPU (tests/conftest.py).
"""

import pytest
import torch
from torch import nn
from torch.nn import functional

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
pytest.importorskip("triton")
from src import gpu_kernels  # noqa: E402
from src.gpu_operations import (  # noqa: E402
    add_,
    added_norm,
    attended,
    gelu_gated,
    layer_norm,
    rotated_heads,
    try_kernels,
)
from src.packed_attention import attend_with_sdpa  # noqa: E402
from src.packed_row import PackedRow  # noqa: E402

FORMATS = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)


@pytest.fixture(autouse=True)
def seed():
    """The same random numbers in every test."""
    torch.manual_seed(0)


def normal(*shape):
    """Random numbers on the device."""
    return torch.randn(shape, device=DEVICE)


def assert_near(got, expected):
    """Within one rounding of the format that was asked for; the interpreter cuts off instead."""
    tolerance = {torch.float32: 2e-6, torch.bfloat16: 2**-7}[got.dtype]
    torch.testing.assert_close(got.float(), expected, rtol=tolerance, atol=tolerance)


def test_what_is_tried_before_a_model_is_every_kernel_but_attention(monkeypatch):
    """One that cannot be compiled is known before it stands in a layer."""
    kernels = ("add", "add_norm", "gelu_gate", "norm", "rotate")
    for name in kernels:
        with monkeypatch.context() as patched:
            patched.delattr(gpu_kernels, name)
            with pytest.raises(AttributeError, match=name):
                try_kernels(torch.device(DEVICE))

    try_kernels(torch.device(DEVICE))


@FORMATS
@pytest.mark.parametrize("bias", [True, False])
def test_layer_norm_is_torchs(dtype, bias):
    """With and without a bias, of a size that is no power of two."""
    norm = nn.LayerNorm(96, eps=1e-5, bias=bias, device=DEVICE)
    for weights in norm.parameters():
        nn.init.normal_(weights)
    stream = 3 * normal(17, 96) + 1

    with torch.inference_mode():
        assert_near(layer_norm(stream, norm, dtype), norm(stream))


@FORMATS
def test_an_update_is_added_in_place(dtype):
    """The stream is the same tensor, in fp32."""
    stream, update = normal(17, 96), normal(17, 96).to(dtype)
    expected = stream + update.float()

    assert add_(stream, update) is stream
    torch.testing.assert_close(stream, expected)


@FORMATS
def test_the_norm_of_an_updated_stream_is_torchs(dtype):
    """The stream is changed in place, and the norm is that of the sum before it is rounded."""
    norm = nn.LayerNorm(96, eps=1e-5, device=DEVICE)
    stream, update = normal(17, 96), normal(17, 96).to(dtype)
    expected = stream + update.float()

    with torch.inference_mode():
        assert_near(added_norm(stream, update, norm, dtype), norm(expected))
    torch.testing.assert_close(stream, expected)


@FORMATS
@pytest.mark.parametrize("heads", [3, 4])
def test_queries_and_keys_turn_by_their_positions_angles(dtype, heads):
    """Halves of a head are the two coordinates; values keep theirs."""
    product = normal(17, 3 * heads * 16).to(dtype)
    angles = torch.rand(17, 8, device=DEVICE).repeat(1, 2)
    cosines, sines = angles.cos(), angles.sin()
    parts = product.float().view(17, 3, heads, 16).permute(1, 2, 0, 3)
    turned = torch.cat([-parts[..., 8:], parts[..., :8]], dim=-1)
    expected = parts * cosines + turned * sines
    expected[2] = parts[2]

    assert_near(rotated_heads(product, 16, cosines, sines), expected)


@FORMATS
@pytest.mark.parametrize("size", [1, 80, 1152])
def test_the_left_half_gates_the_right_one_through_gelu(dtype, size):
    """The exact gelu, of sizes below and beyond what a program takes at once."""
    product = normal(5, 2 * size).to(dtype)
    left, right = product.float().chunk(2, dim=-1)

    assert_near(gelu_gated(product), functional.gelu(left) * right)


# The interpreter does not multiply matrices of bf16.
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16][: 2 if DEVICE == "cuda" else 1])
@pytest.mark.parametrize("reach", [None, 5, 64])
@pytest.mark.parametrize("lengths", [(1, 63, 64, 2, 150, 9), (300,), (1,)])
def test_attention_is_that_of_each_document_alone(dtype, reach, lengths):
    """Documents apart, `reach` tokens either side, in a product of which the three are views."""
    row = PackedRow(lengths, DEVICE)
    parts = normal(sum(lengths), 3, 2, 16).to(dtype).permute(1, 2, 0, 3)
    expected = attend_with_sdpa(*parts.float(), row, scaling=0.3, reach=reach)

    got = attended(*parts, row.seen_tokens, scaling=0.3, reach=reach)

    assert got.transpose(0, 1).is_contiguous()
    tolerance = {torch.float16: 5e-3, torch.bfloat16: 3e-2}[dtype]
    torch.testing.assert_close(got.float(), expected, rtol=0, atol=tolerance)


def test_attention_takes_tensors_that_are_strided_each_in_its_own_way():
    """transformers' own rotary embedding leaves values as they were, and not the others."""
    row = PackedRow((40, 30), DEVICE)
    parts = normal(3, 2, 70, 16).half()
    expected = attended(*parts, row.seen_tokens, scaling=0.3, reach=None)
    query, key, value = parts
    strided = value.transpose(0, 1).contiguous().transpose(0, 1)

    got = attended(query, key, strided, row.seen_tokens, scaling=0.3, reach=None)

    torch.testing.assert_close(got, expected)


class GridOf:
    """In the place of a kernel: keeps the grid that it is run in."""

    def __getitem__(self, grid):
        self.grid = grid
        return lambda *_arguments, **_constants: None


@pytest.mark.parametrize("reach", [None, 64])
def test_a_row_of_millions_of_tokens_is_within_the_grid_of_a_gpu(reach, monkeypatch):
    """CUDA's first dimension has 2**31 - 1 programs, the others 65,535 each."""
    kernel = GridOf()
    monkeypatch.setattr(gpu_kernels, "attend", kernel)
    part = torch.empty(12, 2**24, 64, dtype=torch.bfloat16, device="meta")

    attended(part, part, part, (part, part), scaling=0.3, reach=reach)

    first, *others = kernel.grid
    assert first < 2**31
    assert all(programs < 2**16 for programs in others)
