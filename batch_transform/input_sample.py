"""
How much an input holds, told from a small part of it: some files, or some pieces of large ones.

Three kinds of files are sampled apart, so that a single huge one does not speak for small ones nor
they for it. Of each kind 6 MiB are read at most, of a few large files 16 MiB, and 24 MiB of
unpacked text, so that planning costs next to nothing.
"""

import io
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from batch_transform.file_list import FileList, InputFile
from batch_transform.input_documents import InputFolder, cannot_be_unpacked, read_documents
from batch_transform.job_estimate import InputSize
from batch_transform.left_out_lines import LeftOutLines
from batch_transform.s3_objects import open_object, read_piece
from batch_transform.text_lines import Document, Line, read_line, read_text

_PIECES = 24
_PIECE_BYTES = 256 << 10
_BYTES_READ_WHOLE = 16 << 20
"""Of so few bytes one line can be most, so they are counted; in more it weighs little."""
_UNPACKED_BYTES_OF_EACH = 1 << 20


def sample_input(
    s3: Any, folder: InputFolder, max_payload_in_mb: int, left_out: LeftOutLines
) -> InputSize:
    """
    Return what *folder* holds, exactly where it is small enough to be read whole.

    *left_out* gets what was met of lines that are no documents: all of them where it is exact, else
    some, of which not each bears its number.
    """
    sample = _Sample(s3, max_payload_in_mb << 20, left_out)
    kinds: dict[Callable[..., _Sampled], FileList] = {}
    for file in folder.files:
        kinds.setdefault(sample.way_to_read(file), FileList(file.folder)).append(file)
    found = [read(files) for read, files in kinds.items()]
    return InputSize(
        files=len(folder.files),
        bytes=folder.size_in_bytes,
        documents=round(sum(part.documents for part in found)),
        characters=round(sum(part.characters for part in found)),
        is_exact=all(part.is_exact for part in found),
    )


@dataclass(frozen=True)
class _Sampled:
    """What some files hold, or are expected to."""

    documents: float
    characters: float
    is_exact: bool


class _Sample:
    """One reading of some of an input, and the account of the lines in it that are no documents."""

    def __init__(self, s3: Any, max_bytes: int, left_out: LeftOutLines) -> None:
        self._s3 = s3
        self._max_bytes = max_bytes
        self._left_out = left_out

    def way_to_read(self, file: InputFile) -> Callable[[Sequence[InputFile]], _Sampled]:
        """Return how files of its kind are sampled."""
        if file.is_gzipped:
            return self.of_gzipped
        return self.of_small if file.size_in_bytes <= _PIECE_BYTES else self.of_large

    def of_small(self, files: Sequence[InputFile]) -> _Sampled:
        """Count some files whole: their number is known, and varies less than their size."""
        sampled = _spread(files)
        documents, characters = self._count_files(sampled)
        return _Sampled(
            documents=documents * len(files) / len(sampled),
            characters=characters * _size(files) / _size(sampled),
            is_exact=len(sampled) == len(files),
        )

    def of_large(self, files: Sequence[InputFile]) -> _Sampled:
        """Read pieces at equal distances: how long lines are where a file begins may not last."""
        size = _size(files)
        if size <= _BYTES_READ_WHOLE:
            return _Sampled(*self._count_files(files), is_exact=True)
        ends = list(accumulate(file.size_in_bytes for file in files))
        found = []
        for place in range(0, size, -(-size // _PIECES)):
            file = files[index := bisect_right(ends, place)]
            begin = place - ends[index] + file.size_in_bytes
            start = min(begin, file.size_in_bytes - _PIECE_BYTES)
            piece = read_piece(self._s3, file.uri, start, _PIECE_BYTES)
            found.append(self._count_piece(file, piece, is_beginning=not start))
        documents, characters = _total(found)
        share = _PIECES * _PIECE_BYTES / size
        return _Sampled(max(documents / share, len(files)), characters / share, is_exact=False)

    def of_gzipped(self, files: Sequence[InputFile]) -> _Sampled:
        """Unpack the beginning of some files; nothing further on can be unpacked alone."""
        sampled = _spread(files)
        found, read_bytes = [], 0
        for file in sampled:
            text, text_from_bytes = _unpacked_beginning(self._s3, file)
            if text_from_bytes == file.size_in_bytes:
                lines = read_text(file.source, io.BytesIO(text), self._max_bytes)
                found.append(self._count(lines))
            else:
                found.append(self._count_piece(file, text, is_beginning=True))
            read_bytes += text_from_bytes
        documents, characters = _total(found)
        share = read_bytes / _size(files)
        was_read_whole = read_bytes == _size(sampled)
        documents_by_file = documents * len(files) / len(sampled)
        return _Sampled(
            documents=documents_by_file if was_read_whole else max(documents / share, len(files)),
            characters=characters / share,
            is_exact=was_read_whole and len(sampled) == len(files),
        )

    def _count_files(self, files: Sequence[InputFile]) -> tuple[int, int]:
        found = []
        for file in files:
            with open_object(self._s3, file.uri, file.entity_tag) as content:
                found.append(self._count(read_documents(file, content, self._max_bytes)))
        return _total(found)

    def _count_piece(self, file: InputFile, piece: bytes, *, is_beginning: bool) -> tuple[int, int]:
        """
        Count the documents that end in a piece, and the characters of all.

        What lines are that the piece cuts in two is not asked. The number of any other is known in
        a piece alone that is a file's beginning.
        """
        *ended, rest = piece.split(b"\n")
        cut = [*([] if is_beginning else ended[:1]), rest]
        whole = ended[len(cut) - 1 :]
        lines = (read_line(file.source, number, raw) for number, raw in enumerate(whole, start=1))
        documents, characters = self._count(lines)
        characters += sum(len(line.decode("utf-8", "replace")) for line in cut)
        return documents + len(cut) - 1, characters

    def _count(self, lines: Iterable[Line]) -> tuple[int, int]:
        """Return how many documents there are, and their characters."""
        documents = characters = 0
        for line in lines:
            if isinstance(line, Document):
                documents += 1
                characters += len(line.text)
            else:
                self._left_out.add(line)
        return documents, characters


def _total(found: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return sum(documents for documents, _ in found), sum(characters for _, characters in found)


def _size(files: Sequence[InputFile]) -> int:
    return sum(file.size_in_bytes for file in files)


def _spread(files: Sequence[InputFile]) -> Sequence[InputFile]:
    if len(files) <= _PIECES:
        return files
    return [files[index * len(files) // _PIECES] for index in range(_PIECES)]


def _unpacked_beginning(s3: Any, file: InputFile) -> tuple[bytes, int]:
    """Return the text that a file begins with, and how many of the file's bytes hold it."""
    beginning = read_piece(s3, file.uri, 0, _PIECE_BYTES)
    text, rest, is_member_open = b"", beginning, False
    try:
        while rest and (wanted := _UNPACKED_BYTES_OF_EACH - len(text)):
            member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            text += member.decompress(rest, wanted)
            is_member_open = not member.eof
            # Another member may follow, as may zeros that fill a block up.
            rest = member.unconsumed_tail or member.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise cannot_be_unpacked(file, error) from None
    if is_member_open and not rest and len(beginning) == file.size_in_bytes:
        raise cannot_be_unpacked(file, EOFError("it ends before its end mark"))
    return text, len(beginning) - len(rest)
