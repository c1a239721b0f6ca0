"""The local AWS that any room's tests may use: one for the whole run, with the real container."""

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from botocore.client import BaseClient
from hypothesis import HealthCheck, settings

from local_aws import LocalAws, running

# A busy machine makes no property false.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
if not list(Path("/dev").glob("nvidia[0-9]*")):
    # Without a GPU its kernels run on the CPU: read when Triton is imported, which torch does.
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(scope="session")
def local_aws() -> Iterator[LocalAws]:
    """A local AWS on a free port, whose jobs run the container of this repository."""
    with running() as started:
        yield started


@pytest.fixture(scope="session")
def aws(local_aws: LocalAws) -> Callable[[str], BaseClient]:
    """boto3 clients of it, each made once, by the service's name: ``aws("s3")``."""
    return cache(local_aws.client)
