"""
The output of one input object, while its answers come in.

Knows AssembleWith and that an object with one failed mini-batch has no output at all.
"""

import tempfile
from dataclasses import dataclass, field
from typing import BinaryIO

from botocore.client import BaseClient

from local_aws.model_server import InvocationError
from local_aws.s3_objects import InputObject, S3Object

BYTES_IN_MEMORY = 2**22


def _spool() -> BinaryIO:
    return tempfile.SpooledTemporaryFile(BYTES_IN_MEMORY)  # type: ignore[return-value]


@dataclass
class OutputObject:
    """
    Answers in the order of their records, on disk beyond a few megabytes.

    Attributes
    ----------
    separator
        What goes after each answer: a newline for AssembleWith ``Line``, else nothing.
    failure
        Why the object failed, or None.
    """

    source: InputObject
    separator: bytes
    failure: InvocationError | None = None
    _answers: BinaryIO = field(default_factory=_spool)

    def add(self, answer: bytes) -> None:
        """Put the next answer behind the ones before."""
        self._answers.write(answer + self.separator)

    def upload(self, s3: BaseClient, output_path: S3Object) -> None:
        """Store the ``.out`` object."""
        target = self.source.output_below(output_path)
        self._answers.seek(0)
        s3.upload_fileobj(self._answers, target.bucket, target.key)

    def close(self) -> None:
        """Let go of the answers."""
        self._answers.close()
