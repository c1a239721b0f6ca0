"""
S3 objects as streams: what a prefix holds, an object read line by line, one written piece by piece.

Memory stays constant whatever the size of an object. Knows nothing of documents or answers.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from batch_transform.naming import S3Uri

PART_BYTES = 8 << 20
"""S3 wants at least 5 MiB in each part but the last, and takes 10,000 parts."""
_LATE_PART_BYTES = 64 << 20
_EARLY_PARTS = 5_000
"""So many small parts, then large ones: some 350 GiB an object, at 64 MiB of memory."""
_READ_BYTES = 1 << 20
_KEYS_A_DELETE = 1000
_BREAKS_TOLERATED = 5
"""In a row: however long the object, a connection that brings something is no dead one."""
_BROKEN = (ConnectionClosedError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError)


@dataclass(frozen=True)
class S3Object:
    """One entry of a listing."""

    uri: S3Uri
    size_in_bytes: int
    entity_tag: str


def list_objects(s3: Any, prefix: S3Uri) -> Iterator[S3Object]:
    """Yield every object whose key begins with the prefix, sorted by key, as S3 does."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=prefix.bucket, Prefix=prefix.key)
    for page in pages:
        for entry in page.get("Contents", []):
            uri = S3Uri(prefix.bucket, entry["Key"])
            yield S3Object(uri, entry["Size"], entry["ETag"])


def open_object(s3: Any, uri: S3Uri, entity_tag: str | None = None) -> io.BufferedReader:
    """
    Open an object for reading in constant memory; given an *entity_tag*, that content or none.

    botocore repeats a request that fails, but not a body that breaks off: here it is taken up
    where it broke. Errors of AWS, `PreconditionFailed` among them, come with the first read.
    """
    return io.BufferedReader(_ResumingBody(s3, uri, entity_tag), _READ_BYTES)


def read_lines(s3: Any, uri: S3Uri, entity_tag: str | None = None) -> Iterator[bytes]:
    """Yield the lines of an object, each with its line end. Only `\\n` ends a line."""
    with open_object(s3, uri, entity_tag) as lines:
        yield from lines


def put_object(s3: Any, uri: S3Uri, body: bytes, content_type: str) -> None:
    """Write a small object."""
    s3.put_object(Bucket=uri.bucket, Key=uri.key, Body=body, ContentType=content_type)


def put_object_once(s3: Any, uri: S3Uri, body: bytes, content_type: str) -> bool:
    """Write a small object unless there is one; of all who try at once, one is told True."""
    place = {"Bucket": uri.bucket, "Key": uri.key}
    try:
        s3.put_object(**place, Body=body, ContentType=content_type, IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] in {"PreconditionFailed", "ConditionalRequestConflict"}:
            return False
        raise
    return True


def exists_in_s3(s3: Any, uri: S3Uri) -> str | None:
    """
    Return the ETag of the object at *uri*, or None where there is none.

    Asked of the listing: who may list some prefixes only, as the functions' roles may, is told by
    HeadObject and GetObject that a missing object is forbidden.
    """
    found = s3.list_objects_v2(Bucket=uri.bucket, Prefix=uri.key, MaxKeys=1).get("Contents", [])
    return found[0]["ETag"] if found and found[0]["Key"] == uri.key else None


def read_object(s3: Any, uri: S3Uri) -> bytes | None:
    """Return a small object, or None where there is none."""
    if exists_in_s3(s3, uri) is None:
        return None
    return s3.get_object(Bucket=uri.bucket, Key=uri.key)["Body"].read()


def read_piece(s3: Any, uri: S3Uri, start: int, size: int) -> bytes:
    """Return *size* bytes of an object from *start* on, which lies in it, or all to its end."""
    piece = f"bytes={start}-{start + size - 1}"
    answer = s3.get_object(Bucket=uri.bucket, Key=uri.key, Range=piece)
    return answer["Body"].read()


def age_in_seconds(s3: Any, uri: S3Uri) -> float:
    """Return how long ago an object was written, by S3's own clock alone."""
    answer = s3.head_object(Bucket=uri.bucket, Key=uri.key)
    now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    return (now - answer["LastModified"]).total_seconds()


def delete_objects(s3: Any, prefix: S3Uri) -> int:
    """Delete every object below the prefix and return how many there were."""
    keys = [{"Key": found.uri.key} for found in list_objects(s3, prefix)]
    for start in range(0, len(keys), _KEYS_A_DELETE):
        some = {"Objects": keys[start : start + _KEYS_A_DELETE], "Quiet": True}
        answer = s3.delete_objects(Bucket=prefix.bucket, Delete=some)
        for refused in answer.get("Errors", []):
            raise ClientError({"Error": refused}, "DeleteObjects")
    return len(keys)


