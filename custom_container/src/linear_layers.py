"""Linear layers in the number format that the CPU multiplies fastest.

Only the weights of the linear layers change their format: each layer casts what comes in, and what
is between the layers, the residual stream and the norms above all, stays in fp32. Knows matrices;
knows neither architectures nor which format is the right one.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

# Rows for which oneDNN chooses the order of the weights; other numbers of rows are computed too.
TYPICAL_ROWS = 1024


class PrepackedLinear(nn.Module):
    """y = x W' + b in `dtype`, the weights once and for all in oneDNN's own order.

    The operators are private to torch, which requirements.txt pins; `linear_layer` falls back to
    torch's public ones.
    """

    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype = dtype
        weight = linear.weight.detach().to(dtype)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, TYPICAL_ROWS)
        self._bias = None if linear.bias is None else linear.bias.detach().to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """[..., in_features] in any format to [..., out_features] in `dtype`."""
        return torch.ops.mkldnn._linear_pointwise(
            x.to(self._dtype), self._weight, self._bias, "none", [], ""
        )


class CastLinear(nn.Module):
    """y = x W' + b in `dtype`, by torch's public operator."""

    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self._weight = linear.weight.detach().to(dtype)
        self._bias = None if linear.bias is None else linear.bias.detach().to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """[..., in_features] in any format to [..., out_features] in `dtype`."""
        return functional.linear(x.to(self._weight.dtype), self._weight, self._bias)


class Int8Linear(nn.Module):
    """y = x W' + b in whole numbers of 8 bits; out comes `dtype`.

    Weights have a scale per output feature, activations one per token, so that a token's answer
    never depends on the tokens beside it.
    """

    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype = dtype
        quantized, scale = quantize_rows(linear.weight.detach().float())
        self._weight = quantized.t().contiguous()
        self._weight_scale = scale.squeeze(-1)
        self._bias = None if linear.bias is None else linear.bias.detach().float()

    def forward(self, x: Tensor) -> Tensor:
        """[..., in_features] in any format to [..., out_features] in `dtype`."""
        quantized, scale = quantize_rows(x.reshape(-1, x.shape[-1]).float())
        product = torch._int_mm(quantized, self._weight)
        y = product.float().mul_(scale).mul_(self._weight_scale)
        if self._bias is not None:
            y += self._bias
        return y.to(self._dtype).view(*x.shape[:-1], -1)


def quantize_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """fp32 [rows, columns] to int8 in -127 to 127 and a scale [rows, 1] with int8 x scale = x."""
    scale = x.abs().amax(dim=-1, keepdim=True).clamp_min_(1e-12).div_(127)
    return x.div(scale).round_().to(torch.int8), scale


def linear_layer(linear: nn.Linear, dtype: torch.dtype) -> nn.Module:
    """The faster of PrepackedLinear and CastLinear that this torch has."""
    if hasattr(torch.ops.mkldnn, "_linear_pointwise") and torch.backends.mkldnn.is_available():
        return PrepackedLinear(linear, dtype)
    return CastLinear(linear, dtype)


def replace_linear_layers(
    encoder: nn.Module, make: Callable[[nn.Linear, torch.dtype], nn.Module], dtype: torch.dtype
) -> None:
    """Put `make(layer, dtype)` in the place of every nn.Linear of the encoder's stacked layers.

    What is before and after the stack stays as it is: it is little work, and the residual stream
    begins there in fp32. One by one, so that no more than one layer's weights exist twice.
    """
    for stack in [part for part in encoder.modules() if isinstance(part, nn.ModuleList)]:
        for module in [part for part in stack.modules() if not isinstance(part, nn.Linear)]:
            for name, child in module.named_children():
                if isinstance(child, nn.Linear):
                    setattr(module, name, make(child, dtype))
