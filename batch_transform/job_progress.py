"""
How far a job is. SageMaker tells only the state; the outputs in S3 tell the rest.

Knows how many outputs a job owes; draws nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from batch_transform.aws import AwsClients
from batch_transform.errors import InvalidInput
from batch_transform.input_documents import find_input
from batch_transform.input_manifest import count_manifest
from batch_transform.job_record import read_job_record
from batch_transform.naming import JobFolder
from batch_transform.outages import Patience
from batch_transform.s3_objects import list_objects
from batch_transform.shard_outputs import PackedJob
from batch_transform.transform_job import TransformJob, describe_job

FIRST_PAUSE_IN_SECONDS = 1.0
LAST_PAUSE_IN_SECONDS = 15.0
_PAUSE_GROWTH = 1.2


@dataclass(frozen=True)
class JobProgress:
    """
    One look at a running job: the outputs of its own that lie in S3, of those that it owes.

    *documents* are those in finished shards; None for a job that packed nothing, whose documents
    nobody has counted.
    """

    job: TransformJob
    outputs: int
    outputs_expected: int
    documents: int | None = None

    def documents_per_second(self, now: datetime) -> float | None:
        """Return the speed since the machines are billed; None before there is any."""
        return self.documents / self._seconds_until(now) if self.documents else None

    def seconds_left(self, now: datetime) -> float | None:
        """Return how long the rest takes at the speed so far; None while nobody can tell."""
        if not self.outputs or self.job.is_final:
            return None
        rest = max(self.outputs_expected - self.outputs, 0)
        return rest * self._seconds_until(now) / self.outputs

    def _seconds_until(self, now: datetime) -> float:
        started = self.job.started_at or self.job.created_at
        return max(((self.job.ended_at or now) - started).total_seconds(), 1)


def follow_progress(
    clients: AwsClients, job_name: str, patience: Patience
) -> Iterator[JobProgress]:
    """
    Yield the progress of a job at every look until it is final, the final look included.

    Looks often at first and every 15 seconds later. Has no time limit: boto3's own waiter gives up
    after one hour, and jobs run for longer. An outage is outlasted once AWS has answered: who asks
    in the wrong region or by a dead network at first is told so at once.
    """
    job = describe_job(clients.sagemaker, job_name)
    look = patience.outlast(lambda: _way_to_look(clients, job))
    pause = FIRST_PAUSE_IN_SECONDS
    while not (progress := patience.outlast(look)).job.is_final:
        yield progress
        patience.sleep(pause)
        pause = min(pause * _PAUSE_GROWTH, LAST_PAUSE_IN_SECONDS)
    yield progress


def _way_to_look(clients: AwsClients, job: TransformJob) -> Callable[[], JobProgress]:
    folder = JobFolder.holding(job.output_uri, job.name)
    return _at_shards(clients, folder, job) if folder else _at_files(clients, job)


def _at_shards(
    clients: AwsClients, folder: JobFolder, job: TransformJob
) -> Callable[[], JobProgress]:
    packed_job = PackedJob(folder, read_job_record(clients.s3, folder))
    records = {shard.name: shard.records for shard in packed_job.record.packed.shards}
    is_resumed = bool(packed_job.record.resumes)
    expected = count_manifest(clients.s3, folder.manifest) if is_resumed else len(records)

    def look() -> JobProgress:
        seen = describe_job(clients.sagemaker, job.name)
        done = packed_job.own_outputs(clients.s3)
        return JobProgress(seen, len(done), expected, sum(records[name] for name in done))

    return look


def _at_files(clients: AwsClients, job: TransformJob) -> Callable[[], JobProgress]:
    expected = outputs_expected(clients.s3, job)

    def look() -> JobProgress:
        seen = describe_job(clients.sagemaker, job.name)
        return JobProgress(seen, count_outputs(clients.s3, seen), expected)

    return look


def outputs_expected(s3: Any, job: TransformJob) -> int:
    """Return how many objects the job reads; each owes one output."""
    manifest = JobFolder.of_job(job.output_uri, job.name).manifest
    if job.input_uri == manifest:
        return count_manifest(s3, manifest)
    try:
        return len(find_input(s3, job.input_uri).files)
    except InvalidInput:  # the input was removed since
        return 0


def count_outputs(s3: Any, job: TransformJob) -> int:
    """Return how many outputs lie in S3; they appear as objects are finished."""
    outputs = list_objects(s3, job.output_uri.folder())
    return sum(found.uri.key.endswith(".out") for found in outputs)
