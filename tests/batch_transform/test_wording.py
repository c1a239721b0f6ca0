"""Counted things, as people write them."""

import pytest

from batch_transform.wording import counted, first_of


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 shards"), (1, "1 shard"), (2, "2 shards"), (5_000, "5,000 shards")]
)
def test_one_thing_is_no_plural(count: int, told: str) -> None:
    """Large numbers can be read, too."""
    assert counted(count, "shard") == told


@pytest.mark.parametrize(
    ("things", "told"), [([], []), ([1, 2], ["1", "2"]), ([1, 2, 3, 4], ["1", "2", "and 2 more"])]
)
def test_a_list_that_is_cut_says_so(things: list[int], told: list[str]) -> None:
    """Nobody takes the first few for all."""
    assert first_of(things, 2) == told
