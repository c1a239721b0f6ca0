"""Documents to predictions.

A document longer than the model's max_length is read whole, in overlapping windows, and answered
once; `"windows"` says how many they were. Knows the way of a text from tokens to its answer; knows
neither requests nor how the forward pass is computed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor

from src.heads import Head
from src.scheduler import Scheduler, always
from src.token_windows import TokenWindows


@dataclass(frozen=True)
class Classification:
    """The predictions of some documents, in their order, and the work they took.

    A document whose logits are no numbers has none.
    """

    predictions: list[dict[str, Any] | None]
    tokens: int
    micro_batches: int


class Classifier:
    """A tokenizer, a scheduler and the head of its logits; safe to call from many threads."""

    def __init__(
        self,
        token_windows: TokenWindows,
        scheduler: Scheduler,
        head: Head,
    ) -> None:
        self._token_windows = token_windows
        self._scheduler = scheduler
        self._head = head

    def classify(
        self, texts: Sequence[str], is_wanted: Callable[[], bool] = always
    ) -> Classification:
        """Classify documents.

        Every text needs at least one character that is no space. Raises ClientGone as soon as
        `is_wanted` says that nobody waits for the answer.
        """
        windows = self._token_windows(texts)
        inputs = list(chain.from_iterable(windows))
        submission = self._scheduler.submit(inputs, is_wanted)
        logits = iter(submission.result())
        return Classification(
            predictions=[
                self._prediction(torch.stack(list(islice(logits, len(own))))) for own in windows
            ],
            tokens=sum(map(len, inputs)),
            micro_batches=submission.micro_batches,
        )

    def _prediction(self, windows: Tensor) -> dict[str, Any] | None:
        if not windows.isfinite().all():
            return None
        prediction = self._head.prediction(windows)
        return prediction if len(windows) == 1 else {**prediction, "windows": len(windows)}
