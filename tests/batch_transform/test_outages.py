"""A job is watched through what a laptop goes through, and no longer than makes sense."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    SSLError,
    UnauthorizedSSOTokenError,
)

from batch_transform import watching
from batch_transform.aws import AwsClients
from batch_transform.errors import WatchInterrupted
from batch_transform.job_progress import follow_progress
from batch_transform.naming import JobFolder
from batch_transform.outages import LONGEST_OUTAGE_IN_HOURS, Patience

NO_NETWORK = EndpointConnectionError(endpoint_url="https://sagemaker")
CAPTIVE_PORTAL = SSLError(endpoint_url="https://sagemaker", error="certificate verify failed")
TIMED_OUT = ConnectTimeoutError(endpoint_url="https://sagemaker")
EXPIRED = ClientError(
    {"Error": {"Code": "ExpiredTokenException", "Message": "expired"}}, "DescribeTransformJob"
)


class Watcher:
    """Someone whose clock runs only while they wait, and who notes what is said."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []
        self.told: list[str] = []
        self.patience = Patience(tell=self.told.append, sleep=self._wait, clock=lambda: self.now)

    def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


class Answers:
    """Gives one outcome after the other; the last one for ever."""

    def __init__(self, *outcomes: Any) -> None:
        self._outcomes = list(outcomes)

    def __call__(self, **_request: Any) -> Any:
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def watcher() -> Watcher:
    """Somebody with twelve hours' patience."""
    return Watcher()


def test_an_outage_is_outlasted_and_told_of_once(watcher: Watcher) -> None:
    """Whatever it looks like from here, with waits that grow."""
    asked = Answers(NO_NETWORK, CAPTIVE_PORTAL, TIMED_OUT, NO_NETWORK, "answered")
    assert watcher.patience.outlast(asked) == "answered"
    assert watcher.waits == [1, 2, 4, 8]
    (told,) = watcher.told
    assert "cannot be reached" in told
    assert "asking again for 12 hours" in told


def test_patience_ends_after_hours(watcher: Watcher) -> None:
    """Not before, and with AWS's own error; the waits grow to a minute and no further."""
    with pytest.raises(EndpointConnectionError):
        watcher.patience.outlast(Answers(NO_NETWORK))
    assert watcher.now / 3600 == pytest.approx(LONGEST_OUTAGE_IN_HOURS, abs=0.02)
    assert max(watcher.waits) == 60


@pytest.mark.parametrize("error", [EXPIRED, UnauthorizedSSOTokenError()])
def test_what_waiting_cannot_mend_is_not_waited_for(watcher: Watcher, error: Exception) -> None:
    """Somebody must sign in again, however the outage began."""
    with pytest.raises(type(error)):
        watcher.patience.outlast(Answers(NO_NETWORK, error))
    assert watcher.waits == [1]


def described(bucket: str, status: str) -> dict[str, Any]:
    """Return what SageMaker says of a standard job."""
    return {
        "TransformJobName": "job-1",
        "TransformJobStatus": status,
        "ModelName": "model-1",
        "CreationTime": datetime(2026, 11, 25, tzinfo=UTC),
        "TransformInput": {"DataSource": {"S3DataSource": {"S3Uri": f"s3://{bucket}/input/"}}},
        "TransformOutput": {"S3OutputPath": f"s3://{bucket}/output/job-1/"},
        "TransformResources": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
    }


@pytest.fixture
def job_of_one_file(clients: AwsClients, documents: Any, folder: JobFolder) -> AwsClients:
    """A job with one output, at a SageMaker whose answers the test decides."""
    documents.put(a=b"words\n")
    clients.s3.put_object(Bucket=folder.root.bucket, Key="output/job-1/a.txt.out", Body=b"{}\n")
    return SimpleNamespace(s3=clients.s3, sagemaker=SimpleNamespace())


def test_a_running_job_is_watched_through_an_outage(
    job_of_one_file: Any, bucket: str, watcher: Watcher
) -> None:
    """Nothing of it is seen in what is yielded, which ends with the job."""
    running = described(bucket, "InProgress")
    job_of_one_file.sagemaker.describe_transform_job = Answers(
        running, running, NO_NETWORK, NO_NETWORK, running, described(bucket, "Completed")
    )
    looks = list(follow_progress(job_of_one_file, "job-1", watcher.patience))
    assert [look.job.status for look in looks] == ["InProgress", "InProgress", "Completed"]
    assert (looks[-1].outputs, looks[-1].outputs_expected) == (1, 1)
    assert len(watcher.told) == 1


def test_a_watch_that_ends_says_how_to_come_back(
    job_of_one_file: Any, bucket: str, watcher: Watcher
) -> None:
    """The reason with its remedy, that the job goes on, and the command."""
    job_of_one_file.sagemaker.describe_transform_job = Answers(
        described(bucket, "InProgress"), EXPIRED
    )
    with pytest.raises(WatchInterrupted) as told:
        watching.follow(job_of_one_file, "job-1", watcher.patience)
    assert "sign in again" in str(told.value)
    assert "goes on and is billed" in str(told.value)
    assert "--job-name job-1 --watch" in str(told.value)


def test_who_asks_by_a_dead_network_is_told_so_at_once(
    job_of_one_file: Any, watcher: Watcher
) -> None:
    """A wrong address at the first question is no outage."""
    job_of_one_file.sagemaker.describe_transform_job = Answers(NO_NETWORK)
    with pytest.raises(WatchInterrupted, match="cannot be reached"):
        watching.follow(job_of_one_file, "job-1", watcher.patience)
    assert watcher.waits == []
