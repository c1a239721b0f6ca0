"""
How SageMaker cuts an object into the bodies of /invocations.

Knows SplitType, BatchStrategy and MaxPayloadInMB, in bytes. Knows nothing of what a record says:
bytes go through untouched, line ends included, and only ``\\n`` ends a line.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

BYTES_IN_MB = 2**20


class RecordTooLargeError(Exception):
    """A record, or an object that is not split, is larger than MaxPayloadInMB."""


@dataclass(frozen=True)
class MiniBatchRule:
    """
    How a job's objects are cut.

    Attributes
    ----------
    is_split_by_line
        SplitType ``Line``; else the whole object is one record.
    is_single_record
        BatchStrategy ``SingleRecord``; else as many records as fit go together.
    max_payload_in_bytes
        The largest body; None where MaxPayloadInMB is 0, which means no limit.
    """

    is_split_by_line: bool
    is_single_record: bool
    max_payload_in_bytes: int | None

    def cut(self, stream: BinaryIO) -> Iterator[bytes]:
        """
        Yield the mini-batches of an object, in order; an empty object has no record and gives none.

        Raises RecordTooLargeError at the first record that does not fit, without reading it all.
        """
        records = self._lines(stream) if self.is_split_by_line else self._whole(stream)
        return records if self.is_single_record else self._packed(records)

    def _lines(self, stream: BinaryIO) -> Iterator[bytes]:
        number = 0
        while line := stream.readline(self._one_over()):
            number += 1
            yield self._fitting(line, f"line {number}")

    def _whole(self, stream: BinaryIO) -> Iterator[bytes]:
        if body := stream.read(self._one_over()):
            yield self._fitting(body, "the object")

    def _packed(self, records: Iterable[bytes]) -> Iterator[bytes]:
        body: list[bytes] = []
        size = 0
        for record in records:
            if body and not self._fits(size + len(record)):
                yield b"".join(body)
                body, size = [], 0
            body.append(record)
            size += len(record)
        if body:
            yield b"".join(body)

    def _one_over(self) -> int:
        return -1 if self.max_payload_in_bytes is None else self.max_payload_in_bytes + 1

    def _fits(self, size: int) -> bool:
        return self.max_payload_in_bytes is None or size <= self.max_payload_in_bytes

    def _fitting(self, record: bytes, what: str) -> bytes:
        if not self._fits(len(record)):
            message = f"{what} is larger than MaxPayloadInMB ({self.max_payload_in_bytes} bytes)"
            raise RecordTooLargeError(message)
        return record
