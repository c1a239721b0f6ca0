"""
How much an input holds, told from a small part of it: some files, or some pieces of large ones.

Three kinds of files are sampled apart, so that a single huge one does not speak for small ones nor
they for it. Of each kind 6 MiB are read at most, of a few large files 16 MiB, and 24 MiB of
unpacked text, so that planning costs next to nothing.
"""

import io
import zlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from batch_transform.file_list import FileList, InputFile
from batch_transform.input_documents import (
    InputFolder,
    cannot_be_unpacked,
    read_documents,
)
from batch_transform.job_estimate import InputSize
from batch_transform.s3_objects import open_object, read_piece
from batch_transform.text_lines import Document

_PIECES = 24
_PIECE_BYTES = 256 << 10
_BYTES_READ_WHOLE = 16 << 20
"""Of so few bytes one line can be most, so they are counted; in more it weighs little."""
_UNPACKED_BYTES_OF_EACH = 1 << 20


@dataclass(frozen=True)
class _Sampled:
    """What some files hold, or are expected to."""

    documents: float
    characters: float
    is_exact: bool


def sample_input(s3: Any, folder: InputFolder, max_payload_in_mb: int) -> InputSize:
    """Return what *folder* holds, exactly where it is small enough to be read whole."""
    kinds: dict[Callable[..., _Sampled], FileList] = {}
    for file in folder.files:
        kinds.setdefault(_way_to_sample(file), FileList(file.folder)).append(file)
    found = [sample(s3, files, max_payload_in_mb << 20) for sample, files in kinds.items()]
    return InputSize(
        files=len(folder.files),
        bytes=folder.size_in_bytes,
        documents=round(sum(part.documents for part in found)),
        characters=round(sum(part.characters for part in found)),
        is_exact=all(part.is_exact for part in found),
    )


def _way_to_sample(file: InputFile) -> Callable[..., _Sampled]:
    if file.is_gzipped:
        return _sample_gzipped
    return _sample_small if file.size_in_bytes <= _PIECE_BYTES else _sample_large


def _sample_small(s3: Any, files: Sequence[InputFile], max_bytes: int) -> _Sampled:
    """Count some files whole: their number is known, and varies less than their size."""
    sampled = _spread(files)
    counted = _count(s3, sampled, max_bytes)
    return _Sampled(
        documents=counted.documents * len(files) / len(sampled),
        characters=counted.characters * _size(files) / _size(sampled),
        is_exact=len(sampled) == len(files),
    )


def _sample_large(s3: Any, files: Sequence[InputFile], max_bytes: int) -> _Sampled:
    """Read pieces at equal distances: how long lines are where a file begins may not last."""
    size = _size(files)
    if size <= _BYTES_READ_WHOLE:
        return _count(s3, files, max_bytes)
    ends = list(accumulate(file.size_in_bytes for file in files))
    documents = characters = 0
    for place in range(0, size, -(-size // _PIECES)):
        file = files[index := bisect_right(ends, place)]
        begin = place - ends[index] + file.size_in_bytes
        start = min(begin, file.size_in_bytes - _PIECE_BYTES)
        lines = read_piece(s3, file.uri, start, _PIECE_BYTES).split(b"\n")
        documents += sum(1 for line in lines[:-1] if line.strip())
        characters += sum(len(line.decode("utf-8", "replace")) for line in lines if line.strip())
    share = _PIECES * _PIECE_BYTES / size
    return _Sampled(max(documents / share, len(files)), characters / share, is_exact=False)


def _sample_gzipped(s3: Any, files: Sequence[InputFile], _max_bytes: int) -> _Sampled:
    """Unpack the beginning of some files; nothing further on can be unpacked alone."""
    sampled = _spread(files)
    documents = characters = read_bytes = 0
    for file in sampled:
        text, text_from_bytes = _unpacked_beginning(s3, file)
        lines = [line for line in io.BytesIO(text) if line.strip()]
        documents += len(lines)
        characters += sum(len(line.decode("utf-8", "replace")) for line in lines)
        read_bytes += text_from_bytes
    share = read_bytes / _size(files)
    was_read_whole = read_bytes == _size(sampled)
    documents_by_file = documents * len(files) / len(sampled)
    return _Sampled(
        documents=documents_by_file if was_read_whole else documents / share,
        characters=characters / share,
        is_exact=was_read_whole and len(sampled) == len(files),
    )


def _count(s3: Any, files: Sequence[InputFile], max_bytes: int) -> _Sampled:
    """Read files as they will be read for the job: what cannot be sent is not counted."""
    documents = characters = 0
    for file in files:
        with open_object(s3, file.uri, file.entity_tag) as content:
            for line in read_documents(file, content, max_bytes):
                if isinstance(line, Document):
                    documents += 1
                    characters += len(line.text)
    return _Sampled(documents, characters, is_exact=True)


def _size(files: Sequence[InputFile]) -> int:
    return sum(file.size_in_bytes for file in files)


def _spread(files: Sequence[InputFile]) -> Sequence[InputFile]:
    if len(files) <= _PIECES:
        return files
    return [files[index * len(files) // _PIECES] for index in range(_PIECES)]


def _unpacked_beginning(s3: Any, file: InputFile) -> tuple[bytes, int]:
    """Return the text that a file begins with, and how many of the file's bytes hold it."""
    beginning = read_piece(s3, file.uri, 0, _PIECE_BYTES)
    text, rest = b"", beginning
    try:
        while rest and (wanted := _UNPACKED_BYTES_OF_EACH - len(text)):
            member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            text += member.decompress(rest, wanted)
            # Another member may follow, as may zeros that fill a block up.
            rest = member.unconsumed_tail or member.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise cannot_be_unpacked(file, error) from None
    return text, len(beginning) - len(rest)
