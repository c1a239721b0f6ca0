"""Small objects: read in the quick way where that works, in the ordinary way where it does not."""

import socketserver
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest
from botocore.exceptions import ClientError

from batch_transform.aws import AwsClients
from batch_transform.naming import S3Uri
from batch_transform.small_objects import SmallObjects

KEYS = ["plain", "a b", "50%", "%20", "a+b&c=d?e#f", "Übung/\U0001f4b6", "a//b", "a/../b", "~'()*!"]


class WatchedS3:
    """An S3 client that counts ordinary requests and signs other addresses than it should."""

    def __init__(self, s3: Any, address: str | None = None) -> None:
        self._s3, self._address, self.meta = s3, address, s3.meta
        self.ordinary_requests = 0

    def generate_presigned_url(self, *arguments: Any, **settings: Any) -> str:
        """Return the address given, else the right one."""
        return self._address or self._s3.generate_presigned_url(*arguments, **settings)

    def get_object(self, **request: Any) -> Any:
        """Answer, and remember that it was asked for."""
        self.ordinary_requests += 1
        return self._s3.get_object(**request)


def put(clients: AwsClients, bucket: str, key: str, body: bytes) -> tuple[S3Uri, str]:
    """Write an object and return what a listing would tell of it."""
    answer = clients.s3.put_object(Bucket=bucket, Key=key, Body=body)
    return S3Uri(bucket, key), answer["ETag"]


@pytest.mark.parametrize("key", KEYS)
def test_an_object_is_read_in_one_signed_request(
    clients: AwsClients, bucket: str, key: str
) -> None:
    """Whatever stands in its key, the ordinary way is not needed."""
    s3 = WatchedS3(clients.s3)
    assert SmallObjects(s3).read(*put(clients, bucket, key, b"words")) == b"words"
    assert s3.ordinary_requests == 0


@pytest.mark.parametrize("path", ["no-such-bucket/x", None])
def test_what_is_not_answered_at_once_is_read_in_the_ordinary_way(
    clients: AwsClients, bucket: str, local_aws: Any, path: str | None
) -> None:
    """An answer that is not the object, or none at all: nobody hears of it."""
    address = f"{local_aws.endpoint_url}/{path}" if path else "http://127.0.0.1:9/nobody-listens"
    s3 = WatchedS3(clients.s3, address)
    assert SmallObjects(s3).read(*put(clients, bucket, "a", b"words")) == b"words"
    assert s3.ordinary_requests == 1


class CutAnswers(socketserver.BaseRequestHandler):
    """Promises more than it sends, or does not say how much there is."""

    length = b""

    def handle(self) -> None:
        """Answer one request with two words of five."""
        self.request.recv(65536)
        self.request.sendall(b"HTTP/1.1 200 OK\r\n" + self.length + b"\r\nfirst words")


@pytest.fixture(params=[b"Content-Length: 100\r\n", b""])
def cut_answers(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server whose answers break off."""
    handler = type("Handler", (CutAnswers,), {"length": request.param})
    with socketserver.TCPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield "http://127.0.0.1:{1}/".format(*server.server_address)
        server.shutdown()


def test_an_answer_that_is_cut_short_is_not_taken_for_the_object(
    clients: AwsClients, bucket: str, cut_answers: str
) -> None:
    """Not every transport notices; half an object would be packed as if it were all."""
    s3 = WatchedS3(clients.s3, cut_answers)
    words = b"first words, and others"
    assert SmallObjects(s3).read(*put(clients, bucket, "a", words)) == words
    assert s3.ordinary_requests == 1


def test_an_object_that_was_changed_is_refused_as_aws_refuses_it(
    clients: AwsClients, bucket: str
) -> None:
    """The content that was listed, or an error; never another content."""
    uri, entity_tag = put(clients, bucket, "a", b"words")
    put(clients, bucket, "a", b"other words")
    with pytest.raises(ClientError, match=r"PreconditionFailed|412"):
        SmallObjects(clients.s3).read(uri, entity_tag)


def test_requests_are_signed_as_every_region_wants_it(clients: AwsClients, bucket: str) -> None:
    """The old signature is refused by newer regions and for encrypted objects."""
    url = clients.s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"})
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
