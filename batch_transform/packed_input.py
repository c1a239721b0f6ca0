"""
Many text files become a few balanced JSON Lines shards, and a record of what went where.

A shard line is `{"source": "case1.txt", "line": 3, "text": "…"}`: identity, not position, is what
later proves that nothing was lost. Documents are streamed; one shard at a time is held in memory.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from batch_transform.file_list import InputFile
from batch_transform.input_documents import InputFolder, InputScan
from batch_transform.left_out_lines import LeftOutLines
from batch_transform.naming import JobFolder, shard_name
from batch_transform.s3_objects import put_object
from batch_transform.text_lines import Document

SHARD_CONTENT_TYPE = "application/jsonlines"
_LARGEST_SHARD_BYTES = 16 << 20
_SMALLEST_SHARD_BYTES = 64 << 10
_SHARDS_PER_INSTANCE = 8
# Legal inside JSON, yet a line end to some readers of lines.
_LINE_ENDS = {ord("\x85"): "\\u0085", ord("\u2028"): "\\u2028", ord("\u2029"): "\\u2029"}


@dataclass(frozen=True)
class Shard:
    """
    One packed object: its file name, its size and a digest of the identities in it, in order.

    *first* and *last* say which documents it holds: `case1.txt line 3`. *entity_tag* is that of
    the user's own file when its lines were counted; nobody changes a packed shard.
    """

    name: str
    records: int
    size_in_bytes: int
    identity_digest: str
    first: str
    last: str
    entity_tag: str | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.first} to {self.last})"


@dataclass(frozen=True)
class PackedInput:
    """
    Everything that was packed, in packing order; *left_out* counts lines by their code.

    *objects_left_out* says what else lies under the prefix: the number of each kind, and at most 20
    names. *is_by_manifest* says that the shards are the user's own files, which bear no identities.
    """

    shards: list[Shard]
    files: int
    documents: int
    characters: int
    left_out: dict[str, int]
    objects_left_out: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    is_by_manifest: bool = False


class IdentityDigest:
    """The identities of a sequence of records, folded into 64 hexadecimal digits."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def add(self, source: str, line: int) -> None:
        """Take in the next record. S3 keys hold no NUL, so no two sequences look alike."""
        self._sha256.update(f"{source}\0{line}\n".encode())

    def hexdigest(self) -> str:
        """Return the digest of all records so far."""
        return self._sha256.hexdigest()


@dataclass
class _OpenShard:
    body: bytearray = field(default_factory=bytearray)
    records: int = 0
    identities: IdentityDigest = field(default_factory=IdentityDigest)
    first: Document | None = None
    last: Document | None = None

    def add(self, document: Document, encoded: bytes) -> None:
        self.body += encoded
        self.records += 1
        self.identities.add(document.source, document.line)
        self.first = self.first or document
        self.last = document

    def close(self, name: str) -> Shard:
        return Shard(
            name=name,
            records=self.records,
            size_in_bytes=len(self.body),
            identity_digest=self.identities.hexdigest(),
            first=_shown(self.first),
            last=_shown(self.last),
        )


def shard_bytes_for(input_bytes: int, instance_count: int) -> int:
    """
    Return the size at which a shard is full.

    Small shards show progress and cost little when one must be run again; large ones save requests.
    Every instance gets several, so that none waits long for the last.
    """
    balanced = math.ceil(input_bytes / (_SHARDS_PER_INSTANCE * instance_count))
    return min(max(balanced, _SMALLEST_SHARD_BYTES), _LARGEST_SHARD_BYTES)


def pack(
    s3: Any,
    input_folder: InputFolder,
    job_folder: JobFolder,
    *,
    instance_count: int,
    max_payload_in_mb: int,
    on_file: Callable[[InputFile], None],
    is_strict: bool = False,
) -> PackedInput:
    """
    Read every document and write the shards of the job.

    Lines that cannot be sent are accounted for in `left_out.jsonl`. Raises InvalidInput where no
    document is left or, if *is_strict*, naming each such line; the caller removes the shards
    written until then.
    """
    shard_bytes = shard_bytes_for(input_folder.size_in_bytes, instance_count)
    writer = _ShardWriter(s3, job_folder, shard_bytes)
    with LeftOutLines(s3, job_folder.left_out) as left_out:
        scan = InputScan(s3, input_folder, max_payload_in_mb, left_out)
        for document in scan.documents(on_file):
            encoded = encode_record(document)
            if scan.fits(document, len(encoded)):
                writer.add(document, encoded)
        shards = writer.finish()
        documents = sum(shard.records for shard in shards)
        left_out.check(documents, input_folder.uri, is_strict=is_strict, is_read_as_it_is=False)
    return PackedInput(
        shards=shards,
        files=len(input_folder.files),
        documents=documents,
        characters=writer.characters,
        left_out=left_out.counts,
        objects_left_out=input_folder.left_out.to_json(),
    )


def encode_record(document: Document) -> bytes:
    """Return the document as one line of JSON, its line end included."""
    record = {"source": document.source, "line": document.line, "text": document.text}
    return json.dumps(record, ensure_ascii=False).translate(_LINE_ENDS).encode() + b"\n"


class _ShardWriter:
    """Fills shards one after the other and puts each in S3 when it is full."""

    def __init__(self, s3: Any, job_folder: JobFolder, shard_bytes: int) -> None:
        self._s3 = s3
        self._job_folder = job_folder
        self._shard_bytes = shard_bytes
        self._open = _OpenShard()
        self._done: list[Shard] = []
        self.characters = 0

    def add(self, document: Document, encoded: bytes) -> None:
        self._open.add(document, encoded)
        self.characters += len(document.text)
        if len(self._open.body) >= self._shard_bytes:
            self._close()

    def finish(self) -> list[Shard]:
        if self._open.records:
            self._close()
        return self._done

    def _close(self) -> None:
        name = shard_name(len(self._done))
        place = self._job_folder.shards.child(name)
        put_object(self._s3, place, bytes(self._open.body), SHARD_CONTENT_TYPE)
        self._done.append(self._open.close(name))
        self._open = _OpenShard()


def _shown(document: Document) -> str:
    return f"{document.source} line {document.line}"
