"""One record: the document to classify, or the reason why there is none.

Knows the fields of a record; knows neither how a body is divided into records nor HTTP.
"""

from dataclasses import dataclass, field, replace
from typing import Any

RESERVED_FIELDS = ("predictions", "error")
# Shared by all records that have none: a body may hold millions.
NO_FIELDS: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Document:
    """A record that can be classified: its text, and the fields its answer gives back."""

    text: str
    echo: dict[str, Any] = field(default_factory=lambda: NO_FIELDS)


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A record that cannot be classified: a stable code, a sentence, and the fields given back."""

    code: str
    message: str
    echo: dict[str, Any] = field(default_factory=lambda: NO_FIELDS)

    @property
    def answer(self) -> dict[str, Any]:
        """What the response says in this record's place."""
        return {**self.echo, "error": {"code": self.code, "message": self.message}}


# One for all blank lines.
BLANK = RejectedRecord(
    "EmptyDocument", "The document holds no text, so there is nothing to classify."
)
Record = Document | RejectedRecord


def record_of_text(text: str, echo: dict[str, Any] = NO_FIELDS) -> Record:
    """A document, unless its text is blank or no text at all."""
    if not text.strip():
        return replace(BLANK, echo=echo) if echo else BLANK
    try:
        text.encode()
    except UnicodeEncodeError:
        return RejectedRecord(
            "InvalidEncoding",
            "The document holds bytes that are not UTF-8, or half of a surrogate pair. "
            "Convert the input to UTF-8, and write characters beyond U+FFFF whole.",
            echo,
        )
    return Document(text, echo or NO_FIELDS)


def record_of_value(value: Any) -> Record:
    """The record that a JSON value means: a string, or an object with the field "text"."""
    if isinstance(value, str):
        return record_of_text(value)
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
    return record_of_text(value["text"], echo)


def _json_type(value: Any) -> str:
    names = {bool: "a boolean", list: "a list", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number")
