"""Objects as streams: written in parts or whole, and never half."""

import io
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import IncompleteReadError
from botocore.response import StreamingBody

from batch_transform.aws import AwsClients
from batch_transform.naming import S3Uri
from batch_transform.s3_objects import (
    PART_BYTES,
    S3ObjectWriter,
    abort_uploads,
    delete_objects,
    exists_in_s3,
    list_objects,
    read_lines,
    read_object,
)


def body_of(s3: Any, uri: S3Uri) -> bytes:
    """Return a whole object."""
    return s3.get_object(Bucket=uri.bucket, Key=uri.key)["Body"].read()


def unfinished_uploads(s3: Any, bucket: str) -> list:
    """Return the multipart uploads that someone would be billed for."""
    return s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])


@pytest.mark.parametrize("size", [1, PART_BYTES, 2 * PART_BYTES + 17])
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


def test_nothing_written_is_no_object(clients: AwsClients, bucket: str) -> None:
    """A file of errors appears only where there are any."""
    with S3ObjectWriter(clients.s3, S3Uri(bucket, "object"), "text/plain"):
        pass
    assert list(list_objects(clients.s3, S3Uri(bucket))) == []


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


class BreakingS3:
    """An S3 whose connections break off after *size* bytes, the first *breaks* of them."""

    def __init__(self, s3: Any, breaks: int, size: int = 1000) -> None:
        self._s3, self.breaks, self._size, self.requests = s3, breaks, size, []

    def get_object(self, **request: Any) -> dict[str, Any]:
        """Answer with a body that breaks off."""
        self.requests.append(request)
        answer = self._s3.get_object(**request)
        if len(self.requests) <= self.breaks:
            body = io.BytesIO(answer["Body"].read(self._size))
            answer["Body"] = StreamingBody(body, answer["ContentLength"])
        return answer


def test_a_body_that_breaks_off_is_taken_up_where_it_broke(
    clients: AwsClients, bucket: str
) -> None:
    """botocore repeats requests, not bodies; and the rest must be of the same content."""
    lines = [b"%06d\n" % number for number in range(1000)]
    clients.s3.put_object(Bucket=bucket, Key="lines", Body=b"".join(lines))
    breaking = BreakingS3(clients.s3, breaks=3)
    assert list(read_lines(breaking, S3Uri(bucket, "lines"))) == lines
    assert [request.get("Range") for request in breaking.requests] == [
        None,
        "bytes=1000-",
        "bytes=2000-",
        "bytes=3000-",
    ]
    assert all("IfMatch" in request for request in breaking.requests[1:])


def test_a_body_that_always_breaks_off_is_given_up(clients: AwsClients, bucket: str) -> None:
    """A dead network ends in an error, not in a loop nor in a short file."""
    clients.s3.put_object(Bucket=bucket, Key="large", Body=bytes(100_000))
    with pytest.raises(IncompleteReadError):
        list(read_lines(BreakingS3(clients.s3, breaks=99, size=0), S3Uri(bucket, "large")))


def test_breaks_count_in_a_row_alone(clients: AwsClients, bucket: str) -> None:
    """Hours of reading see many breaks; as long as each connection brings something, it goes on."""
    line = bytes(9_999) + b"\n"
    clients.s3.put_object(Bucket=bucket, Key="large", Body=line)
    assert list(read_lines(BreakingS3(clients.s3, breaks=9), S3Uri(bucket, "large"))) == [line]


@pytest.mark.parametrize("status", [500, 503])
def test_errors_of_s3_that_pass_are_waited_out(
    clients: AwsClients, bucket: str, status: int
) -> None:
    """Throttling and internal errors are tried again, and nobody hears of them."""
    s3 = clients.client("s3")
    failures = iter([status, status])

    def fail(request: Any, **_: Any) -> AWSResponse | None:
        if (code := next(failures, None)) is None:
            return None
        raw = io.BytesIO(b"<Error><Code>SlowDown</Code></Error>")
        raw.stream = lambda *_args, **_kwargs: iter([raw.getvalue()])
        return AWSResponse(request.url, code, {}, raw)

    s3.meta.events.register("before-send.s3", fail)
    with S3ObjectWriter(s3, S3Uri(bucket, "object"), "text/plain") as writer:
        writer.write(b"x\n")
    assert body_of(clients.s3, S3Uri(bucket, "object")) == b"x\n"
    assert next(failures, None) is None


def test_what_is_written_bears_the_key_and_the_tags_asked_for(
    clients: AwsClients, bucket: str
) -> None:
    """Small objects and multipart ones alike; no writer needs to think of it."""
    s3, tagged = clients.writing_with("alias/disputes", {"matter": "a & b"}).s3, set()

    def note(model: Any, params: dict[str, Any], **_: Any) -> None:
        if params["headers"].get("x-amz-tagging") == "matter=a+%26+b":
            tagged.add(model.name)

    s3.meta.events.register("before-call.s3", note)
    for name, size in {"small": 10, "large": PART_BYTES + 1}.items():
        with S3ObjectWriter(s3, S3Uri(bucket, name), "text/plain") as writer:
            writer.write(bytes(size))
        found = clients.s3.head_object(Bucket=bucket, Key=name)
        assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == (
            "aws:kms",
            "alias/disputes",
        )
    assert tagged == {"PutObject", "CreateMultipartUpload"}


def test_a_key_that_another_one_begins_with_is_not_there(clients: AwsClients, bucket: str) -> None:
    """A listing is by prefix, but what is asked for is one object."""
    written = clients.s3.put_object(Bucket=bucket, Key="job.json.old", Body=b"x")
    beginning, whole = S3Uri(bucket, "job.json"), S3Uri(bucket, "job.json.old")
    assert (exists_in_s3(clients.s3, beginning), read_object(clients.s3, beginning)) == (None, None)
    assert (exists_in_s3(clients.s3, whole), read_object(clients.s3, whole)) == (
        written["ETag"],
        b"x",
    )


def test_unfinished_uploads_are_given_up(clients: AwsClients, bucket: str) -> None:
    """A script that was killed leaves parts, which are billed until somebody removes them."""
    for key in ("job/a", "other/b"):
        clients.s3.create_multipart_upload(Bucket=bucket, Key=key)
    abort_uploads(clients.s3, S3Uri(bucket, "job/"))
    assert [upload["Key"] for upload in unfinished_uploads(clients.s3, bucket)] == ["other/b"]


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
