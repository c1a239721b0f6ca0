"""A local AWS whose container does what each record says, one for the whole run."""

from collections.abc import Iterator

import pytest

from local_aws import LocalAws, running
from tests.local_aws.jobs import ECHO_CONTAINER, Jobs, jobs_in

OPTIONS = ["--concurrent-jobs", "4", "--lease-in-seconds", "2", "--quota", "ml.c5.xlarge=2"]


@pytest.fixture(scope="session")
def echo_aws() -> Iterator[LocalAws]:
    """A local AWS whose container does what each record says."""
    with running(ECHO_CONTAINER, OPTIONS) as started:
        yield started


@pytest.fixture
def jobs(echo_aws: LocalAws) -> Jobs:
    """A bucket of the test's own."""
    return jobs_in(echo_aws)
