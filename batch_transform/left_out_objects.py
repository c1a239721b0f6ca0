"""
The objects under an input prefix that are no input: how many of each kind, and the first by name.

Memory is constant, however many there are. What makes an object input is known next door.
"""

from collections.abc import Mapping
from typing import Any

from batch_transform.wording import counted

_KEPT = 20
_SHOWN = 3


class LeftOutObjects:
    """The account of one listing; it is false where all that lies under the prefix is input."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: dict[str, list[str]] = {}

    def add(self, kind: str, name: str) -> None:
        """Take in one object: what it is, in the singular, and its key below the prefix."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        first = self._first.setdefault(kind, [])
        if len(first) < _KEPT:
            first.append(name)

    def __bool__(self) -> bool:
        return bool(self._counts)

    def __str__(self) -> str:
        return ", ".join(
            f"{counted(count, kind)} ({', '.join(self._shown(kind))})"
            for kind, count in self._counts.items()
        )

    def to_json(self) -> Mapping[str, Mapping[str, Any]]:
        """Return `{"empty file": {"count": 21, "first": ["a.txt", …]}}`, at most 20 names each."""
        return {
            kind: {"count": count, "first": list(self._first[kind])}
            for kind, count in self._counts.items()
        }

    def _shown(self, kind: str) -> list[str]:
        shown = self._first[kind][:_SHOWN]
        more = self._counts[kind] - len(shown)
        return [*shown, *([f"and {more:,} more"] if more else [])]
