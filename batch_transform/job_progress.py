"""
How far a job is. SageMaker tells only the state; the outputs in S3 tell the rest.

Knows how many outputs a job owes; draws nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from batch_transform.aws import AwsClients
from batch_transform.errors import InvalidInput
from batch_transform.input_documents import find_input
from batch_transform.input_manifest import count_manifest
from batch_transform.job_record import read_job_record
from batch_transform.naming import JobFolder
from batch_transform.s3_objects import list_objects
from batch_transform.shard_outputs import PackedJob
from batch_transform.transform_job import TransformJob, follow_job


@dataclass(frozen=True)
class JobProgress:
    """
    One look at a running job: the outputs that lie in S3, of those that it owes.

    *documents* are those in finished shards; None for a job that packed nothing, whose documents
    nobody has counted.
    """

    job: TransformJob
    outputs: int
    outputs_expected: int
    documents: int | None = None


def follow_progress(
    clients: AwsClients, job: TransformJob, sleep: Callable[[float], None]
) -> Iterator[JobProgress]:
    """Yield the progress of a job at every look until it is final."""
    folder = JobFolder.holding(job.output_uri, job.name)
    if folder:
        packed_job = PackedJob(folder, read_job_record(clients.s3, folder))
        shards = packed_job.record.packed.shards
        for look in follow_job(clients.sagemaker, job.name, sleep):
            done = packed_job.outputs(clients.s3).keys()
            documents = sum(shard.records for shard in shards if shard.name in done)
            yield JobProgress(look, len(done), len(shards), documents)
        return
    expected = outputs_expected(clients.s3, job)
    for look in follow_job(clients.sagemaker, job.name, sleep):
        yield JobProgress(look, count_outputs(clients.s3, look), expected)


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
