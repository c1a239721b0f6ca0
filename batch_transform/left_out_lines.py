"""
The lines that are not sent, each accounted for by name and line in the job's `left_out.jsonl`.

The codes are the container's, for it would say the same of such a line. Knows what happens to a
line that is no document; what makes it one is known next door.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, Self

from batch_transform.errors import InvalidInput
from batch_transform.naming import S3Uri
from batch_transform.s3_objects import S3ObjectWriter, read_lines
from batch_transform.wording import counted

_SHOWN = 20
_Group = tuple[str, bool]
"""Lines of one code, those apart that spoil their files."""


@dataclass(frozen=True, slots=True)
class LeftOutLine:
    """
    A line that cannot be sent: `EmptyDocument`, `InvalidEncoding` or `DocumentTooLarge`.

    Given its file as it lies, the container answers it in its place; not so one that *spoils_file*,
    which costs other lines their answers or their sense.
    """

    source: str
    line: int
    code: str
    reason: str
    spoils_file: bool = False

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
        self._counts: Counter[_Group] = Counter()
        self._first: dict[_Group, list[LeftOutLine]] = {}
        self._file = S3ObjectWriter(s3, place, "application/jsonlines") if place else None

    @property
    def counts(self) -> dict[str, int]:
        """How many there are, by code."""
        counts: Counter[str] = Counter()
        for (code, _), count in self._counts.items():
            counts[code] += count
        return dict(counts)

    def add(self, line: LeftOutLine) -> None:
        """Take one line into the account."""
        group = line.code, line.spoils_file
        self._counts[group] += 1
        first = self._first.setdefault(group, [])
        if len(first) < _SHOWN:
            first.append(line)
        if self._file:
            self._file.write(line.to_json())

    def check(
        self, documents: int, input_uri: S3Uri, *, is_strict: bool, is_read_as_it_is: bool
    ) -> None:
        """
        Raise InvalidInput, naming the lines, unless the other *documents* can be sent without them.

        No line may be left out if *is_strict*, none that spoils its file if files are read as they
        are; and a job of no document at all would cost a machine and answer nothing.
        """
        if is_strict:
            self._refuse(self._counts)
        if is_read_as_it_is:
            self._refuse(group for group in self._counts if group[1])
        if not documents:
            self._refuse(group for group in self._counts if group[0] != "EmptyDocument")
            raise InvalidInput(f"the files under {input_uri} hold blank lines only")

    def _refuse(self, groups: Iterable[_Group]) -> None:
        refused = list(groups)
        if not refused:
            return
        count = sum(self._counts[group] for group in refused)
        shown = [str(line) for group in refused for line in self._first[group]][:_SHOWN]
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
