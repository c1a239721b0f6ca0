"""
How much an input holds, told from a small part of it: a few files, the beginning of each.

Reads at most 6 MiB, and 24 MiB of text in them, so that planning costs next to nothing.
"""

import io
import zlib
from typing import Any

from batch_transform.input_documents import InputFile, InputFolder, cannot_be_unpacked
from batch_transform.job_estimate import InputSize
from batch_transform.s3_objects import read_beginning

_FILES = 24
_BYTES_OF_EACH = 256 << 10
_UNPACKED_BYTES_OF_EACH = 1 << 20


def sample_input(s3: Any, folder: InputFolder) -> InputSize:
    """Return what *folder* holds, exactly where it is small enough to be read whole."""
    sampled = _spread(folder.files)
    documents = characters = read_bytes = 0
    for file in sampled:
        beginning = read_beginning(s3, file.uri, _BYTES_OF_EACH)
        text, text_from_bytes = _text(file, beginning)
        lines = [line for line in io.BytesIO(text) if line.strip()]
        documents += len(lines)
        characters += sum(len(line.decode("utf-8", "replace")) for line in lines)
        read_bytes += text_from_bytes
    share = read_bytes / folder.size_in_bytes
    if read_bytes == sum(file.size_in_bytes for file in sampled):
        # Of files read to their end the number is known, and it varies less than their size.
        documents_in_all = documents * len(folder.files) / len(sampled)
    else:
        documents_in_all = documents / share
    return InputSize(
        files=len(folder.files),
        bytes=folder.size_in_bytes,
        documents=round(documents_in_all),
        characters=round(characters / share),
        is_exact=read_bytes == folder.size_in_bytes,
    )


def _spread(files: list[InputFile]) -> list[InputFile]:
    if len(files) <= _FILES:
        return files
    return [files[index * len(files) // _FILES] for index in range(_FILES)]


def _text(file: InputFile, beginning: bytes) -> tuple[bytes, int]:
    """Return the text that a file begins with, and how many of the file's bytes hold it."""
    if not file.is_gzipped:
        return beginning, len(beginning)
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
