"""The CPU's kernels as operations on tensors.

Knows how a tensor becomes the array that a kernel takes, and what a kernel writes into; knows
neither models nor what the operations are for.
"""

import torch
from torch import Tensor, nn

from src import cpu_kernels
from src.cpu_kernels import Array


def _array(tensor: Tensor) -> Array:
    """A view of a tensor on the CPU; one that is not contiguous would have kernels of its own."""
    tensor = tensor.detach()
    return (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


def compile_kernels(dtype: torch.dtype, quantizes: bool) -> None:
    """Call what a forward pass in `dtype` calls, on the smallest tensors, so that it is compiled.

    Where none are kept that takes seconds, of which another thread can use most: it is called
    beside the loading of a model. Every model is held to its own fp32 attention first.
    """
    one, head_dim = torch.ones(1, dtype=torch.int64), 2
    with cpu_kernels.only_compiled():
        softmax_(torch.ones(1, 1, 1), one - 1, one, 1.0)
        softmax_(torch.ones(1, 1, 1, dtype=dtype), one - 1, one, 1.0)
        rotated_heads(torch.ones(1, 6, dtype=dtype), head_dim, torch.ones(1, 2), torch.ones(1, 2))
        gelu_gated(torch.ones(1, 2, dtype=dtype))
        layer_norm(torch.ones(1, 2), nn.LayerNorm(2), dtype)
        add_(torch.ones(1, 2), torch.ones(1, 2, dtype=dtype))
        if quantizes:
            quantized(torch.ones(1, 1))  # what transformers' own layers give theirs
            _, scales = quantized(torch.ones(1, 1, dtype=dtype))
            scale_rows_(torch.ones(1, 1, dtype=dtype), scales, scales)


def softmax_(scores: Tensor, first: Tensor, end: Tensor, scale: float) -> Tensor:
    """Softmax of `scale` x scores [matrices, rows, keys], contiguous, in place; gives them.

    Row r of each matrix sees the keys first[r] to end[r], that one left out; `first` and `end`
    are int64, one for each row or one for all rows.
    """
    rows = scores.view(-1, scores.shape[-1])
    cpu_kernels.softmax(_array(rows), _array(first), _array(end), scale)
    return scores


def layer_norm(stream: Tensor, norm: nn.LayerNorm, dtype: torch.dtype) -> Tensor:
    """`norm` of the fp32 stream [tokens, hidden], in `dtype`."""
    normed = torch.empty_like(stream, dtype=dtype)
    bias = torch.zeros_like(norm.weight) if norm.bias is None else norm.bias
    cpu_kernels.norm(_array(stream), _array(norm.weight), _array(bias), norm.eps, _array(normed))
    return normed


def add_(stream: Tensor, update: Tensor) -> Tensor:
    """The fp32 stream [tokens, hidden] + `update` of any format, in place; gives the stream."""
    cpu_kernels.add(_array(stream), _array(update))
    return stream


def added_norm(stream: Tensor, update: Tensor, norm: nn.LayerNorm, dtype: torch.dtype) -> Tensor:
    """`add_`, and then `layer_norm` of the stream."""
    return layer_norm(add_(stream, update), norm, dtype)


def rotated_heads(product: Tensor, head_dim: int, cosines: Tensor, sines: Tensor) -> Tensor:
    """Queries, keys and values [3, heads, tokens, head_dim] of `product` [tokens, 3 x hidden].

    Queries and keys are turned by the angles of their positions, fp32 [tokens, head_dim].
    """
    parts = product.unflatten(-1, (3, -1, head_dim))
    tokens, _, heads, _ = parts.shape
    rotated = torch.empty(3, heads, tokens, head_dim, dtype=product.dtype)
    cpu_kernels.rotate(_array(parts), _array(cosines), _array(sines), _array(rotated))
    return rotated


def gelu_gated(product: Tensor) -> Tensor:
    """gelu(left) x right of the halves of `product` [tokens, 2 x size]."""
    gated = product.new_empty(len(product), product.shape[1] // 2)
    cpu_kernels.gelu_gate(_array(product), _array(gated))
    return gated


def quantized(x: Tensor) -> tuple[Tensor, Tensor]:
    """[rows, columns] to bytes, 1 to 255, and a scale [rows]: (byte - BYTE_OF_ZERO) x scale = x."""
    integers, scales = torch.empty_like(x, dtype=torch.uint8), torch.empty(len(x))
    cpu_kernels.quantize(_array(x), _array(integers), _array(scales))
    return integers, scales


def scale_rows_(product: Tensor, scales: Tensor, bias: Tensor) -> Tensor:
    """[rows, columns] x its row's scale + its column's bias, in place; gives the product."""
    cpu_kernels.scale_rows(_array(product), _array(scales), _array(bias))
    return product
