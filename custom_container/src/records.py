"""Request bodies to records, answers to response lines.

One line in is one line out: a record that cannot be read becomes a RejectedRecord in its own
place, because one bad answer would lose its whole file. Only a body that cannot be divided into
records at all raises. Knows the wire, and neither HTTP nor models.
"""

import codecs
import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from src.errors import UnreadableRequest, UnsupportedContentType

TEXT = "text/plain"
JSON = "application/json"
JSON_LINES = "application/jsonlines"
RESERVED_FIELDS = ("predictions", "error")
# The one member of an application/json object that may hold several records.
RECORD_LISTS = ("instances", "inputs", "data")


@dataclass(frozen=True)
class Document:
    """A record that can be classified: its text, and the fields its answer gives back."""

    text: str
    echo: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RejectedRecord:
    """A record that cannot be classified: a stable code, a sentence, and the fields given back."""

    code: str
    message: str
    echo: dict[str, Any] = field(default_factory=dict)


Record = Document | RejectedRecord


def read_records(body: bytes, content_type: str) -> list[Record]:
    """The records of one request body, in order; an empty body holds none.

    `content_type` is the header's whole value: parameters are allowed, a charset other than
    UTF-8 is not. Raises UnsupportedContentType or UnreadableRequest.
    """
    reader = READERS.get(_media_type(content_type))
    if reader is None:
        raise UnsupportedContentType(
            f"Cannot read a body of content type {content_type!r}, expected one of "
            f"{', '.join(READERS)}. Set the transform job's ContentType to one of these."
        )
    body = body.removeprefix(codecs.BOM_UTF8)
    return list(reader(body)) if body else []


def write_lines(answers: Iterable[dict[str, Any]]) -> bytes:
    """One JSON line per answer, UTF-8, with no newline after the last.

    SageMaker's AssembleWith=Line adds that last newline itself.
    """
    return b"\n".join(map(_json_line, answers))


def _json_line(answer: dict[str, Any]) -> bytes:
    # A lone surrogate cannot be UTF-8; written as a backslash escape it is valid JSON again.
    return json.dumps(answer, ensure_ascii=False).encode("utf-8", "backslashreplace")


def _media_type(content_type: str) -> str:
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        charset = value.strip().strip('"')
        if name.strip() == "charset" and charset not in {"utf-8", "utf8", "us-ascii"}:
            raise UnsupportedContentType(
                f"Cannot read a body in charset {charset!r}, expected utf-8. "
                "Convert the input to UTF-8."
            )
    return media_type


def _lines(body: bytes) -> Iterator[bytes]:
    # Only \n ends a line: real texts hold \x0b, \x0c, \x85 and \u2028.
    lines = body.split(b"\n")
    if not lines[-1]:
        lines.pop()
    yield from lines


def _read_text(body: bytes) -> Iterator[Record]:
    for line in _lines(body):
        yield _decoded(line.removesuffix(b"\r"), _document)


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
        return _document(line)
    try:
        value = _load_json(line)
    except (ValueError, RecursionError) as error:
        return RejectedRecord(
            "InvalidJson",
            f'The line is not valid JSON: {error}. Expected an object such as {{"text": "…"}}.',
        )
    return _record_of_value(value)


def _read_json(body: bytes) -> Iterator[Record]:
    try:
        value = _load_json(body.decode())
    except (ValueError, RecursionError) as error:
        raise UnreadableRequest(
            f"Cannot read the body as application/json: {error}. Expected one JSON value; "
            f"for one JSON object a line use the content type {JSON_LINES}."
        ) from error
    for member in RECORD_LISTS:
        if isinstance(value, dict) and "text" not in value and member in value:
            value = value[member]
            break
    yield from map(_record_of_value, value if isinstance(value, list) else [value])


def _load_json(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse_number, parse_float=_finite_float)


def _refuse_number(literal: str) -> float:
    raise ValueError(f"{literal[:40]} is not a JSON number")


def _finite_float(literal: str) -> float:
    number = float(literal)
    return number if math.isfinite(number) else _refuse_number(literal)


def _record_of_value(value: Any) -> Record:
    if isinstance(value, str):
        return _document(value)
    if not isinstance(value, dict):
        return RejectedRecord(
            "InvalidRecord",
            f'The record is {_json_type(value)}. Expected an object such as {{"text": "…"}}.',
        )
    echo = {name: value[name] for name in value if name not in ("text", *RESERVED_FIELDS)}
    for name in RESERVED_FIELDS:
        if name in value:
            return RejectedRecord(
                "ReservedField",
                f"The record has a field {name!r}, which the answer needs. Rename that field.",
                echo,
            )
    if "text" not in value:
        return RejectedRecord(
            "MissingText", 'The record has no "text". Put the document in the field "text".', echo
        )
    if not isinstance(value["text"], str):
        return RejectedRecord(
            "InvalidText",
            f'The record\'s "text" is {_json_type(value["text"])}, expected a string.',
            echo,
        )
    return _document(value["text"], echo)


def _document(text: str, echo: dict[str, Any] | None = None) -> Record:
    echo = echo or {}
    if not text.strip():
        return RejectedRecord(
            "EmptyDocument", "The document holds no text, so there is nothing to classify.", echo
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        return RejectedRecord(
            "InvalidEncoding",
            "The document holds half of a surrogate pair, which is no character. "
            "Write characters beyond U+FFFF whole.",
            echo,
        )
    return Document(text, echo)


def _json_type(value: Any) -> str:
    names = {bool: "a boolean", list: "a list", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number")


READERS: dict[str, Callable[[bytes], Iterator[Record]]] = {
    TEXT: _read_text,
    JSON_LINES: _read_json_lines,
    "application/x-jsonlines": _read_json_lines,
    "application/jsonl": _read_json_lines,
    "application/x-ndjson": _read_json_lines,
    JSON: _read_json,
}
# The first is written where the caller accepts anything. As application/json, too, every record
# has its own line: SageMaker joins responses and clients split them by line.
WRITERS: dict[str, Callable[[Iterable[dict[str, Any]]], bytes]] = {
    JSON_LINES: write_lines,
    JSON: write_lines,
}
