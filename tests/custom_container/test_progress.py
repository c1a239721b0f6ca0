"""Progress: visible in long work, silent in short."""

import pytest

from src.progress import Progress


@pytest.fixture
def at(caplog):
    """A progress over 100 documents, half of them counted, whose time is set, and its lines."""
    caplog.set_level("INFO")
    now = [0.0]
    progress = Progress(100, clock=lambda: now[0])
    progress.count(40, 700)
    progress.count(10, 300)

    def advance(seconds, tokens):
        now[0] = seconds
        progress.advance(tokens)
        return caplog.messages

    return advance


def test_a_line_tells_documents_share_and_speed(at):
    """Share by tokens, which are what takes the time, and of the whole request."""
    assert at(5.0, 500) == ["25 of 100 documents done, 25%, 100 tokens/s."]


def test_lines_are_seconds_apart(at):
    """Fifty steps in ten seconds are two lines, each with all that was done."""
    for step in range(1, 51):
        lines = at(step / 5, 20)

    assert [line.split(" documents")[0] for line in lines] == ["25 of 100", "50 of 100"]


def test_short_work_is_silent(at):
    """A request of a moment has its own log line already."""
    assert at(4.9, 1000) == []
