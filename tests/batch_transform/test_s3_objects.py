"""Objects as streams: written in parts or whole, and never half."""

from typing import Any

import pytest

from batch_transform.aws import AwsClients
from batch_transform.naming import S3Uri
from batch_transform.s3_objects import (
    PART_BYTES,
    S3ObjectWriter,
    delete_objects,
    list_objects,
    read_lines,
)


def body_of(s3: Any, uri: S3Uri) -> bytes:
    """Return a whole object."""
    return s3.get_object(Bucket=uri.bucket, Key=uri.key)["Body"].read()


def unfinished_uploads(s3: Any, bucket: str) -> list:
    """Return the multipart uploads that someone would be billed for."""
    return s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, 2 * PART_BYTES + 17])
def test_what_is_written_in_pieces_is_read_as_one(
    clients: AwsClients, bucket: str, size: int
) -> None:
    """Whatever the size, in one request or in parts, the object holds all the bytes in order."""
    uri, piece = S3Uri(bucket, "object"), bytes(range(256)) * 4096
    data = (piece * (size // len(piece) + 1))[:size]
    with S3ObjectWriter(clients.s3, uri, "text/plain") as writer:
        for start in range(0, size, 3_000_000):
            writer.write(data[start : start + 3_000_000])
    assert body_of(clients.s3, uri) == data


@pytest.mark.parametrize("size", [10, 2 * PART_BYTES])
def test_a_failure_leaves_nothing(clients: AwsClients, bucket: str, size: int) -> None:
    """No object appears, and no part is left to be billed."""
    uri = S3Uri(bucket, "object")

    def write_and_fail() -> None:
        with S3ObjectWriter(clients.s3, uri, "text/plain") as writer:
            writer.write(bytes(size))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert list(list_objects(clients.s3, uri)) == []
    assert unfinished_uploads(clients.s3, bucket) == []


def test_only_a_line_feed_ends_a_line(clients: AwsClients, bucket: str) -> None:
    """Real texts hold other characters that some readers take for line ends."""
    lines = ["a\x0bb\x0c\x1c\x85\u2028c\r\n", "d\re\n", "\n", "f"]
    clients.s3.put_object(Bucket=bucket, Key="lines", Body="".join(lines).encode())
    read = [line.decode() for line in read_lines(clients.s3, S3Uri(bucket, "lines"))]
    assert read == lines


def test_deleting_a_folder_spares_its_namesake(clients: AwsClients, bucket: str) -> None:
    """Only what lies below the folder goes."""
    for key in ("out/a", "out/b/c", "out_old/a"):
        clients.s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert delete_objects(clients.s3, S3Uri(bucket, "out/")) == 2
    assert [found.uri.key for found in list_objects(clients.s3, S3Uri(bucket))] == ["out_old/a"]
