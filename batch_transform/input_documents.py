"""
What lies under an input prefix: text files, and in them documents, one a line.

Knows which objects are input and how they are read; knows no shards and no jobs. What each line is
stands next door.
"""

import gzip
import io
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from batch_transform.errors import InputChanged, InvalidInput
from batch_transform.file_list import FileList, InputFile
from batch_transform.folder_claim import is_claimed
from batch_transform.left_out_lines import LeftOutLines
from batch_transform.left_out_objects import LeftOutObjects
from batch_transform.naming import REQUEST_FILE, JobFolder, S3Uri
from batch_transform.s3_objects import S3Object, list_objects, open_object
from batch_transform.small_objects import SmallObjects
from batch_transform.text_lines import Document, Line, read_text, too_large
from batch_transform.wording import counted

_MARKER_FILES = {"_SUCCESS"}
_SMALL_FILE_BYTES = 1 << 20
_READERS = 32
_FILES_AHEAD = 64
"""Small files in memory at most: with the file size above, 64 MiB."""
_LONGEST_KEY_BYTES = 1024
"""Of an S3 object, by S3's user guide."""


@dataclass(frozen=True)
class InputFolder:
    """
    The prefix exactly as a job should be given it, and the files it holds.

    *left_out* names the objects that are no input.
    """

    uri: S3Uri
    files: Sequence[InputFile]
    left_out: LeftOutObjects

    @property
    def is_whole_prefix(self) -> bool:
        """Tell whether all that SageMaker would find under the prefix is input."""
        return self.uri == self.uri.folder() and not self.left_out

    @property
    def size_in_bytes(self) -> int:
        """The size of all files together."""
        return sum(file.size_in_bytes for file in self.files)


def find_input(s3: Any, prefix: S3Uri) -> InputFolder:
    """
    List the input under *prefix*: a folder, or one object given by its whole key.

    To SageMaker a prefix is a string: `in` would also take `in_old/…`. So a folder is always
    given with its `/`. Folder markers, empty objects, `_SUCCESS`, `.out` files and whatever else
    lies in the folders of earlier jobs hold no document and are left out.

    Raises InvalidInput where nothing is left.
    """
    exact = next(list_objects(s3, prefix), None) if prefix.key else None
    if exact and exact.uri == prefix and not prefix.key.endswith("/"):
        parent = S3Uri(prefix.bucket, prefix.key[: prefix.key.rfind("/") + 1])
        found = replace(_sort_out([exact], parent), uri=prefix)
    else:
        folder = prefix.folder()
        found = _without_jobs(s3, _sort_out(list_objects(s3, folder), folder))
    if not found.files:
        raise InvalidInput(_no_documents(found))
    return found


def check_readable_as_it_is(folder: InputFolder) -> None:
    """Raise InvalidInput for gzipped files, which a job that packs nothing cannot read."""
    gzipped = [file.source for file in folder.files if file.is_gzipped]
    if gzipped:
        raise InvalidInput(
            f"{counted(len(gzipped), 'gzipped file')} under {folder.uri}, {gzipped[0]} first: a "
            "standard job, or one whose input is too large to pack, reads files as they are. "
            "Unpack them, or run the optimized job"
        )


def check_output_keys(folder: InputFolder, output: S3Uri) -> None:
    """
    Raise InvalidInput for files whose outputs below *output* S3 would refuse for their names.

    A job that packs nothing names each output by its file, and would end after it was paid for.
    """
    too_long = [
        file.source
        for file in folder.files
        if len(f"{output.key}{file.source}.out".encode()) > _LONGEST_KEY_BYTES
    ]
    if too_long:
        raise InvalidInput(
            f"the outputs of {counted(len(too_long), 'file')}, {too_long[0]} first, would have "
            f"keys under {output} of more than the {_LONGEST_KEY_BYTES:,} bytes that S3 allows: "
            "give another --s3-output-prefix or --job-name, or shorten the files' names"
        )


class InputScan:
    """One reading of a whole input, which keeps account of every line that is no document."""

    def __init__(
        self, s3: Any, folder: InputFolder, max_payload_in_mb: int, left_out: LeftOutLines
    ) -> None:
        self._s3 = s3
        self._folder = folder
        self._max_record_bytes = max_payload_in_mb << 20
        self._left_out = left_out

    def documents(self, on_file: Callable[[InputFile], None]) -> Iterator[Document]:
        """
        Yield the documents of all files in order; *on_file* is called as each has been read.

        Small files are fetched several at once. Raises InputChanged for a file that was changed or
        deleted since it was listed.
        """
        for file, content in _open_in_order(self._s3, self._folder.files):
            with content:
                for line in read_documents(file, content, self._max_record_bytes):
                    if isinstance(line, Document):
                        yield line
                    else:
                        self._left_out.add(line)
            on_file(file)

    def fits(self, document: Document, record_bytes: int) -> bool:
        """Tell whether a document can be sent in so many bytes; keep account if it cannot."""
        if record_bytes <= self._max_record_bytes:
            return True
        self._left_out.add(too_large(document.source, document.line, self._max_record_bytes))
        return False


