"""Documents to predictions.

A document longer than the model's max_length is read whole, in overlapping windows, and answered
once; `"windows"` says how many they were. Knows the way of a text from tokens to its answer; knows
neither requests nor how the forward pass is computed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from src.heads import Head
from src.micro_batches import MicroBatch
from src.progress import Progress
from src.scheduler import Scheduler, always
from src.token_windows import TokenWindows

# Tokenized while the device computes those before them.
TEXTS_AT_ONCE = 1024


@dataclass(frozen=True)
class Classification:
    """The predictions of some documents, in their order, and the work they took.

    A document whose logits are no numbers has none; `missing` says how many these are.
    """

    predictions: Sequence[dict[str, Any] | None]
    missing: int
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
        if not texts:
            return Classification([], missing=0, tokens=0, micro_batches=0)
        progress = Progress(len(texts))
        submission = self._scheduler.submit([], is_wanted, progress)
        counts: list[int] = []
        for first in range(0, len(texts), TEXTS_AT_ONCE):
            windows = self._token_windows(texts[first : first + TEXTS_AT_ONCE])
            counts += map(len, windows)
            inputs = list(chain.from_iterable(windows))
            progress.count(len(windows), sum(map(len, inputs)))
            self._scheduler.add(submission, inputs)
        predictions = self._head.predictions(_in_order(submission.result()), counts)
        return Classification(
            predictions=predictions,
            missing=predictions.missing,
            tokens=submission.tokens,
            micro_batches=submission.micro_batches,
        )


def _in_order(answered: Sequence[tuple[MicroBatch, Tensor]]) -> Tensor:
    """Logits [documents, labels] in the order of the documents that the micro-batches name."""
    places = list(chain.from_iterable(micro_batch for micro_batch, _ in answered))
    logits = torch.cat([logits for _, logits in answered])
    return logits[torch.tensor(places).argsort()]
