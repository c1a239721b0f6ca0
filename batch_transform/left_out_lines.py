"""
The lines that are not sent, each accounted for by name and line in the job's `left_out.jsonl`.

The codes are the container's, for it would say the same of such a line. Knows what happens to a
line that is no document; what makes it one is known next door.
"""

import json
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, Self

from batch_transform.errors import InvalidInput
from batch_transform.naming import S3Uri
from batch_transform.s3_objects import S3ObjectWriter, read_lines
from batch_transform.wording import counted

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class LeftOutLine:
    """A line that cannot be sent: `EmptyDocument`, `InvalidEncoding` or `DocumentTooLarge`."""

    source: str
    line: int
    code: str
    reason: str

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read what `to_json` wrote."""
        record = json.loads(text)
        error = record["error"]
        return cls(record["source"], record["line"], error["code"], error["message"])

    def to_json(self) -> bytes:
        """Return it as the container would answer it, its line end included."""
        error = {"code": self.code, "message": self.reason}
        record = {"source": self.source, "line": self.line, "error": error}
        return json.dumps(record, ensure_ascii=False).encode() + b"\n"

    def __str__(self) -> str:
        return f"{self.source} line {self.line}: {self.reason}"


def first_left_out(s3: Any, place: S3Uri, count: int) -> list[str]:
    """Return the first lines of an account that are not just blank, each in a sentence."""
    told = (LeftOutLine.from_json(line) for line in read_lines(s3, place))
    return [str(line) for line in islice((t for t in told if t.code != "EmptyDocument"), count)]


class LeftOutLines:
    """
    The account of one reading: counts by code, the first few, and all of them in a file.

    *place* gets the file when the block ends well and there was any such line; without a *place*
    they are only counted.
    """

    def __init__(self, s3: Any, place: S3Uri | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self._first: dict[str, list[LeftOutLine]] = {}
        self._file = S3ObjectWriter(s3, place, "application/jsonlines") if place else None

    def add(self, line: LeftOutLine) -> None:
        """Take one line into the account."""
        self.counts[line.code] += 1
        first = self._first.setdefault(line.code, [])
        if len(first) < _SHOWN:
            first.append(line)
        if self._file:
            self._file.write(line.to_json())

    def refuse(self, *codes: str) -> None:
        """Raise InvalidInput, naming the lines, where there are any of these codes, or of any."""
        refused = [code for code in self._first if not codes or code in codes]
        if not refused:
            return
        count = sum(self.counts[code] for code in refused)
        shown = [str(line) for code in refused for line in self._first[code]][:_SHOWN]
        heading = f"cannot be sent: {counted(count, 'line')} of the input; mend or remove:"
        more = [f"and {count - len(shown):,} more"] if count > len(shown) else []
        raise InvalidInput("\n".join([heading, *shown, *more]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file:
            self._file.__exit__(kind, error, traceback)
