"""
What becomes of a request after it was sent: its job, its results, or the reason for which neither.

Looks from outside, at the queue, at SageMaker and at S3; changes nothing.
"""

import json
from collections.abc import Callable
from typing import Any

from batch_transform.aws import AwsClients
from batch_transform.errors import IncompleteOutput, RefusedRequest
from batch_transform.naming import JobFolder
from batch_transform.request_queue import RequestQueue
from batch_transform.s3_objects import read_object
from batch_transform.transform_job import TransformJob, find_job

_POLL_IN_SECONDS = 2.0
_LOOKS_FOR_RESULTS = 150


def await_job(
    clients: AwsClients,
    queue: RequestQueue,
    body: str,
    job_name: str,
    sleep: Callable[[float], None],
) -> TransformJob:
    """
    Return the job of a request as soon as it exists, however long it waits for capacity.

    *body* is the message as it was sent. Raises RefusedRequest with the reason if it was set aside.
    """
    while (job := find_job(clients.sagemaker, job_name)) is None:
        for letter in queue.dead_letters():
            if letter.body == body:
                reason = letter.reason or "SQS gave up on it"
                raise RefusedRequest([f"the request was set aside: {reason}"])
        sleep(_POLL_IN_SECONDS)
    return job


def await_results(s3: Any, job: TransformJob, sleep: Callable[[float], None]) -> dict[str, Any]:
    """
    Return the summary of a job that ended, once the completion function has written it.

    Raises IncompleteOutput after five minutes without one.
    """
    place = JobFolder.of_job(job.output_uri, job.name).summary
    for _ in range(_LOOKS_FOR_RESULTS):
        if (summary := read_object(s3, place)) is not None:
            return json.loads(summary)
        sleep(_POLL_IN_SECONDS)
    raise IncompleteOutput(
        f"the job {job.name} is {job.status}, but its results were not consolidated. Do it here: "
        f"python check_batch_transform_status.py --job-name {job.name} --watch"
    )
