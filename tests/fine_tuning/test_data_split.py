"""Which rows are held out."""

import itertools

import pytest

from fine_tuning.data_split import stratified_folds, stratified_split
from fine_tuning.labelled_texts import LabelledText
from fine_tuning.problem_types import MultiLabel, Regression, SingleLabel

EXAMPLES = [LabelledText(f"{label}{n}", label) for label in "AB" for n in range(20)]
EXAMPLES += [LabelledText("C0", "C"), LabelledText("C1", "C")]
CLASSES = SingleLabel(("A", "B", "C"))


def test_a_split_holds_out_the_same_share_of_each_class():
    """Every row lands on one side, rare classes on both sides; the seed alone decides."""
    training, validation = stratified_split(EXAMPLES, CLASSES, 0.1, seed=1)
    assert sorted(example.label for example in validation) == ["A", "A", "B", "B", "C"]
    assert {*training, *validation} == set(EXAMPLES)
    assert len(training) + len(validation) == len(EXAMPLES)
    assert stratified_split(EXAMPLES, CLASSES, 0.1, seed=1) == (training, validation)
    assert stratified_split(EXAMPLES, CLASSES, 0.1, seed=2) != (training, validation)


def test_a_split_of_numbers_holds_out_small_and_large_ones():
    """Each tenth of the numbers gives its share."""
    examples = [LabelledText(str(n), float(n)) for n in range(100)]
    _, validation = stratified_split(examples, Regression(("n",)), 0.1, seed=1)
    assert sorted(int(example.label) // 10 for example in validation) == list(range(10))


def test_rows_with_labels_that_no_other_row_has_are_held_out_too():
    """Many labels make many sets of them; a few numbers are all different."""
    sets = [LabelledText(str(n), tuple(f"{n:06b}")) for n in range(40)]
    numbers = [LabelledText(str(n), float(n)) for n in range(8)]
    for examples, problem, held_out in (
        (sets, MultiLabel(("0", "1")), 4),
        (numbers, Regression(("n",)), 1),
    ):
        training, validation = stratified_split(examples, problem, 0.1, seed=1)
        assert len(validation) == held_out
        assert len(training) + len(validation) == len(examples)


def test_small_strata_do_not_hold_out_half_of_a_file():
    """About a tenth of 90 rows with 45 pairs of labels, and of 20 numbers."""
    names = "abcdefghij"
    pairs = [
        LabelledText(f"{one}{other}{row}", (one, other))
        for one, other in itertools.combinations(names, 2)
        for row in range(2)
    ]
    training, validation = stratified_split(pairs, MultiLabel(tuple(names)), 0.1, seed=1)
    assert 9 <= len(validation) <= 12
    # All labels are equally rare here, so the last one is never the rarest of a pair.
    for part in (training, validation):
        assert {*names[:-1]} <= {label for example in part for label in example.label}
    numbers = [LabelledText(str(n), float(n)) for n in range(20)]
    _, validation = stratified_split(numbers, Regression(("n",)), 0.1, seed=1)
    assert [int(example.label) // 10 for example in validation] == [0, 1]


@pytest.mark.parametrize("folds", [2, 5])
def test_folds_hold_out_every_row_once(folds):
    """The parts are as large as one another, and none trains on what it holds out."""
    parts = list(stratified_folds(EXAMPLES, CLASSES, folds, seed=1))
    held_out = [example for _, part in parts for example in part]
    assert sorted(held_out, key=str) == sorted(EXAMPLES, key=str)
    assert max(len(part) for _, part in parts) - min(len(part) for _, part in parts) <= 1
    assert all(not set(training) & set(part) for training, part in parts)
