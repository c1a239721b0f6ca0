"""A classifier's last linear layer, which can take over what its logits are scaled or shifted by.

Knows where it lies. Does not know why anything is put into it; whoever serves the model needs to
know of neither.
"""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


def renew_last_layer(model: PreTrainedModel) -> None:
    """Lets ``model`` answer numbers near 0: a base model's own last layer may answer in any unit,
    above all in the one that was folded into it."""
    last = _last_layer(model)
    nn.init.normal_(last.weight, std=model.config.initializer_range)
    nn.init.zeros_(last.bias)


@torch.no_grad()
def scale_logits(model: PreTrainedModel, factor: float, summand: float | Tensor) -> None:
    """Makes ``model`` answer logits * factor + summand; a summand for all, or one each [labels]."""
    last = _last_layer(model)
    last.weight.mul_(factor)
    last.bias.mul_(factor).add_(summand)


def _last_layer(model: PreTrainedModel) -> nn.Linear:
    """XLM-RoBERTa has its head before its encoder, so the model's very last layer is another."""
    encoder = {*model.base_model.modules()}
    head = [layer for layer in model.modules() if layer not in encoder]
    return [layer for layer in head if isinstance(layer, nn.Linear)][-1]
