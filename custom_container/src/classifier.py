"""Documents to predictions.

A document longer than the model's max_length is read whole, in overlapping windows; its
probabilities are the mean of its windows' probabilities, and `"windows"` says how many they were.
Knows texts, labels and scores; knows neither requests nor how the forward pass is computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from threading import Lock
from typing import Any

import torch

from src.forward_pass import ForwardPass
from src.micro_batches import map_in_micro_batches
from src.token_windows import TokenWindows


@dataclass(frozen=True)
class Classification:
    """The predictions of some documents, in their order, and the work they took."""

    predictions: list[dict[str, Any]]
    tokens: int
    micro_batches: int


class Classifier:
    """A tokenizer, a forward pass and the labels of its logits; safe to call from many threads."""

    def __init__(
        self,
        token_windows: TokenWindows,
        forward_pass: ForwardPass,
        labels: Sequence[str],
        top_k: int,
        max_tokens_per_micro_batch: int,
    ) -> None:
        self._token_windows = token_windows
        self._forward_pass = forward_pass
        self._labels = labels
        self._top_k = min(top_k, len(labels))
        self._max_tokens_per_micro_batch = max_tokens_per_micro_batch
        # One device: forward passes side by side would only share its cores and its memory.
        self._device = Lock()

    def classify(self, texts: Sequence[str]) -> Classification:
        """Classify documents: their top_k labels, best first, scores rounded to six places.

        Every text needs at least one character that is no space.
        """
        windows = self._token_windows(texts)
        inputs = list(chain.from_iterable(windows))
        lengths = [len(window) for window in inputs]
        micro_batches = self._forward_pass.micro_batches(lengths, self._max_tokens_per_micro_batch)
        with self._device:
            logits = map_in_micro_batches(inputs, micro_batches, self._forward_pass.logits)
        counts = [len(own) for own in windows]
        return Classification(
            predictions=[
                self._prediction(probabilities) for probabilities in _probabilities(logits, counts)
            ],
            tokens=sum(lengths),
            micro_batches=len(micro_batches),
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
