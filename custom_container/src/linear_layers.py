"""Linear layers in the number format that the CPU multiplies fastest.

Only the weights of the linear layers change their format: each layer casts what comes in, and what
is between the layers, the residual stream and the norms above all, stays in fp32. Knows matrices;
knows neither architectures nor which format is the right one.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from src.cpu_kernels import BYTE_OF_ZERO, SMALLEST
from src.cpu_operations import quantized, scale_rows_
from src.errors import ModelError
from src.mapped_weights import give_back

# Rows for which oneDNN chooses the order of the weights; other numbers of rows are computed too.
TYPICAL_ROWS = 1024
# CPUs without VNNI add two products of a byte and a weight in 16 bits, which hold 2 x 255 x 63, but
# not 2 x 255 x 127: they would stop at 32,767 and say nothing.
INT8_WEIGHTS = (127, 63)


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
    does not depend on the tokens beside it, but for the rounding of sums beyond 2^24. Raises
    ModelError where no such products are right.
    """

    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        weight, largest = linear.weight.detach().float(), largest_int8_weight()
        scales = weight.abs().amax(dim=1).clamp(min=float(SMALLEST)) / largest
        integers = (weight / scales[:, None]).round_().to(torch.int8)
        self._product = Int8Product(integers, scales, dtype)
        no_bias = torch.zeros(linear.out_features)
        self._bias = no_bias if linear.bias is None else linear.bias.detach().float()

    def forward(self, x: Tensor) -> Tensor:
        """[..., in_features] in any format to [..., out_features] in `dtype`."""
        activations, scales = quantized(x.flatten(0, -2))
        y = scale_rows_(self._product(activations), scales, self._bias)
        return y.view(*x.shape[:-1], -1)


class Int8Product:
    """Activations x int8 weights [out_features, in_features] x `scales` [out_features].

    Activations are bytes whose zero is BYTE_OF_ZERO: signed ones are refused on some CPUs and
    wrong on others. The operators are private to torch, like those of PrepackedLinear.
    """

    def __init__(self, weight: Tensor, scales: Tensor, dtype: torch.dtype) -> None:
        out_features, in_features = weight.shape
        # It takes the numbers in the order in which they lie in memory.
        weight = weight.contiguous()
        self._weight = torch.ops.onednn.qlinear_prepack(weight, [TYPICAL_ROWS, in_features])
        self._scales, self._dtype = scales, dtype
        self._zeros = torch.zeros(out_features, dtype=torch.int64)

    def __call__(self, activations: Tensor) -> Tensor:
        """uint8 [rows, in_features] to [rows, out_features] in `dtype`."""
        scale, zero = 1.0, BYTE_OF_ZERO
        return torch.ops.onednn.qlinear_pointwise(
            activations, scale, zero, self._weight, self._scales, self._zeros, None,
            1.0, 0, self._dtype, "none", [], "",
        )  # fmt: skip


@cache
def largest_int8_weight() -> int:
    """The largest of INT8_WEIGHTS whose products this CPU sums right; raises ModelError if none."""
    activations = torch.full((1, 64), 255, dtype=torch.uint8)
    for largest in INT8_WEIGHTS:
        weight = torch.full((16, 64), largest, dtype=torch.int8)
        product = Int8Product(weight, torch.ones(16), torch.float32)
        if product(activations).eq(64 * (255 - BYTE_OF_ZERO) * largest).all():
            return largest
    raise ModelError(
        "INFERENCE_PRECISION is int8, whose products this CPU computes wrong. Leave it unset."
    )


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