def read_documents(file: InputFile, content: io.BufferedIOBase, max_bytes: int) -> Iterator[Line]:
    """
    Yield what each line of a file is, unpacked if its name says so, as `read_text` tells it.

    No more than *max_bytes* of a line are held: the rest of a longer one is read past.
    """
    text = gzip.GzipFile(fileobj=content) if file.is_gzipped else content
    try:
        yield from read_text(file.source, text, max_bytes)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise cannot_be_unpacked(file, error) from None
    except ClientError as error:
        raise _explain_reading(error, file) from error


def cannot_be_unpacked(file: InputFile, error: Exception) -> InvalidInput:
    """Return what is to be raised for a file that is gzipped by its name alone, or broken."""
    return InvalidInput(
        f"{file.uri} ends in .gz but cannot be unpacked: {error}; upload it again, or take "
        "the .gz off its name"
    )


def _open_in_order(
    s3: Any, files: Iterable[InputFile]
) -> Iterator[tuple[InputFile, io.BufferedIOBase]]:
    """Yield each file opened: a large one as a stream, small ones as they were fetched ahead."""
    ahead: deque[tuple[InputFile, Future | None]] = deque()

    def take() -> tuple[InputFile, io.BufferedIOBase]:
        file, fetched = ahead.popleft()
        if fetched is None:
            return file, open_object(s3, file.uri, file.entity_tag)
        return file, io.BytesIO(fetched.result())

    small_objects = SmallObjects(s3)
    pool = ThreadPoolExecutor(_READERS)
    try:
        for file in files:
            is_small = file.size_in_bytes <= _SMALL_FILE_BYTES
            ahead.append((file, pool.submit(_fetch, small_objects, file) if is_small else None))
            if len(ahead) == _FILES_AHEAD:
                yield take()
        while ahead:
            yield take()
    finally:
        # Ctrl-C must not wait for requests that a dead network leaves hanging.
        pool.shutdown(wait=False, cancel_futures=True)


def _fetch(small_objects: SmallObjects, file: InputFile) -> bytes:
    try:
        return small_objects.read(file.uri, file.entity_tag)
    except ClientError as error:
        raise _explain_reading(error, file) from error


def _explain_reading(error: ClientError, file: InputFile) -> Exception:
    code = error.response["Error"]["Code"]
    if code in {"PreconditionFailed", "412"}:
        return InputChanged(
            f"{file.uri} was changed after it was listed: start again when the input is complete"
        )
    if code in {"NoSuchKey", "404"}:
        return InputChanged(
            f"{file.uri} was deleted after it was listed: start again to run without it"
        )
    return error


def _sort_out(objects: Iterable[S3Object], folder: S3Uri) -> InputFolder:
    files, left_out = FileList(folder), LeftOutObjects()
    for found in objects:
        source = found.uri.key[len(folder.key) :]
        if kind := _no_input(found):
            left_out.add(kind, source or folder.key)
        else:
            files.append(InputFile(source, folder, found.size_in_bytes, found.entity_tag))
    return InputFolder(folder, files, left_out)


def _without_jobs(s3: Any, found: InputFolder) -> InputFolder:
    """Leave out what lies in folders of jobs, whose own files look like any other text."""
    uris = (file.uri for file in found.files if file.source.endswith(REQUEST_FILE))
    folders = (JobFolder(S3Uri(uri.bucket, uri.key.removesuffix(REQUEST_FILE))) for uri in uris)
    roots = tuple(folder.root.key for folder in folders if is_claimed(s3, folder))
    if not roots:
        return found
    files = FileList(found.uri)
    for file in found.files:
        if file.uri.key.startswith(roots):
            found.left_out.add("earlier output", file.source)
        else:
            files.append(file)
    return replace(found, files=files)


def _no_input(found: S3Object) -> str | None:
    if found.uri.key.endswith("/"):
        return "non-empty folder marker" if found.size_in_bytes else "folder marker"
    if not found.size_in_bytes:
        return "empty file"
    if found.uri.key.rsplit("/", 1)[-1] in _MARKER_FILES:
        return "_SUCCESS marker"
    if found.uri.key.endswith(".out"):
        return "earlier output"
    return None


def _no_documents(folder: InputFolder) -> str:
    return (
        f"there are no documents under {folder.uri}"
        + (f", only {folder.left_out}" if folder.left_out else "")
        + ": upload text files there, one document a line, or name the place where they lie"
    )
