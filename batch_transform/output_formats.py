"""
The forms in which all answers can be had: json, jsonl, csv and, on a laptop, parquet.

Each form is a class that writes record by record into a stream. Knows answers; knows neither S3
nor where they come from.
"""

import csv
import importlib
import io
from typing import Any, Protocol

from batch_transform.errors import InvalidSettings
from batch_transform.review_list import harmless_cell, margin_of

COLUMNS = ("source", "line", "predicted_class", "score", "margin", "error_code", "text")
_ROWS_A_GROUP = 50_000


class Sink(Protocol):
    """What the records are written into."""

    def write(self, data: bytes) -> None:
        """Take the next bytes."""


class RecordWriter(Protocol):
    """One form of the answers; *line* is the answer as the container wrote it, with no end."""

    def write(self, line: bytes, answer: dict[str, Any]) -> None:
        """Add one record."""

    def finish(self) -> None:
        """Write what comes after the last record."""


class JsonWriter:
    """One JSON array, one record a line."""

    content_type = "application/json"

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._separator = b"[\n"

    def write(self, line: bytes, _answer: dict[str, Any]) -> None:
        """Add one record."""
        self._sink.write(self._separator + line)
        self._separator = b",\n"

    def finish(self) -> None:
        """Close the array, which may be empty."""
        self._sink.write(b"\n]\n" if self._separator == b",\n" else b"[]\n")


class JsonLinesWriter:
    """One JSON object a line."""

    content_type = "application/jsonlines"

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, line: bytes, _answer: dict[str, Any]) -> None:
        """Add one record."""
        self._sink.write(line + b"\n")

    def finish(self) -> None:
        """Write nothing: the last line is complete."""


class CsvWriter:
    """One row a record, under the names of the columns."""

    content_type = "text/csv"

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = io.StringIO()
        self._rows = csv.writer(self._buffer)
        self._rows.writerow(COLUMNS)

    def write(self, _line: bytes, answer: dict[str, Any]) -> None:
        """Add one record."""
        self._rows.writerow(map(harmless_cell, _cells(answer)))
        self._sink.write(self._buffer.getvalue().encode())
        self._buffer.seek(0)
        self._buffer.truncate()

    def finish(self) -> None:
        """Write the names of the columns where no record came after them."""
        self._sink.write(self._buffer.getvalue().encode())


class ParquetWriter:
    """One row a record, in columns; needs pyarrow, which only this form asks for."""

    content_type = "application/vnd.apache.parquet"

    def __init__(self, sink: Sink) -> None:
        self._arrow, parquet = _import_pyarrow()
        text, number = self._arrow.string(), self._arrow.float64()
        types = (text, self._arrow.int64(), text, number, number, text, text)
        self._schema = self._arrow.schema(list(zip(COLUMNS, types, strict=True)))
        self._file = parquet.ParquetWriter(_AppendOnlyFile(sink), self._schema)
        self._rows: list[tuple] = []

    def write(self, _line: bytes, answer: dict[str, Any]) -> None:
        """Add one record."""
        self._rows.append(_cells(answer))
        if len(self._rows) == _ROWS_A_GROUP:
            self._write_group()

    def finish(self) -> None:
        """Write the rows that are left, and the footer."""
        self._write_group()
        self._file.close()

    def _write_group(self) -> None:
        if self._rows:
            columns = [list(column) for column in zip(*self._rows, strict=True)]
            self._file.write_table(self._arrow.table(columns, schema=self._schema))
            self._rows.clear()


FORMATS: dict[str, type] = {
    "json": JsonWriter,
    "jsonl": JsonLinesWriter,
    "csv": CsvWriter,
    "parquet": ParquetWriter,
}


def check_format(name: str) -> None:
    """Raise InvalidSettings where this machine cannot write the form, before it is needed."""
    if name == "parquet":
        _import_pyarrow()


class _AppendOnlyFile(io.RawIOBase):
    """A sink that looks like a file and counts its bytes, as parquet's footer needs them."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._sink.write(bytes(data))
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position


def _cells(answer: dict[str, Any]) -> tuple:
    identity, text = (answer["source"], answer["line"]), answer.get("text")
    if "error" in answer:
        return (*identity, None, None, None, answer["error"]["code"], text)
    top = answer["predictions"]["top_predictions"]
    return (*identity, top[0]["class"], top[0]["score"], margin_of(top), None, text)


def _import_pyarrow() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise InvalidSettings(
            ["--output-format parquet needs pyarrow on this machine: pip install pyarrow"]
        ) from None
