"""
What lies under an input prefix: text files, and in them documents, one a line.

Knows which objects are input and which lines are documents; knows no shards and no jobs.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from batch_transform.errors import InvalidInput
from batch_transform.naming import S3Uri
from batch_transform.s3_objects import S3Object, list_objects, read_lines

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PROBLEMS_SHOWN = 20


@dataclass(frozen=True)
class InputFile:
    """A text file under the input prefix; *source* is its key below that prefix."""

    source: str
    uri: S3Uri
    size_in_bytes: int
    entity_tag: str


@dataclass(frozen=True)
class InputFolder:
    """The prefix exactly as a job should be given it, and the files it holds."""

    uri: S3Uri
    files: list[InputFile]

    @property
    def size_in_bytes(self) -> int:
        """The size of all files together."""
        return sum(file.size_in_bytes for file in self.files)


@dataclass(frozen=True)
class Document:
    """One line of a file; *line* is 1-based and counts blank lines, as an editor does."""

    source: str
    line: int
    text: str


@dataclass(frozen=True)
class BlankLine:
    """A line with no text in it."""

    source: str
    line: int


@dataclass(frozen=True)
class UnreadableLine:
    """A line that is not UTF-8, with what was wrong and at which byte of the line."""

    source: str
    line: int
    reason: str


Line = Document | BlankLine | UnreadableLine


def find_input(s3: Any, prefix: S3Uri) -> InputFolder:
    """
    List the input under *prefix*: a folder, or one object given by its whole key.

    To SageMaker a prefix is a string: `in` would also take `in_old/…`. So a folder is always
    given with its `/`. Folder markers and empty objects hold no document and are left out.

    Raises InvalidInput where nothing is left.
    """
    exact = next(list_objects(s3, prefix), None) if prefix.key else None
    if exact and exact.uri == prefix and not prefix.key.endswith("/"):
        source = prefix.key.rsplit("/", 1)[-1]
        return InputFolder(prefix, _non_empty([exact], len(prefix.key) - len(source), prefix))
    folder = prefix.folder()
    return InputFolder(folder, _non_empty(list_objects(s3, folder), len(folder.key), folder))


def read_documents(s3: Any, file: InputFile) -> Iterator[Line]:
    """Yield what each line of a file is, one at a time. A `\\r` before the line end is no text."""
    for number, raw in enumerate(read_lines(s3, file.uri), start=1):
        yield _line(file.source, number, raw)


class InputScan:
    """One reading of a whole input, which keeps account of every line that is no document."""

    def __init__(self, s3: Any, folder: InputFolder, max_payload_in_mb: int) -> None:
        self._s3 = s3
        self._folder = folder
        self._max_payload_in_mb = max_payload_in_mb
        self.blank_lines = 0
        self.problems: list[str] = []

    def documents(self, on_file: Callable[[InputFile], None]) -> Iterator[Document]:
        """Yield the documents of all files; *on_file* is called as each file has been read."""
        for file in self._folder.files:
            for line in read_documents(self._s3, file):
                match line:
                    case Document():
                        yield line
                    case BlankLine():
                        self.blank_lines += 1
                    case UnreadableLine():
                        self.problems.append(f"{line.source} line {line.line}: {line.reason}")
            on_file(file)

    def fits(self, document: Document, record_bytes: int) -> bool:
        """Tell whether a document can be sent in so many bytes; keep account if it cannot."""
        if record_bytes <= self._max_payload_in_mb << 20:
            return True
        self.problems.append(
            f"{document.source} line {document.line}: the document takes {record_bytes:,} bytes, "
            f"a request at most {self._max_payload_in_mb} MB"
        )
        return False

    def check(self) -> None:
        """Raise InvalidInput naming each line that cannot be sent."""
        if not self.problems:
            return
        shown = self.problems[:_PROBLEMS_SHOWN]
        more = len(self.problems) - len(shown)
        heading = f"{len(self.problems)} lines of the input cannot be sent; mend or remove them:"
        raise InvalidInput("\n".join([heading, *shown, *([f"and {more:,} more"] if more else [])]))


def _line(source: str, number: int, raw: bytes) -> Line:
    if number == 1:
        raw = raw.removeprefix(_BYTE_ORDER_MARK)
    try:
        text = raw.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError as error:
        reason = f"byte {error.start + 1} of the line is not UTF-8 (0x{raw[error.start]:02x})"
        return UnreadableLine(source, number, reason)
    return Document(source, number, text) if text.strip() else BlankLine(source, number)


def _non_empty(objects: Iterable[S3Object], skip: int, place: S3Uri) -> list[InputFile]:
    files = [
        InputFile(found.uri.key[skip:], found.uri, found.size_in_bytes, found.entity_tag)
        for found in objects
        if found.size_in_bytes and not found.uri.key.endswith("/")
    ]
    if not files:
        raise InvalidInput(
            f"there are no documents under {place}: upload text files there, one document a line, "
            "or name the place where they lie"
        )
    return files
