"""Whether scores mean what they say, and the one number that makes them.

Knows logits, scores and truth. Does not know texts or models. Temperature scaling divides every
logit by one temperature, so no document changes its class.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fine_tuning.problem_types import ProblemType, Regression

_BINS = 15
_TEMPERATURES = torch.logspace(-1, 1, 401)
"""From 0.1 to 10, about 1.2% apart."""
DOUBT = 0.01
"""Share of the truth that is taken as unsure while fitting.

Where every validation text is answered rightly, the likelihood alone would sharpen without end.
"""


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers of about the same score."""

    answers: int
    mean_score: float
    share_right: float


def reliability_bins(scores: Tensor, right: Tensor) -> tuple[ReliabilityBin, ...]:
    """Answers in 15 bins of equal width, empty ones left out; both arguments are [answers]."""
    bin_of = (scores * _BINS).long().clamp(0, _BINS - 1)
    return tuple(
        ReliabilityBin(
            answers=int(inside.sum()),
            mean_score=float(scores[inside].mean()),
            share_right=float(right[inside].float().mean()),
        )
        for inside in (bin_of == place for place in range(_BINS))
        if inside.any()
    )


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Mean gap between a bin's score and its share right, weighted by its answers."""
    answers = sum(one.answers for one in bins)
    return sum(one.answers * abs(one.mean_score - one.share_right) for one in bins) / answers


def fitted_temperature(problem: ProblemType, logits: Tensor, targets: Tensor) -> float:
    """The temperature of the greatest likelihood on held-out data; 1 for a regression.

    ``logits`` [documents, labels] are uncalibrated, ``targets`` as the problem makes them.
    """
    if problem.name == Regression.name:
        return 1.0
    chances = problem.softened(targets, DOUBT)
    losses = [problem.loss(logits / one, chances) for one in _TEMPERATURES]
    return round(float(_TEMPERATURES[torch.stack(losses).argmin()]), 4)
