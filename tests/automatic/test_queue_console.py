"""What an operator reads of the queue on a terminal."""

import pytest

from batch_transform.request_queue import QueueCounts
from batch_transform.terminal import print_queue


def test_dead_letters_that_another_reader_holds_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They cannot be listed while they are hidden, but nobody is told that there are none."""
    print_queue(QueueCounts(waiting=0, resting=0, dead_letters=3), [], [])
    assert "requests set aside: 3" in capsys.readouterr().out
