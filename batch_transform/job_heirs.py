"""
The jobs that go on with another: they read the shards in its folder, which must outlive them.

Each leaves its name, as an empty object, in the folder of the job that packed the input. So that
folder tells, on any machine, for whom it is kept.
"""

import json
from collections.abc import Iterator
from typing import Any

from batch_transform.aws import AwsClients
from batch_transform.errors import AwsRefused
from batch_transform.naming import JobFolder
from batch_transform.s3_objects import exists_in_s3, list_objects, put_object, read_object
from batch_transform.transform_job import find_job


def add_heir(s3: Any, packed_in: JobFolder, job_name: str) -> None:
    """Note in the folder of a job's packed input that *job_name* is about to read it."""
    put_object(s3, packed_in.heirs.child(job_name), b"", "text/plain")


def check_unread(clients: AwsClients, packed_in: JobFolder, besides: str = "") -> None:
    """
    Raise AwsRefused while a job that goes on with this one's shards runs or is being started.

    *besides* is the job that asks. Of two that note themselves first and ask then, none can
    overlook the other.
    """
    for name in _heirs(clients.s3, packed_in):
        if name != besides and (doing := _doing(clients, packed_in.beside(name), name)):
            raise AwsRefused(f"{name} goes on with the shards in {packed_in.shards} and {doing}")


def heir_at_the_end(s3: Any, packed_in: JobFolder) -> str | None:
    """Return the name of a job that went on with these shards until all were answered."""
    for name in _heirs(s3, packed_in):
        summary = read_object(s3, packed_in.beside(name).summary)
        if summary and json.loads(summary).get("is_complete"):
            return name
    return None


def _heirs(s3: Any, packed_in: JobFolder) -> Iterator[str]:
    place = packed_in.heirs
    return (found.uri.key.removeprefix(place.key) for found in list_objects(s3, place))


def _doing(clients: AwsClients, folder: JobFolder, job_name: str) -> str | None:
    """Tell what a job does; None where it has ended, or was given up before its start."""
    script = "check_batch_transform_status.py"
    if job := find_job(clients.sagemaker, job_name):
        waiting = (
            f"is {job.status}: wait for its end, or stop it: {script} --job-name {job_name} --stop"
        )
        return None if job.is_final else waiting
    if exists_in_s3(clients.s3, folder.request) is None:
        return None
    return f"is being started, or was killed then: wait, or remove it: {script} --clean {job_name}"
