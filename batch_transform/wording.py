"""How counted things and times are written in messages, tables and pages."""

from collections.abc import Sequence
from datetime import UTC, datetime


def counted(count: int, noun: str) -> str:
    """Return `1 file`, `0 files` or `2,000 files`, for nouns whose plural takes an s."""
    return f"{count:,} {noun}" + "s" * (count != 1)


def first_of(things: Sequence[object], count: int) -> list[str]:
    """Return the first *count* things, one a line, and how many there are besides."""
    more = len(things) - count
    return [*map(str, things[:count]), *([f"and {more:,} more"] if more > 0 else [])]


def in_utc(moment: datetime) -> str:
    """Return a time that means the same wherever it is read: `2026-11-20 12:00:00 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
