"""Numbers of any size, brought to the size a network learns at, and back inside the model itself.

Knows the mean and spread of the training numbers. After training the scale is folded into the
model's last layer, so whoever serves the model needs to know nothing of it.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


@dataclass(frozen=True)
class TargetScale:
    """number = standardised * deviation + mean."""

    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "TargetScale":
        """The scale on which ``numbers`` have mean 0 and deviation 1."""
        return cls(statistics.fmean(numbers), statistics.pstdev(numbers))

    def standardised(self, targets: Tensor) -> Tensor:
        """Numbers as the network is to learn them."""
        return (targets - self.mean) / self.deviation

    def restored(self, logits: Tensor) -> Tensor:
        """What the network answers, in the numbers' own unit."""
        return logits * self.deviation + self.mean

    def fold_into(self, model: PreTrainedModel) -> None:
        """Makes ``model`` answer in the numbers' own unit, by its last linear layer."""
        last = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
        with torch.no_grad():
            last.weight.mul_(self.deviation)
            last.bias.mul_(self.deviation).add_(self.mean)
