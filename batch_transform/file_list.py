"""
The files of an input, by the million: their names, tags and sizes lie end to end in memory.

A file becomes an object when it is asked for: a list of objects would take three times as much.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from batch_transform.naming import S3Uri


@dataclass(frozen=True, slots=True)
class InputFile:
    """A text file under the input prefix; *source* is its key below that prefix."""

    source: str
    folder: S3Uri
    size_in_bytes: int
    entity_tag: str

    @property
    def uri(self) -> S3Uri:
        """Where it lies."""
        return S3Uri(self.folder.bucket, self.folder.key + self.source)

    @property
    def is_gzipped(self) -> bool:
        """Tell whether its bytes are compressed; its name says so."""
        return self.source.lower().endswith(".gz")


class FileList(Sequence[InputFile]):
    """Files of one folder, in the order in which they were added; some 90 bytes for each."""

    def __init__(self, folder: S3Uri, files: Iterable[InputFile] = ()) -> None:
        self._folder = folder
        self._words = bytearray()
        self._ends = array("Q")
        self._sizes = array("Q")
        for file in files:
            self.append(file)

    def append(self, file: InputFile) -> None:
        """Add a file of the folder."""
        # S3 keys hold no NUL.
        self._words += f"{file.source}\0{file.entity_tag}".encode()
        self._ends.append(len(self._words))
        self._sizes.append(file.size_in_bytes)

    def __len__(self) -> int:
        return len(self._sizes)

    def __getitem__(self, index: int) -> InputFile:
        place = range(len(self))[index]
        begin = self._ends[place - 1] if place else 0
        source, _, entity_tag = self._words[begin : self._ends[place]].decode().partition("\0")
        return InputFile(source, self._folder, self._sizes[place], entity_tag)
