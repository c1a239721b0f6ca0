"""Documents to predictions.

A document longer than the model's max_length is read whole, in overlapping windows; its
probabilities are the mean of its windows' probabilities, and `"windows"` says how many they were.
Knows texts, labels and scores; knows neither requests nor how the forward pass is computed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch

from src.scheduler import Scheduler, always
from src.token_windows import TokenWindows


@dataclass(frozen=True)
class Classification:
    """The predictions of some documents, in their order, and the work they took."""

    predictions: list[dict[str, Any]]
    tokens: int
    micro_batches: int


class Classifier:
    """A tokenizer, a scheduler and the labels of its logits; safe to call from many threads."""

    def __init__(
        self,
        token_windows: TokenWindows,
        scheduler: Scheduler,
        labels: Sequence[str],
        top_k: int,
    ) -> None:
        self._token_windows = token_windows
        self._scheduler = scheduler
        self._labels = labels
        self._top_k = min(top_k, len(labels))

    def classify(
        self, texts: Sequence[str], is_wanted: Callable[[], bool] = always
    ) -> Classification:
        """Classify documents: their top_k labels, best first, scores rounded to six places.

        Every text needs at least one character that is no space. Raises ClientGone as soon as
        `is_wanted` says that nobody waits for the answer.
        """
        windows = self._token_windows(texts)
        inputs = list(chain.from_iterable(windows))
        submission = self._scheduler.submit(inputs, is_wanted)
        logits = submission.result()
        counts = [len(own) for own in windows]
        return Classification(
            predictions=[
                self._prediction(probabilities) for probabilities in _probabilities(logits, counts)
            ],
            tokens=sum(map(len, inputs)),
            micro_batches=submission.micro_batches,
        )

    def _prediction(self, windows: torch.Tensor) -> dict[str, Any]:
        scores = windows.mean(dim=0).tolist()
        # Equal scores keep the order of their label ids: sorting is stable.
        best = sorted(range(len(scores)), key=lambda label_id: -scores[label_id])
        prediction = {
            "predicted_class": self._labels[best[0]],
            "top_predictions": [
                {"class": self._labels[label_id], "score": round(scores[label_id], 6)}
                for label_id in best[: self._top_k]
            ],
        }
        return prediction if len(windows) == 1 else {**prediction, "windows": len(windows)}


def _probabilities(logits: Sequence[torch.Tensor], counts: Sequence[int]) -> Sequence[torch.Tensor]:
    """Probabilities [windows, labels] of each document, `counts[i]` windows for document i."""
    return torch.stack(tuple(logits)).softmax(dim=-1).split(list(counts)) if counts else ()
