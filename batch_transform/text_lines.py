"""
What each line of a text is: a document, or a line that cannot be sent, and why.

Only a line feed ends a line. Streams, whatever the length of a line or of the text; knows neither
files nor S3.
"""

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from batch_transform.left_out_lines import LeftOutLine

_SKIP_BYTES = 1 << 20
_OTHER_ENCODINGS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # begins with the mark of UTF-16
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
"""By the mark that a file begins with; Windows editors call UTF-16 "Unicode"."""


@dataclass(frozen=True, slots=True)
class Document:
    """One line of a file; *line* is 1-based and counts blank lines, as an editor does."""

    source: str
    line: int
    text: str


Line = Document | LeftOutLine


def read_text(source: str, text: io.BufferedIOBase, max_bytes: int) -> Iterator[Line]:
    """
    Yield what each line of a text is, one at a time. A `\\r` before the line end is no text.

    No more than *max_bytes* of a line are held: the rest of a longer one is read past. *source* is
    the name that the lines bear.
    """
    first = text.readline(max_bytes)
    marks = (mark for mark in _OTHER_ENCODINGS if first.startswith(mark))
    if mark := next(marks, None):
        yield from _lines_of_encoding(_OTHER_ENCODINGS[mark], source, first, text)
        return
    lines = chain([first], iter(lambda: text.readline(max_bytes), b"")) if first else ()
    for number, raw in enumerate(lines, start=1):
        if len(raw) == max_bytes and not raw.endswith(b"\n"):
            _skip_line(text)
            yield too_large(source, number, max_bytes)
        else:
            yield read_line(source, number, raw)


def read_line(source: str, number: int, raw: bytes) -> Line:
    """Tell what one line is, its line end included or not; the size of a request is not asked."""
    if number == 1:
        raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        text = raw.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError as error:
        reason = f"byte {error.start + 1} of the line is not UTF-8 (0x{raw[error.start]:02x})"
        return LeftOutLine(source, number, "InvalidEncoding", reason)
    if text.strip():
        return Document(source, number, text)
    return LeftOutLine(source, number, "EmptyDocument", "the line is blank")


def too_large(source: str, number: int, max_bytes: int) -> LeftOutLine:
    """Return what is to be said of a line that is longer than a request may be."""
    reason = f"the document does not fit into a request of {max_bytes >> 20} MB"
    return LeftOutLine(source, number, "DocumentTooLarge", reason, spoils_file=True)


def _lines_of_encoding(
    encoding: str, source: str, beginning: bytes, text: io.BufferedIOBase
) -> Iterator[LeftOutLine]:
    """
    Yield each line of a text that is not UTF-8 as one that cannot be sent.

    Taken for UTF-8, all but its first line would be texts: every other character a NUL.
    """
    reason = f"the file is {encoding}: save it as UTF-8"

    def line(number: int) -> LeftOutLine:
        return LeftOutLine(source, number, "InvalidEncoding", reason, spoils_file=True)

    decoder = codecs.getincrementaldecoder(encoding)("replace")
    lines, is_line_open = 0, True
    for piece in chain([beginning], iter(lambda: text.read(_SKIP_BYTES), b"")):
        characters = decoder.decode(piece)
        for _ in range(characters.count("\n")):
            lines += 1
            yield line(lines)
        if characters:
            is_line_open = not characters.endswith("\n")
    if is_line_open:
        yield line(lines + 1)


def _skip_line(text: io.BufferedIOBase) -> None:
    while rest := text.readline(_SKIP_BYTES):
        if rest.endswith(b"\n"):
            return
