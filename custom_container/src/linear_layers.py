"""Linear layers in the number format that the CPU multiplies fastest.

Only the weights of the linear layers change their format: each layer casts what comes in, and what
is between the layers, the residual stream and the norms above all, stays in fp32. Knows matrices;
knows neither architectures nor which format is the right one.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from src.cpu_operations import dequantized, quantized
from src.mapped_weights import give_back

# Rows for which oneDNN chooses the order of the weights; other numbers of rows are computed too.
TYPICAL_ROWS = 1024


class PrepackedLinear(nn.Module):
    """y = x W' + b in `dtype`, the weights once and for all in oneDNN's own order.

    The operators are private to torch, which requirements.txt pins; `linear_layer` falls back to
    torch's public ones.
    """

    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        weight = linear.weight.detach().to(dtype)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, TYPICAL_ROWS)
        self._bias = None if linear.bias is None else linear.bias.detach().to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """[..., in_features] in any format to [..., out_features] in `dtype`."""
        return torch.ops.mkldnn._linear_pointwise(
            x.to(self.dtype), self._weight, self._bias, "none", [], ""
        )


class CastLinear(nn.Module):
    """y = x W' + b in `dtype`, by torch's public operator."""

    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self._weight = linear.weight.detach().to(dtype)
        self._bias = None if linear.bias is None else linear.bias.detach().to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """[..., in_features] in any format to [..., out_features] in `dtype`."""
        return functional.linear(x.to(self.dtype), self._weight, self._bias)


class Int8Linear(nn.Module):
    """y = x W' + b in whole numbers of 8 bits; out comes `dtype`.

    Weights have a scale per output feature, activations one per token, so that a token's answer
    never depends on the tokens beside it.
    """

    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        quantized_weight, self._weight_scales = quantized(linear.weight.detach().float())
        self._weight = quantized_weight.t().contiguous()
        no_bias = torch.zeros(linear.out_features)
        self._bias = no_bias if linear.bias is None else linear.bias.detach().float()

    def forward(self, x: Tensor) -> Tensor:
        """[..., in_features] in any format to [..., out_features] in `dtype`."""
        integers, scales = quantized(x.flatten(0, -2))
        product = torch._int_mm(integers, self._weight)
        y = dequantized(product, scales, self._weight_scales, self._bias, self.dtype)
        return y.view(*x.shape[:-1], -1)


def linear_layer(linear: nn.Linear, dtype: torch.dtype) -> nn.Module:
    """The faster of PrepackedLinear and CastLinear that this torch has."""
    if hasattr(torch.ops.mkldnn, "_linear_pointwise") and torch.backends.mkldnn.is_available():
        return PrepackedLinear(linear, dtype)
    return CastLinear(linear, dtype)


def input_format(layer: nn.Module) -> torch.dtype:
    """The format of what a layer multiplies; given another one, it casts."""
    return layer.weight.dtype if isinstance(layer, nn.Linear) else layer.dtype


def replace_linear_layers(
    encoder: nn.Module, make: Callable[[nn.Linear, torch.dtype], nn.Module], dtype: torch.dtype
) -> None:
    """Put `make(layer, dtype)` in the place of every nn.Linear of the encoder's stacked layers.

    What is before and after the stack stays as it is: it is little work, and the residual stream
    begins there in fp32. One by one, so that no more than one layer's weights are in memory twice.
    """
    for stack in [part for part in encoder.modules() if isinstance(part, nn.ModuleList)]:
        for module in [part for part in stack.modules() if not isinstance(part, nn.Linear)]:
            for name, child in module.named_children():
                if isinstance(child, nn.Linear):
                    setattr(module, name, make(child, dtype))
                    give_back(child.weight)
