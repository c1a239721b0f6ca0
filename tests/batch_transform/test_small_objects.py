"""Small objects: read in the quick way where that works, in the ordinary way where it does not."""

import io
import itertools
import socketserver
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import ClientError

from batch_transform.aws import S3_CONFIG, AwsClients
from batch_transform.naming import S3Uri
from batch_transform.small_objects import SmallObjects

KEYS = [
    "plain",
    "a b",
    "50%",
    "%20",
    "a+b&c=d?e#f",
    "Übung/\U0001f4b6",
    "a//b",
    "a/../b",
    "~'()*!",
    "/first",
]


class WatchedS3:
    """An S3 client that counts ordinary requests and names other addresses than it should."""

    def __init__(self, s3: Any, address: str | None = None) -> None:
        self._s3, self._address, self.meta = s3, address, s3.meta
        self._request_signer = s3._request_signer
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


class Forbidden(io.BytesIO):
    """What S3 says of an object that nobody may read."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        """Give all at once."""
        yield b"<Error><Code>AccessDenied</Code></Error>"


class Recorder:
    """Takes requests in the place of a network, and forbids each."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    def send(self, request: Any, **_: Any) -> Any:
        """Keep the request."""
        self.requests.append(request)
        return AWSResponse(request.url, 403, {}, Forbidden())


@pytest.fixture
def no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real AWS's addresses, which nobody asks."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


def header(request: Any, name: str) -> str:
    """Return a header as text; botocore holds some as bytes."""
    value = request.headers[name]
    return value.decode() if isinstance(value, bytes) else value


PLACES = [
    ("us-east-1", {}, {}),
    ("ap-southeast-3", {}, {}),
    ("eu-central-1", {"use_dualstack_endpoint": True}, {}),
    ("us-gov-west-1", {"use_fips_endpoint": True}, {}),
    ("us-east-1", {"s3": {"addressing_style": "path"}}, {}),
    ("us-east-1", {}, {"endpoint_url": "https://bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com"}),
    ("cn-north-1", {}, {"endpoint_url": "http://localhost:4566/base"}),
]


@pytest.mark.parametrize(("region", "settings", "endpoint"), PLACES)
@pytest.mark.parametrize("bucket_name", ["legal-documents", "legal.documents"])
def test_the_quick_request_is_the_one_that_botocore_would_send(
    no_endpoint: None, region: str, settings: dict, endpoint: dict, bucket_name: str
) -> None:
    """The same address, credentials, region and signature, wherever S3 is and however reached."""
    session = boto3.session.Session("key", "secret", "session token", region_name=region)
    config = deepcopy(S3_CONFIG).merge(Config(**settings))  # botocore writes into what it is given
    s3 = session.client("s3", config=config, **endpoint)
    quick, ordinary = Recorder(), Recorder()
    s3.meta.events.register("before-send.s3.GetObject", ordinary.send)
    objects = SmallObjects(s3, quick)
    for key in KEYS:
        with pytest.raises(ClientError, match="AccessDenied"):
            objects.read(S3Uri(bucket_name, key), '"tag"')
        sent, expected = quick.requests[-1], ordinary.requests[-1]
        assert (sent.method, sent.url) == (expected.method, expected.url)
        for name in ("If-Match", "X-Amz-Security-Token", "X-Amz-Content-SHA256"):
            assert header(sent, name) == header(expected, name)
        scopes = [header(r, "Authorization").split(",")[0] for r in (sent, expected)]
        assert scopes[0] == scopes[1]


def test_credentials_are_renewed_while_objects_are_read(no_endpoint: None) -> None:
    """Those of a role last an hour, and packing may last longer."""
    lives = itertools.count()

    def renew() -> dict[str, str]:
        soon = datetime.now(UTC) + timedelta(seconds=1)
        keys = {"access_key": f"key-{next(lives)}", "secret_key": "s", "token": "t"}
        return keys | {"expiry_time": soon.isoformat()}

    session = botocore.session.get_session()
    session._credentials = RefreshableCredentials.create_from_metadata(renew(), renew, "a test")
    s3 = session.create_client("s3", region_name="us-east-1", config=S3_CONFIG)
    quick = Recorder()
    s3.meta.events.register("before-send.s3.GetObject", Recorder().send)
    objects = SmallObjects(s3, quick)
    for _ in range(2):
        with pytest.raises(ClientError, match="AccessDenied"):
            objects.read(S3Uri("legal-documents", "a"), '"tag"')
    used = [header(request, "Authorization").partition("/")[0] for request in quick.requests]
    assert used[0] != used[1]
