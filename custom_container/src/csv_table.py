"""text/csv: rows below a header to records, answers to rows.

In a row of the input, the column "text" is the document and every other column is given back. In
a row of the answer stand predicted_class, score and the error's code, then what is given back;
rows have no header, because SageMaker joins responses. Knows RFC 4180; knows no other format.
"""

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from src.documents import Record, RejectedRecord, record_of_text, record_of_value
from src.errors import UnreadableRequest

# A document may be longer than the 131,072 characters csv allows; the body's size is the bound.
csv.field_size_limit(sys.maxsize)


def read_csv(body: bytes) -> Iterator[Record]:
    """One record a row; the first row names the columns.

    A row may hold line ends in quotes, so it is found by its quotes. Raises UnreadableRequest
    where these are broken, for then it is not known where any later row begins.
    """
    if body.isspace():
        return
    # Bytes that are not UTF-8 become half surrogates, which cost their own record only.
    text = body.decode(errors="surrogateescape")
    rows = csv.reader(io.StringIO(text, newline="\n"), strict=True)
    try:
        header = _header(next(rows))
        for row in rows:
            yield _record_of_row(header, row)
    except csv.Error as error:
        raise UnreadableRequest(
            f"Cannot read the body as text/csv: {error}, line {rows.line_num}. Put a field that "
            'holds a comma, a quote or a line end in quotes, and write its quotes twice: "".'
        ) from error


def _header(names: list[str]) -> list[str]:
    if "text" not in names or len(set(names)) < len(names):
        raise UnreadableRequest(
            "Cannot read the body as text/csv: its first row must name each column once, and one "
            'of them "text". Where SageMaker splits files by line, only the first body has the '
            "header: set SplitType to None."
        )
    return names


def _record_of_row(header: list[str], row: list[str]) -> Record:
    if not row:
        return record_of_text("")
    if len(row) != len(header):
        return RejectedRecord(
            "InvalidRow",
            f"The row has {len(row)} fields, but the header has {len(header)}. "
            "Put a field that holds a comma in quotes.",
        )
    return record_of_value(dict(zip(header, row, strict=True)))


def write_csv(answers: Iterable[dict[str, Any]]) -> bytes:
    """One line per answer, UTF-8, with no newline after the last.

    A line end within a field would part its row: such a field is written as JSON writes it.
    """
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows(map(_row, answers))
    return lines.getvalue().removesuffix("\n").encode("utf-8", "backslashreplace")


def _row(answer: dict[str, Any]) -> list[str]:
    echo = [_field(value) for name, value in answer.items() if name not in ("predictions", "error")]
    if "error" in answer:
        return ["", "", answer["error"]["code"], *echo]
    predictions = answer["predictions"]
    best = predictions["top_predictions"][0]
    return [_field(predictions["predicted_class"]), str(best["score"]), "", *echo]


def _field(value: Any) -> str:
    is_one_line = isinstance(value, str) and "\n" not in value and "\r" not in value
    return value if is_one_line else json.dumps(value, ensure_ascii=False)
