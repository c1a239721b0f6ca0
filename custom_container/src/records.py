"""Request bodies to records, answers to response lines.

One line in is one line out: a record that cannot be read becomes a RejectedRecord in its own
place, because one bad answer would lose its whole file. Only a body that cannot be divided into
records at all raises. Knows the wire, and neither HTTP nor models.
"""

import codecs
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from src.charsets import to_utf_8
from src.csv_table import read_csv, write_csv
from src.documents import Record, RejectedRecord, record_of_text, record_of_value
from src.errors import UnreadableRequest, UnsupportedContentType

TEXT = "text/plain"
JSON = "application/json"
JSON_LINES = "application/jsonlines"
CSV = "text/csv"
# The one member of an application/json object that may hold several records.
RECORD_LISTS = ("instances", "inputs", "data")


def read_records(body: bytes, content_type: str) -> list[Record]:
    """The records of one request body, in order; an empty body holds none.

    `content_type` is the header's whole value, of whose parameters only the charset is read.
    Raises UnsupportedContentType or UnreadableRequest.
    """
    media_type, charset = _media_type_and_charset(content_type)
    reader = READERS.get(media_type)
    if reader is None:
        raise UnsupportedContentType(
            f"Cannot read a body of content type {content_type!r}, expected one of "
            f"{', '.join(READERS)}. Set the transform job's ContentType to one of these."
        )
    body = to_utf_8(body, charset).removeprefix(codecs.BOM_UTF8)
    return list(reader(body)) if body else []


def write_lines(answers: Iterable[dict[str, Any]]) -> bytes:
    """One JSON line per answer, UTF-8, with no newline after the last.

    SageMaker's AssembleWith=Line adds that last newline itself.
    """
    # Joined, all lines would stand beside the body.
    body = io.BytesIO()
    for answer in answers:
        if body.tell():
            body.write(b"\n")
        body.write(_json_line(answer))
    return body.getvalue()


# json.dumps would make an encoder a line.
_to_json = json.JSONEncoder(ensure_ascii=False).encode


def _json_line(answer: dict[str, Any]) -> bytes:
    # A lone surrogate cannot be UTF-8; written as a backslash escape it is valid JSON again.
    return _to_json(answer).encode("utf-8", "backslashreplace")


def _media_type_and_charset(content_type: str) -> tuple[str, str]:
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charset = "utf-8"
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset":
            charset = value.strip().strip('"')
    return media_type, charset


def _lines(body: bytes) -> Iterator[bytes]:
    # Only \n ends a line: real texts hold \x0b, \x0c, \x85 and \u2028.
    lines = body.split(b"\n")
    if not lines[-1]:
        lines.pop()
    yield from lines


def _read_text(body: bytes) -> Iterator[Record]:
    for line in _lines(body):
        yield _decoded(line.removesuffix(b"\r"), record_of_text)


def _read_json_lines(body: bytes) -> Iterator[Record]:
    for line in _lines(body):
        yield _decoded(line, _record_of_json_line)


def _decoded(line: bytes, read: Callable[[str], Record]) -> Record:
    try:
        return read(line.decode())
    except UnicodeDecodeError as error:
        return RejectedRecord(
            "InvalidEncoding",
            f"The line is not UTF-8: {error.reason} at byte {error.start}. "
            "Convert the input to UTF-8.",
        )


def _record_of_json_line(line: str) -> Record:
    if not line.strip():
        return record_of_text(line)
    try:
        value = _load_json(line)
    except (ValueError, RecursionError) as error:
        return RejectedRecord(
            "InvalidJson",
            f"The line cannot be read as JSON: {_reason(error)}. Expected an object such as "
            '{"text": "…"}.',
        )
    return record_of_value(value)


def _read_json(body: bytes) -> Iterator[Record]:
    if body.isspace():
        return
    try:
        value = _load_json(body.decode())
    except (ValueError, RecursionError) as error:
        raise UnreadableRequest(
            f"Cannot read the body as application/json: {_reason(error)}. Expected one JSON value; "
            f"for one JSON object a line use the content type {JSON_LINES}."
        ) from error
    for member in RECORD_LISTS:
        if isinstance(value, dict) and "text" not in value and member in value:
            value = value[member]
            break
    yield from map(record_of_value, value if isinstance(value, list) else [value])


def _load_json(text: str) -> Any:
    return json.loads(
        text, parse_constant=_refuse_constant, parse_float=_finite_float, parse_int=_short_integer
    )


def _reason(error: Exception) -> str:
    """Why a text is not read as JSON, in words that quote none of it."""
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _finite_float(literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number):
        raise ValueError("a number is too large to be given back")
    return number


def _short_integer(literal: str) -> int:
    try:
        return int(literal)
    except ValueError:  # of more digits than Python converts in a reasonable time
        raise ValueError("a number is too long to be given back") from None


READERS: dict[str, Callable[[bytes], Iterator[Record]]] = {
    TEXT: _read_text,
    JSON_LINES: _read_json_lines,
    "application/x-jsonlines": _read_json_lines,
    "application/jsonl": _read_json_lines,
    "application/x-ndjson": _read_json_lines,
    JSON: _read_json,
    CSV: read_csv,
}
# The first is written where the caller accepts anything. As application/json, too, every record
# has its own line: SageMaker joins responses and clients split them by line.
WRITERS: dict[str, Callable[[Iterable[dict[str, Any]]], bytes]] = {
    JSON_LINES: write_lines,
    JSON: write_lines,
    CSV: write_csv,
}
