"""Reads a table from CSV, TSV, JSON Lines or Parquet as rows of cells.

Knows file formats and how each of them can be broken. Does not know what a column means. A row is
numbered as its user sees it, blank ones counted: in CSV and TSV the header is row 1, in the others
the first row is 1.
"""

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from fine_tuning.errors import FineTuningError

# A document may be longer than the 131,072 characters that csv takes for a cell.
csv.field_size_limit(sys.maxsize)
_EXAMPLE_ROW = '{"text": "…", "label": "…"}'


@dataclass(frozen=True)
class Row:
    """One row: its number, and its cells by column."""

    number: int
    cells: dict[str, Any]


@dataclass(frozen=True)
class Table:
    """A file's rows, at least one, and its columns in their order."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(path: Path) -> Table:
    """The table in ``path``; FineTuningError for a file that cannot be read as its ending says."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise FineTuningError(
            f"Could not read {path}: its name ends in {path.suffix or 'nothing'!r}. "
            f"Give a file that ends in one of {', '.join(_READERS)}."
        )
    try:
        table = reader(path)
    except OSError as error:
        raise FineTuningError(
            f"Could not read {path}: {error.strerror or error}. Give the path of a readable file."
        ) from error
    if twice := [name for name, count in Counter(table.columns).items() if count > 1]:
        raise FineTuningError(
            f"{path} has {len(table.columns)} columns, several of them named {twice[0]!r}. Give "
            "each column a name of its own."
        )
    if not table.rows:
        raise FineTuningError(f"{path} holds no rows below its header. Give labelled texts.")
    return table


def _read_csv(path: Path, delimiter: str | None = None) -> Table:
    content = _decoded(path)
    # newline="" keeps the line breaks of quoted cells as they are.
    lines = io.StringIO(content, newline="")
    reader = csv.reader(lines, strict=True, delimiter=delimiter or _delimiter(content))
    numbered = _numbered(path, reader)
    _, header = next(numbered, (1, ()))
    columns = tuple(header)
    return Table(path, columns, tuple(_csv_rows(path, columns, numbered)))


def _numbered(path: Path, reader: Iterable[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Blank lines are no rows, but whoever looks for row 7 in an editor counts them.

    A quote that nothing closes is noticed where the file ends; the row is the one that opens it.
    """
    number = 0
    try:
        for number, cells in enumerate(reader, start=1):
            if cells:
                yield number, cells
    except csv.Error as error:
        raise FineTuningError(
            f"{path}, row {number + 1} is not valid CSV ({error}). Put texts that hold commas, "
            "quotes or line breaks in double quotes, and write a quote within them twice."
        ) from error


def _delimiter(content: str) -> str:
    """Excel writes semicolons where a comma stands in numbers, and tabs into its text files."""
    header = content.lstrip().partition("\n")[0]
    return next((mark for mark in ",;\t" if mark in header), ",")


def _csv_rows(
    path: Path, columns: tuple[str, ...], numbered: Iterable[tuple[int, list[str]]]
) -> Iterator[Row]:
    for number, cells in numbered:
        if len(cells) > len(columns):
            raise FineTuningError(
                f"{path}, row {number} has more cells than the header has columns. "
                "Put texts that hold commas in double quotes."
            )
        yield Row(number, dict(zip_longest(columns, cells)))


def _read_json_lines(path: Path) -> Table:
    rows, columns = [], {}
    for number, line in enumerate(_decoded(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            cells = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FineTuningError(
                f"{path}, row {number} is not JSON: {error}. Write one object a line, such as "
                f"{_EXAMPLE_ROW}."
            ) from error
        if not isinstance(cells, dict):
            raise FineTuningError(
                f"{path}, row {number} is a JSON {type(cells).__name__}, expected an object "
                f"such as {_EXAMPLE_ROW}."
            )
        _check_characters(path, number, cells)
        rows.append(Row(number, cells))
        columns |= dict.fromkeys(cells)
    return Table(path, tuple(columns), tuple(rows))


def _check_characters(path: Path, number: int, cells: dict[str, Any]) -> None:
    """JSON can write one half of a surrogate pair, which is no character."""
    try:
        json.dumps(cells, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise FineTuningError(
            f"{path}, row {number} holds {error.object[error.start]!a}, one half of a character: "
            "it was cut in two. Mend the text, or remove the row."
        ) from error


def _read_parquet(path: Path) -> Table:
    import pyarrow  # noqa: PLC0415 (a second to import, and seldom needed)
    from pyarrow import parquet  # noqa: PLC0415

    try:
        content = parquet.read_table(path)
    except pyarrow.ArrowInvalid as error:
        raise FineTuningError(f"Could not read {path}: it is not Parquet ({error}).") from error
    rows = (Row(number, cells) for number, cells in enumerate(content.to_pylist(), start=1))
    return Table(path, tuple(content.column_names), tuple(rows))


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        looks_like = "UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "another encoding"
        raise FineTuningError(
            f"Could not read {path}: line {line}, byte {error.start} of the file, is not UTF-8; "
            f"this looks like {looks_like}. Save the file as UTF-8."
        ) from error


_READERS: dict[str, Callable[[Path], Table]] = {
    ".csv": _read_csv,
    ".tsv": lambda path: _read_csv(path, "\t"),
    ".jsonl": _read_json_lines,
    ".parquet": _read_parquet,
}
