"""Numbers of any size, brought to the size a network learns at, and back inside the model itself.

Knows the mean and spread of the training numbers. After training the scale is folded into the
model's last layer, so whoever serves the model needs to know nothing of it.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from transformers import PreTrainedModel

from fine_tuning.errors import FineTuningError
from fine_tuning.last_layer import scale_logits


@dataclass(frozen=True)
class TargetScale:
    """number = standardised * deviation + mean."""

    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "TargetScale":
        """The scale on which ``numbers`` have mean 0 and deviation 1.

        FineTuningError where all are one number, as those that a split leaves for training may be.
        """
        if len(set(numbers)) == 1:
            raise FineTuningError(
                f"All {len(numbers)} texts to train on have the number {numbers[0]:g}, so there is "
                "nothing to learn. Add rows with other numbers."
            )
        return cls(statistics.fmean(numbers), statistics.pstdev(numbers))

    def standardised(self, targets: Tensor) -> Tensor:
        """Numbers as the network is to learn them."""
        return (targets - self.mean) / self.deviation

    def restored(self, logits: Tensor) -> Tensor:
        """What the network answers, in the numbers' own unit."""
        return logits * self.deviation + self.mean

    def fold_into(self, model: PreTrainedModel) -> None:
        """Makes ``model`` answer in the numbers' own unit, by its last linear layer."""
        scale_logits(model, self.deviation, self.mean)
