"""The local AWS that any room's tests may use: one for the whole run, with the real container."""

from collections.abc import Callable, Iterator
from functools import cache

import boto3
import pytest
from botocore.client import BaseClient

from local_aws import LocalAws, running


@pytest.fixture(scope="session")
def local_aws() -> Iterator[LocalAws]:
    """A local AWS on a free port, whose jobs run the container of this repository."""
    with running() as started:
        yield started


@pytest.fixture(scope="session")
def aws(local_aws: LocalAws) -> Callable[[str], BaseClient]:
    """boto3 clients of it, by the service's name: ``aws("s3")``."""
    return clients_of(local_aws)


def clients_of(local_aws: LocalAws) -> Callable[[str], BaseClient]:
    """Return what makes each client of one local AWS once."""
    environment = local_aws.environment()

    @cache
    def client(service_name: str) -> BaseClient:
        return boto3.client(
            service_name,
            endpoint_url=local_aws.endpoint_url,
            region_name=environment["AWS_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )

    return client
