"""A bucket of one's own on the local AWS, and the clients that the product itself would make."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from batch_transform.aws import AwsClients
from batch_transform.naming import JobFolder, S3Uri


@pytest.fixture(scope="session")
def clients(local_aws: Any) -> Iterator[AwsClients]:
    """The product's clients; they find the local AWS by the environment alone."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in local_aws.environment().items():
            environment.setenv(name, value)
        yield AwsClients("us-east-1")


@pytest.fixture
def bucket(clients: AwsClients) -> str:
    """A fresh bucket."""
    name = f"legal-{uuid.uuid4().hex[:12]}"
    clients.s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def folder(bucket: str) -> JobFolder:
    """The folder of a job in the fresh bucket."""
    return JobFolder.of(S3Uri(bucket, "output/"), "job-1")


class Documents:
    """Puts text files under `input/` of a bucket."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self.uri = S3Uri(bucket, "input/")

    def put(self, **files: bytes) -> S3Uri:
        """Write `name=b"…"` as `name.txt` and return the input prefix."""
        for name, body in files.items():
            self.put_key(f"input/{name}.txt", body)
        return self.uri

    def put_key(self, key: str, body: bytes) -> None:
        """Write one object under its whole key."""
        self._s3.put_object(Bucket=self.uri.bucket, Key=key, Body=body)


@pytest.fixture
def documents(clients: AwsClients, bucket: str) -> Documents:
    """A way to put text files into the bucket."""
    return Documents(clients.s3, bucket)
