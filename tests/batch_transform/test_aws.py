"""Foreign errors become sentences with a remedy."""

from datetime import UTC, datetime
from io import BytesIO
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSRequest, AWSResponse, HeadersDict
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
)
from botocore.stub import Stubber

from batch_transform.aws import AwsClients, check_bucket, explain
from batch_transform.errors import AwsRefused


@pytest.fixture
def s3() -> Stubber:
    """An S3 client that answers as told."""
    with Stubber(boto3.session.Session("key", "secret", region_name="us-east-1").client("s3")) as s:
        yield s


@pytest.mark.parametrize(
    ("status", "headers", "told"),
    [
        ("404", {}, "does not exist"),
        ("403", {}, "may not be used with these credentials"),
        ("301", {"x-amz-bucket-region": "eu-west-1"}, "lies in eu-west-1: set AWS_REGION"),
        ("301", {}, "lies in another region"),
        ("400", {}, "the credentials or the region are wrong"),
        ("500", {}, "HeadBucket"),
    ],
)
def test_a_bucket_that_cannot_be_used_is_explained(
    s3: Stubber, status: str, headers: dict, told: str
) -> None:
    """HeadBucket answers with a bare status; what it means is told with the bucket's name."""
    s3.add_client_error(
        "head_bucket", status, http_status_code=int(status), response_meta={"HTTPHeaders": headers}
    )
    with pytest.raises(AwsRefused, match=told):
        check_bucket(s3.client, "legal-documents")


@pytest.mark.parametrize("region", [None, "us-east-1", "eu-west-1"])
def test_a_bucket_must_lie_where_the_job_runs(s3: Stubber, region: str | None) -> None:
    """Reading it works across regions, which is why nothing else would tell before SageMaker."""
    s3.add_response("head_bucket", {"BucketRegion": region} if region else {})
    if region != "eu-west-1":
        check_bucket(s3.client, "legal-documents")
        return
    with pytest.raises(AwsRefused, match="lies in eu-west-1, but SageMaker in us-east-1"):
        check_bucket(s3.client, "legal-documents")


LISTING = b"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Contents><Key>a.txt</Key>
<LastModified>2026-11-26T15:08:09.123Z</LastModified></Contents></ListBucketResult>"""


def test_the_dates_of_listings_and_of_headers_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 writes them in two formats; both carry their time zone."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    client = AwsClients("us-east-1").s3

    def answer(request: AWSRequest, **_: object) -> AWSResponse:
        headers = HeadersDict({"last-modified": "Thu, 26 Nov 2026 15:08:09 GMT"})
        body = BytesIO(LISTING if request.method == "GET" else b"")
        body.stream = lambda: [body.read()]
        return AWSResponse(request.url, 200, headers, body)

    client.meta.events.register("before-send.s3", answer)
    (listed,) = client.list_objects_v2(Bucket="legal-documents")["Contents"]
    assert listed["LastModified"] == datetime(2026, 11, 26, 15, 8, 9, 123000, UTC)
    headed = client.head_object(Bucket="legal-documents", Key="a.txt")
    assert headed["LastModified"] == datetime(2026, 11, 26, 15, 8, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("AccessDenied", "ask for the permission"),
        ("ExpiredToken", "sign in again"),
        ("NoSuchBucket", "mend the bucket's name"),
        ("ResourceLimitExceeded", "Service Quotas"),
        ("AWS.SimpleQueueService.NonExistentQueue", "check SQS_QUEUE_URL, and that AWS_REGION"),
        ("UnrecognizedClientException", "AWS_ACCESS_KEY_ID"),
        ("SomethingNew", "(SomethingNew)"),
    ],
)
def test_what_aws_refused_is_quoted_with_the_remedy(code: str, told: str) -> None:
    """The operation, AWS's own words, its code, and what to do where that is known."""
    answer = {"Error": {"Code": code, "Message": "as you were"}}
    sentence = explain(ClientError(answer, "CreateTransformJob"))
    assert sentence.startswith("AWS refused CreateTransformJob: as you were")
    assert told in sentence


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NoCredentialsError(), "no AWS credentials were found"),
        (NoRegionError(), "AWS_REGION"),
        (EndpointConnectionError(endpoint_url="https://aws"), "cannot be reached"),
    ],
)
def test_what_never_reached_aws_is_explained(error: Exception, told: str) -> None:
    """Neither a class name nor a traceback, but what to mend."""
    assert told in explain(error)


@pytest.mark.parametrize("region", ["us-east-1", "us-west-2", "eu-central-1", "ap-southeast-3"])
def test_a_signed_url_goes_to_the_endpoint_of_its_region(
    monkeypatch: pytest.MonkeyPatch, region: str
) -> None:
    """The global endpoint would redirect it, or refuse its signature."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    place = {"Bucket": "legal-documents", "Key": "input/a.txt"}
    url = AwsClients(region).s3.generate_presigned_url("get_object", Params=place)
    host = "s3.amazonaws.com" if region == "us-east-1" else f"s3.{region}.amazonaws.com"
    assert urlsplit(url).hostname == f"legal-documents.{host}"
