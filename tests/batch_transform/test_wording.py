"""Counted things, as people write them."""

import pytest

from batch_transform.wording import counted


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 shards"), (1, "1 shard"), (2, "2 shards"), (5_000, "5,000 shards")]
)
def test_one_thing_is_no_plural(count: int, told: str) -> None:
    """Large numbers can be read, too."""
    assert counted(count, "shard") == told
