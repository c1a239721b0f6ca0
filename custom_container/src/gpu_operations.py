"""The GPU's kernels as operations on tensors: what cpu_operations has, by the same names.

Knows how many programs a kernel is run in; knows neither models nor what the operations are for.
"""

import torch
import triton
from torch import Tensor, nn

from src import gpu_kernels

# Numbers that one program computes, where tokens do not say how many.
AT_ONCE = 1024


def layer_norm(stream: Tensor, norm: nn.LayerNorm, dtype: torch.dtype) -> Tensor:
    """`norm` of the fp32 stream [tokens, hidden], in `dtype`."""
    normed = torch.empty_like(stream, dtype=dtype)
    gpu_kernels.norm[(len(stream),)](stream, *_weights(norm), normed, norm.eps, **_sizes(stream))
    return normed


def added_norm(stream: Tensor, update: Tensor, norm: nn.LayerNorm, dtype: torch.dtype) -> Tensor:
    """`add_`, and then `layer_norm` of the stream."""
    normed = torch.empty_like(stream, dtype=dtype)
    gpu_kernels.add_norm[(len(stream),)](
        stream, update, *_weights(norm), normed, norm.eps, **_sizes(stream)
    )
    return normed


def _weights(norm: nn.LayerNorm) -> tuple[Tensor, Tensor]:
    return norm.weight, torch.zeros_like(norm.weight) if norm.bias is None else norm.bias


def _sizes(stream: Tensor) -> dict[str, int]:
    return {"size": stream.shape[1], "block": triton.next_power_of_2(stream.shape[1])}


def add_(stream: Tensor, update: Tensor) -> Tensor:
    """The fp32 stream [tokens, hidden] + `update` of any format, in place; gives the stream."""
    count = stream.numel()
    gpu_kernels.add[(triton.cdiv(count, AT_ONCE),)](stream, update, count, block=AT_ONCE)
    return stream


def rotated_heads(product: Tensor, head_dim: int, cosines: Tensor, sines: Tensor) -> Tensor:
    """Queries, keys and values [3, heads, tokens, head_dim] of `product` [tokens, 3 x hidden].

    Queries and keys are turned in place by the angles of their positions, fp32 [tokens, head_dim].
    """
    parts = product.unflatten(-1, (3, -1, head_dim))
    tokens, _, heads, _ = parts.shape
    block = triton.next_power_of_2(heads * head_dim)
    gpu_kernels.rotate[(tokens,)](
        cosines, sines, product, heads=heads, half=head_dim // 2, block=block
    )
    return parts.permute(1, 2, 0, 3)


def gelu_gated(product: Tensor) -> Tensor:
    """gelu(left) x right of the halves of `product` [tokens, 2 x size]."""
    tokens, size = len(product), product.shape[1] // 2
    gated, count = product.new_empty(tokens, size), tokens * size
    gpu_kernels.gelu_gate[(triton.cdiv(count, AT_ONCE),)](
        product, gated, count, size=size, block=AT_ONCE
    )
    return gated
