"""Batches of texts of about the same length, so that little of a batch is padding.

Knows lengths only. The order of an epoch follows from seed and epoch alone, never from how much
chance was used before: a run that is resumed meets the batches that it would have met.
"""

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

_BATCHES_A_POOL = 50
_POOLS = 3
"""Texts are sorted within random pools, so that batches differ from epoch to epoch: at least three
of them, or one for each batch where there are fewer batches."""


class LengthGroupedSampler(Sampler[int]):
    """Places of rows; every ``batch_size`` in a row are of about the same length."""

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch whose order comes next; the Trainer calls it."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        chance = torch.Generator().manual_seed(self._seed * 1_000_003 + self._epoch)
        shuffled = torch.randperm(len(self), generator=chance).tolist()
        batches_a_pool = min(_BATCHES_A_POOL, len(self) // (_POOLS * self._batch_size))
        pool_size = self._batch_size * max(1, batches_a_pool)
        by_length = [
            place
            for start in range(0, len(shuffled), pool_size)
            for place in sorted(
                shuffled[start : start + pool_size], key=lambda place: -self._lengths[place]
            )
        ]
        # The last batch may be short, so it stays last.
        full = len(self) // self._batch_size
        for batch in (*torch.randperm(full, generator=chance).tolist(), full):
            yield from by_length[batch * self._batch_size : (batch + 1) * self._batch_size]
