"""The GPU's kernels as operations on tensors: what cpu_operations has, by the same names.

Knows how many programs a kernel is run in; knows neither models nor what the operations are for.
"""

import math
from functools import partial

import torch
import triton
from torch import Tensor, nn

from src import gpu_kernels

# Numbers that one program computes, where tokens do not say how many.
AT_ONCE = 1024
# Queries and keys that a program holds at once, its warps and the stages of its loads.
WINDOWED = {"queries": 64, "keys": 32, "num_warps": 4, "num_stages": 3}
GLOBAL = {"queries": 64, "keys": 64, "num_warps": 4, "num_stages": 3}


def try_kernels(device: torch.device) -> None:
    """Call what stands between a layer's products on small tensors; raises what Triton raises."""
    ones, norm = partial(torch.ones, device=device), nn.LayerNorm(2, device=device)
    layer_norm(add_(ones(1, 2), ones(1, 2)), norm, torch.float32)
    added_norm(ones(1, 2), ones(1, 2), norm, torch.float32)
    rotated_heads(ones(1, 6), 2, ones(1, 2), ones(1, 2))
    gelu_gated(ones(1, 2))


def layer_norm(stream: Tensor, norm: nn.LayerNorm, dtype: torch.dtype) -> Tensor:
    """`norm` of the fp32 stream [tokens, hidden], in `dtype`."""
    normed = torch.empty_like(stream, dtype=dtype)
    gpu_kernels.norm[(len(stream),)](
        stream, norm.weight, norm.bias, normed, norm.eps, **_sizes(stream)
    )
    return normed


def added_norm(stream: Tensor, update: Tensor, norm: nn.LayerNorm, dtype: torch.dtype) -> Tensor:
    """`add_`, and then `layer_norm` of the stream."""
    normed = torch.empty_like(stream, dtype=dtype)
    gpu_kernels.add_norm[(len(stream),)](
        stream, update, norm.weight, norm.bias, normed, norm.eps, **_sizes(stream)
    )
    return normed


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


def attended(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    seen_tokens: tuple[Tensor, Tensor],
    *,
    scaling: float,
    reach: int | None,
) -> Tensor:
    """Flash attention; [heads, tokens, head_dim] in and out.

    Token t sees the tokens seen_tokens[0][t] to seen_tokens[1][t], that one left out, int32, and
    none further than `reach` from it.
    """
    heads, tokens, head_dim = query.shape
    if not query.stride() == key.stride() == value.stride():
        query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
    result = query.new_empty(tokens, heads, head_dim)
    sizes = GLOBAL if reach is None else WINDOWED
    # In one dimension, for a second one ends at 65,535 programs: a row of 4.2 million tokens.
    gpu_kernels.attend[(heads * triton.cdiv(tokens, sizes["queries"]),)](
        query,
        key,
        value,
        *seen_tokens,
        result,
        scaling * math.log2(math.e),
        tokens,
        query.stride(0),
        query.stride(1),
        reach or 0,
        heads=heads,
        head_dim=head_dim,
        windowed=reach is not None,
        **sizes,
    )
    return result.transpose(0, 1)