def unfinished_uploads(s3: Any, prefix: S3Uri) -> list[dict[str, Any]]:
    """Return the unfinished uploads below the prefix, whose parts are billed."""
    pages = s3.get_paginator("list_multipart_uploads").paginate(
        Bucket=prefix.bucket, Prefix=prefix.key
    )
    return [upload for page in pages for upload in page.get("Uploads", [])]


def abort_uploads(s3: Any, prefix: S3Uri) -> None:
    """Give up every unfinished upload below the prefix."""
    for upload in unfinished_uploads(s3, prefix):
        s3.abort_multipart_upload(
            Bucket=prefix.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
        )


class _ResumingBody(io.RawIOBase):
    """The bytes of one object, over as many connections as it takes."""

    def __init__(self, s3: Any, uri: S3Uri, entity_tag: str | None) -> None:
        self._s3 = s3
        self._request = {"Bucket": uri.bucket, "Key": uri.key}
        if entity_tag:
            self._request["IfMatch"] = entity_tag
        self._body: Any = None
        self._position = 0
        self._size: int | None = None
        self._breaks = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        if data:
            self._breaks = 0
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        if self._body is not None:
            self._body.close()
        super().close()

    def _read(self, size: int) -> bytes:
        while self._position != self._size:
            try:
                return self._connected().read(size)
            except _BROKEN:
                self._breaks += 1
                self._body = None
                if self._breaks > _BREAKS_TOLERATED:
                    raise
        return b""

    def _connected(self) -> Any:
        if self._body is None:
            behind = {"Range": f"bytes={self._position}-"} if self._position else {}
            answer = self._s3.get_object(**self._request, **behind)
            self._request["IfMatch"] = answer["ETag"]  # never two contents in one reading
            self._size = self._position + answer["ContentLength"]
            self._body = answer["Body"]
        return self._body


class S3ObjectWriter:
    """
    Write one object of any size in constant memory, by multipart upload.

    The object appears whole when the block ends well; after an exception nothing of it is left.
    After a block that wrote nothing it is empty if *can_be_empty*, else there is none, even if
    there was one before.
    """

    def __init__(
        self, s3: Any, uri: S3Uri, content_type: str, *, can_be_empty: bool = False
    ) -> None:
        self._s3 = s3
        self._place = {"Bucket": uri.bucket, "Key": uri.key}
        self._content_type = content_type
        self._can_be_empty = can_be_empty
        self._buffer = bytearray()
        self._upload_id: str | None = None
        self._parts: list[dict[str, Any]] = []

    def write(self, data: bytes) -> None:
        """Add *data* to the end of the object."""
        self._buffer += data
        if len(self._buffer) >= self._part_bytes():
            self._send_part()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._abort()
            return
        try:
            self._complete()
        except BaseException:
            self._abort()
            raise

    def _part_bytes(self) -> int:
        return PART_BYTES if len(self._parts) < _EARLY_PARTS else _LATE_PART_BYTES

    def _send_part(self) -> None:
        if self._upload_id is None:
            started = self._s3.create_multipart_upload(
                **self._place, ContentType=self._content_type
            )
            self._upload_id = started["UploadId"]
        number = len(self._parts) + 1
        answer = self._s3.upload_part(
            **self._place, UploadId=self._upload_id, PartNumber=number, Body=bytes(self._buffer)
        )
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        self._buffer.clear()

    def _complete(self) -> None:
        if self._upload_id is None:
            if not (self._buffer or self._can_be_empty):
                self._remove_earlier()
                return
            body = bytes(self._buffer)
            self._s3.put_object(**self._place, Body=body, ContentType=self._content_type)
            return
        if self._buffer:
            self._send_part()
        self._s3.complete_multipart_upload(
            **self._place, UploadId=self._upload_id, MultipartUpload={"Parts": self._parts}
        )

    def _remove_earlier(self) -> None:
        place = S3Uri(self._place["Bucket"], self._place["Key"])
        if any(found.uri == place for found in list_objects(self._s3, place)):
            self._s3.delete_object(**self._place)

    def _abort(self) -> None:
        if self._upload_id is not None:
            self._s3.abort_multipart_upload(**self._place, UploadId=self._upload_id)
