"""Finds held-out texts that were also trained on, word for word or nearly.

A measure on such texts flatters the model. Knows texts only; what is done about them is decided
elsewhere. Near means: of all runs of five words in the two texts, at least 80% are in both.
"""

import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fine_tuning.labelled_texts import LabelledText

NEAR_SHARE = 0.8
_RUN_IN_WORDS = 5
_BANDS, _ROWS_A_BAND = 16, 4
_PRIME = 2**31 - 1


@dataclass(frozen=True)
class Duplicate:
    """A held-out text and the training text that it repeats."""

    held_out: LabelledText
    training: LabelledText
    shared: float
    """Share of runs of words in both; 1 where the texts differ by case and punctuation at most."""


def duplicates_across(
    training: Sequence[LabelledText], held_out: Sequence[LabelledText]
) -> list[Duplicate]:
    """One entry for each held-out text that has a duplicate, with the nearest one.

    Candidates come from MinHash bands (16 of 4), which miss one pair in 4,000 at 80% shared and
    fewer above; each is then compared exactly.
    """
    in_band: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    runs_of = [_runs_of_words(example.text) for example in training]
    for place, runs in enumerate(runs_of):
        for band in _bands(runs):
            in_band[band].append(place)
    found = []
    for example in held_out:
        runs = _runs_of_words(example.text)
        candidates = {place for band in _bands(runs) for place in in_band.get(band, ())}
        nearest = max(
            ((_shared(runs, runs_of[place]), -place) for place in candidates), default=(0.0, 0)
        )
        if nearest[0] >= NEAR_SHARE:
            found.append(Duplicate(example, training[-nearest[1]], nearest[0]))
    return found


def _runs_of_words(text: str) -> frozenset[int]:
    words = re.findall(r"\w+", text.casefold())
    last_start = max(1, len(words) - _RUN_IN_WORDS + 1)
    return frozenset(
        zlib.crc32(" ".join(words[start : start + _RUN_IN_WORDS]).encode())
        for start in range(last_start)
    )


def _shared(one: frozenset[int], other: frozenset[int]) -> float:
    return len(one & other) / len(one | other)


_RNG = np.random.default_rng(0)
_FACTORS = _RNG.integers(1, _PRIME, (_BANDS * _ROWS_A_BAND, 1), dtype=np.uint64)
_SUMMANDS = _RNG.integers(0, _PRIME, (_BANDS * _ROWS_A_BAND, 1), dtype=np.uint64)


def _bands(runs: frozenset[int]) -> Iterator[tuple[int, bytes]]:
    hashes = (_FACTORS * (np.fromiter(runs, np.uint64, len(runs)) % _PRIME) + _SUMMANDS) % _PRIME
    smallest = hashes.min(axis=1).reshape(_BANDS, _ROWS_A_BAND)
    for band, values in enumerate(smallest):
        yield band, values.tobytes()
