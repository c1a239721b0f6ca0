"""Micro-batches: every document once, within the budget."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.micro_batches import packed_micro_batches, padded_micro_batches

lengths_lists = st.lists(st.integers(1, 300), max_size=200)
planners = pytest.mark.parametrize("planner", [padded_micro_batches, packed_micro_batches])


def padded_cost(lengths):
    """Tokens of the rectangle around these documents."""
    return len(lengths) * max(lengths)


COSTS = {padded_micro_batches: padded_cost, packed_micro_batches: sum}


@planners
@given(lengths=lengths_lists, max_tokens=st.integers(1, 1000))
def test_each_document_is_in_exactly_one_micro_batch_within_the_budget(
    planner, lengths, max_tokens
):
    """None is lost or doubled, and only a document too long by itself exceeds the budget, alone."""
    micro_batches = planner(lengths, max_tokens)

    assert sorted(chain.from_iterable(micro_batches)) == list(range(len(lengths)))
    for micro_batch in micro_batches:
        cost = COSTS[planner]([lengths[position] for position in micro_batch])
        assert cost <= max_tokens or len(micro_batch) == 1


@given(lengths=lengths_lists)
def test_packed_rows_are_never_two_half_empty_ones(lengths):
    """Two rows that would fit into one were not opened."""
    totals = sorted(
        sum(lengths[position] for position in row) for row in packed_micro_batches(lengths, 300)
    )

    assert len(totals) < 2 or totals[0] + totals[1] > 300


def test_padding_stays_small_among_texts_of_real_lengths():
    """Sorted by length, documents from 10 to 1,000 tokens cost little more than their tokens."""
    lengths = [10 + (7919 * n) % 991 for n in range(500)]

    rectangles = padded_micro_batches(lengths, 4096)
    computed = sum(padded_cost([lengths[n] for n in rectangle]) for rectangle in rectangles)

    assert computed < 1.1 * sum(lengths)
