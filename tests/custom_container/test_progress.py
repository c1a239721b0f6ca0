"""Progress: visible in long work, silent in short."""

import pytest

from src.progress import Progress


@pytest.fixture
def at(caplog):
    """A progress over 100 documents of 1,000 tokens whose time is set, and the lines it logs."""
    caplog.set_level("INFO")
    now = [0.0]
    progress = Progress(clock=lambda: now[0])
    progress.expect(60, 700)
    progress.expect(40, 300)

    def advance(seconds, documents, tokens):
        now[0] = seconds
        progress.advance(documents, tokens)
        return caplog.messages

    return advance


def test_a_line_tells_documents_share_and_speed(at):
    """Share by tokens, which are what takes the time."""
    assert at(5.0, 20, 500) == ["20 of 100 documents done, 50% of 1000 tokens, 100 tokens/s."]


def test_lines_are_seconds_apart(at):
    """Fifty steps in ten seconds are two lines, each with all that was done."""
    for step in range(1, 51):
        lines = at(step / 5, 2, 20)

    assert [line.split(" documents")[0] for line in lines] == ["50 of 100", "100 of 100"]


def test_short_work_is_silent(at):
    """A request of a moment has its own log line already."""
    assert at(4.9, 100, 1000) == []
