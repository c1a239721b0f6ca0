"""Logits to the answer of a record, by what the model was trained for.

Knows labels and scores; knows neither texts nor how logits are computed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedConfig

from src.errors import ModelError

# Of a label in a multi-label model whose config.json has no `threshold`.
DEFAULT_THRESHOLD = 0.5
SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "single_label_classification": partial(torch.softmax, dim=-1),
    "multi_label_classification": torch.sigmoid,
    "regression": torch.clone,
}
"""What makes scores of logits, by config.json's `problem_type`.

One label applies and the scores add up to 1; any number applies and each score stands for itself;
or the logits are measured values, and each is its own score.
"""


@dataclass(frozen=True)
class Head:
    """What the logits mean: `labels[i]` names logit i; with a threshold, several apply.

    The temperature divides the logits, so that scores say how often they are right; fine-tuning
    finds it on validation texts.
    """

    labels: Sequence[str]
    top_k: int
    scores: Callable[[Tensor], Tensor]
    threshold: float | None = None
    temperature: float = 1.0

    def predictions(self, logits: Tensor, windows: Sequence[int]) -> "Predictions":
        """The answers to documents; document i has `windows[i]` of the logits [windows, labels].

        A document's scores are the mean of its windows' scores.
        """
        # A sigmoid would make a number of infinity.
        logits = logits.masked_fill(~logits.isfinite().all(dim=-1, keepdim=True), math.nan)
        scores = torch.segment_reduce(
            self.scores(logits / self.temperature), "mean", lengths=torch.tensor(windows)
        )
        # Equal scores keep the order of their label ids.
        best = scores.sort(descending=True, stable=True).indices
        return Predictions(self, scores.numpy(), best.numpy(), windows)

    def prediction(
        self, scores: Sequence[float], best: Sequence[int], windows: int
    ) -> dict[str, Any] | None:
        """The answer of a document from its labels' scores, the ids of the best labels first.

        The top_k labels come best first, scores rounded to six places. With a threshold,
        `predicted_classes` are the labels that reach it, none to all of them. `"windows"` says in
        how many the document was read if they were several. A document whose scores are no numbers
        has no answer.
        """
        if math.isnan(scores[0]):
            return None
        prediction: dict[str, Any] = {"predicted_class": self.labels[best[0]]}
        if self.threshold is not None:
            prediction["predicted_classes"] = [
                self.labels[label_id] for label_id in best if scores[label_id] >= self.threshold
            ]
        prediction["top_predictions"] = [
            {"class": self.labels[label_id], "score": round(scores[label_id], 6)}
            for label_id in best[: self.top_k]
        ]
        if windows > 1:
            prediction["windows"] = windows
        return prediction


@dataclass(frozen=True)
class Predictions(Sequence[dict[str, Any] | None]):
    """The answers to documents in their order, each made when it is asked for.

    All at once would take many times the memory of what they are made from: `scores` [documents,
    labels], label ids [documents, labels] with the `best` first, and the number of `windows` of
    each document.
    """

    head: Head
    scores: NDArray[Any]
    best: NDArray[Any]
    windows: Sequence[int]

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, document: int) -> dict[str, Any] | None:
        scores, best = self.scores[document].tolist(), self.best[document].tolist()
        return self.head.prediction(scores, best, self.windows[document])

    @property
    def missing(self) -> int:
        """How many documents have no answer, their logits being no numbers."""
        return int(np.isnan(self.scores[:, 0]).sum())


def head_for(config: PreTrainedConfig, labels: Sequence[str], top_k: int) -> Head:
    """The head that config.json's `problem_type` names."""
    problem_type, threshold = problem_type_of(config), None
    if problem_type == "multi_label_classification":
        threshold = _threshold(config)
    return Head(labels, top_k, SCORES[problem_type], threshold, _temperature(config))


def problem_type_of(config: PreTrainedConfig) -> str:
    """config.json's `problem_type`, one of SCORES; raises ModelError for any other.

    Where it names none, one label means regression and several a single-label choice, which is
    how transformers trains such a model.
    """
    inferred = "regression" if config.num_labels == 1 else "single_label_classification"
    problem_type = config.problem_type or inferred
    if problem_type not in list(SCORES):  # it may be anything that JSON has
        raise ModelError(
            f"config.json's problem_type is {problem_type!r}, expected one of {', '.join(SCORES)}, "
            "or none. Correct it, and package the folder again."
        )
    return problem_type


def _threshold(config: PreTrainedConfig) -> float:
    threshold = getattr(config, "threshold", DEFAULT_THRESHOLD)
    if type(threshold) not in {int, float} or not 0 <= threshold <= 1:
        raise ModelError(
            f"config.json's threshold is {threshold!r}, expected a number from 0 to 1: the score "
            f"from which a label applies. Without it, {DEFAULT_THRESHOLD} is taken."
        )
    return threshold


def _temperature(config: PreTrainedConfig) -> float:
    temperature = getattr(config, "calibration_temperature", 1.0)
    if not isinstance(temperature, int | float) or not 0 < temperature < float("inf"):
        raise ModelError(
            f"config.json's calibration_temperature is {temperature!r}, expected a positive "
            "number. Train again, or remove it."
        )
    return temperature
