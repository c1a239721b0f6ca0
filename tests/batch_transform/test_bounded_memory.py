"""Memory does not grow with what an input holds, and little with the number of its files."""

import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from batch_transform.aws import AwsClients
from batch_transform.file_list import FileList, InputFile
from batch_transform.input_documents import find_input
from batch_transform.left_out_objects import LeftOutObjects
from batch_transform.naming import JobFolder, S3Uri
from batch_transform.packed_input import pack

MEGABYTE = 1 << 20
FILES = 100_000
FILES_A_PAGE = 1000


class S3OfManyFiles:
    """An S3 that lists so many files, a page at a time as S3 does."""

    def get_paginator(self, _operation: str) -> "S3OfManyFiles":
        """Return what makes pages."""
        return self

    def paginate(self, **_request: Any) -> Iterator[dict[str, Any]]:
        """Yield pages whose entries are as long as real ones."""
        for first in range(0, FILES, FILES_A_PAGE):
            numbers = range(first, first + FILES_A_PAGE)
            yield {"Contents": [self._entry(number) for number in numbers]}

    @staticmethod
    def _entry(number: int) -> dict[str, Any]:
        key = f"input/2026-07-{number % 31:02d}/complaint-{number:09d}.txt"
        return {"Key": key, "Size": 200 + number % 900, "ETag": f'"{number:032x}"'}


def peak_of(work: Callable[[], Any]) -> tuple[Any, int]:
    """Return what *work* returns, and the most bytes that Python held meanwhile."""
    tracemalloc.start()
    try:
        return work(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_what_is_kept_of_a_file_lets_a_million_be_listed() -> None:
    """Name, size and content's tag: some 100 bytes, of which a million take a third of 300 MB."""
    found, peak = peak_of(lambda: find_input(S3OfManyFiles(), S3Uri("bucket", "input/")))
    assert len(found.files) == FILES
    assert peak < 14 * MEGABYTE


def test_of_a_million_objects_that_are_no_input_few_names_are_kept() -> None:
    """A prefix of outputs is told of by numbers; what is kept does not grow with them."""
    left_out = LeftOutObjects()

    def add_many() -> None:
        for number in range(FILES):
            left_out.add("earlier output", f"2026-07/complaint-{number:09d}.txt.out")

    _, peak = peak_of(add_many)
    assert str(left_out).startswith("100,000 earlier outputs (2026-07/complaint-000000000.txt.out")
    assert peak < MEGABYTE // 10


def test_a_list_of_files_gives_back_what_was_added() -> None:
    """Whatever stands in a name, from the first to the last, by either end."""
    folder = S3Uri("bucket", "input/")
    names = ["two\nlines.txt", "k" * 1024, "\U0001f4b6\u2028.gz", "x"]
    files = [InputFile(name, folder, 1 << 40, f'"{name[0]}-1"') for name in names]
    listed = FileList(folder, files)
    assert list(listed) == files
    assert (listed[0], listed[-1], len(listed)) == (files[0], files[-1], 4)
    with pytest.raises(IndexError):
        listed[4]


def test_a_large_file_beside_a_small_one_is_packed_as_a_stream(
    clients: AwsClients, documents: Any, folder: JobFolder
) -> None:
    """Of two shards' worth at most is held, though the file is several times as large."""
    size = 96 * MEGABYTE
    line = b"x" * (4 * 1024 - 1) + b"\n"
    found = find_input(clients.s3, documents.put(large=line * (size // len(line)), small=b"y\n"))
    arguments = {"instance_count": 1, "max_payload_in_mb": 6, "on_file": lambda _: None}
    packed, peak = peak_of(lambda: pack(clients.s3, found, folder, **arguments))
    assert packed.documents == size // len(line) + 1
    assert peak < size // 2
