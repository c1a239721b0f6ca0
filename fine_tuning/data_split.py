"""Which rows are trained on and which are held out; the same seed holds out the same rows.

Knows how to keep every class in the same share. Does not know files or models.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from fine_tuning.labelled_texts import LabelledText
from fine_tuning.problem_types import MultiLabel, ProblemType, Regression

_QUANTILES = 10
_ROWS_A_QUANTILE = 10
"""At least; a tenth of fewer would be less than one row."""


def stratified_folds(
    examples: Sequence[LabelledText], problem: ProblemType, folds: int, seed: int
) -> Iterator[tuple[list[LabelledText], list[LabelledText]]]:
    """Yields (training, held out) ``folds`` times; every row is held out exactly once.

    The rows of one stratum are dealt out in turn.
    """
    fold_of = _dealt(examples, problem, folds, seed)
    for held_out_fold in range(folds):
        training, held_out = [], []
        for example, fold in zip(examples, fold_of, strict=True):
            (held_out if fold == held_out_fold else training).append(example)
        yield training, held_out


def stratified_split(
    examples: Sequence[LabelledText], problem: ProblemType, share: float, seed: int
) -> tuple[list[LabelledText], list[LabelledText]]:
    """Training rows and held-out rows: ``share`` of each stratum, at least one, never all.

    So where classes have few rows, more than ``share`` of the file is held out.
    """
    rng = random.Random(seed)  # noqa: S311 (a split, not a secret)
    held_out: set[int] = set()
    for places in _strata(examples, problem):
        rng.shuffle(places)
        count = min(max(1, round(len(places) * share)), len(places) - 1)
        held_out.update(places[:count])
    training = [example for place, example in enumerate(examples) if place not in held_out]
    return training, [examples[place] for place in sorted(held_out)]


def _dealt(
    examples: Sequence[LabelledText], problem: ProblemType, folds: int, seed: int
) -> list[int]:
    rng = random.Random(seed)  # noqa: S311 (a split, not a secret)
    fold_of = [0] * len(examples)
    dealt = 0
    for places in _strata(examples, problem):
        rng.shuffle(places)
        for place in places:
            fold_of[place] = dealt % folds
            dealt += 1
    return fold_of


def _strata(examples: Sequence[LabelledText], problem: ProblemType) -> list[list[int]]:
    """Places of the rows that should be spread alike: those of one class, of one tenth of the
    numbers, or, of several labels, those whose rarest label is the same.

    Strata by whole sets of labels would be many and small, and half of the file held out.
    """
    strata: dict[object, list[int]] = defaultdict(list)
    if problem.name == Regression.name:
        quantiles = max(1, min(_QUANTILES, len(examples) // _ROWS_A_QUANTILE))
        by_number = sorted(range(len(examples)), key=lambda place: examples[place].label)
        for rank, place in enumerate(by_number):
            strata[rank * quantiles // len(examples)].append(place)
    elif problem.name == MultiLabel.name:
        rows_with = Counter(label for example in examples for label in example.label)
        for place, example in enumerate(examples):
            by_rarity = sorted(example.label, key=lambda label: (rows_with[label], label))
            strata[by_rarity[0] if by_rarity else None].append(place)
    else:
        for place, example in enumerate(examples):
            strata[example.label].append(place)
    # Rows that are alone with their label are spread together: of one row no share can be taken.
    alone = [places[0] for places in strata.values() if len(places) == 1]
    return [places for places in strata.values() if len(places) > 1] + [alone] * bool(alone)
