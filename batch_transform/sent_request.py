"""
A request as its sender knows it: sent, then its job, its results, or the reason for neither.

Looks from outside, at the queue, at SageMaker and at S3; knows nothing of the functions.
"""

import json
from dataclasses import dataclass
from itertools import count
from typing import Any

from batch_transform.errors import IncompleteOutput, RefusedRequest
from batch_transform.naming import JobFolder, requested_job_name
from batch_transform.outages import Patience
from batch_transform.request_queue import DeadLetter, RequestQueue
from batch_transform.s3_objects import read_object
from batch_transform.transform_job import TransformJob, find_job
from batch_transform.transform_message import TransformMessage

_POLL_IN_SECONDS = 2.0
_POLLS_A_READING = 30
LONGEST_WAIT_FOR_RESULTS_IN_SECONDS = 1200
"""The completion function has 900 seconds, and Lambda's own retries come within three minutes."""


@dataclass(frozen=True)
class SentRequest:
    """A request in the queue: its message, the id of that, and the job that it will get."""

    message: TransformMessage
    message_id: str
    job_name: str


def send_request(queue: RequestQueue, message: TransformMessage) -> SentRequest:
    """Send a message that bears a request_id, so that its job's name is known before the job is."""
    return SentRequest(
        message=message,
        message_id=queue.send(message.to_json()),
        job_name=requested_job_name(queue.name, message.request_id),
    )


def await_job(
    sagemaker: Any,
    queue: RequestQueue,
    sent: SentRequest,
    patience: Patience,
) -> TransformJob:
    """
    Return the job of a request as soon as it exists, however long it waits for capacity.

    Raises RefusedRequest with the reason if it was set aside, as it will be where the name is
    that of another request's job. Reading the dead letters hides them from others: they are read
    when their number is another, and now and then, since that number is approximate.
    """
    polls = count()
    letters: list[DeadLetter] = []
    while (job := patience.outlast(lambda: _find_own_job(sagemaker, sent))) is None:
        is_due = next(polls) % _POLLS_A_READING == 0
        if is_due or patience.outlast(queue.count_dead_letters) != len(letters):
            letters = patience.outlast(queue.dead_letters)
            _check_not_among(letters, sent)
        patience.sleep(_POLL_IN_SECONDS)
    return job


def _find_own_job(sagemaker: Any, sent: SentRequest) -> TransformJob | None:
    job = find_job(sagemaker, sent.job_name)
    return job if job and job.request_digest == sent.message.digest else None


def _check_not_among(letters: list[DeadLetter], sent: SentRequest) -> None:
    for letter in letters:
        if letter.original_message_id == sent.message_id:
            reason = letter.reason or "SQS gave up on it"
            raise RefusedRequest([f"the request was set aside: {reason}"])


def await_results(s3: Any, job: TransformJob, patience: Patience) -> dict[str, Any]:
    """
    Return the summary of a job that ended, once the completion function has written it.

    Raises IncompleteOutput after twenty minutes without one.
    """
    place = JobFolder.of_job(job.output_uri, job.name).summary
    for _ in range(round(LONGEST_WAIT_FOR_RESULTS_IN_SECONDS / _POLL_IN_SECONDS)):
        if (summary := patience.outlast(lambda: read_object(s3, place))) is not None:
            return json.loads(summary)
        patience.sleep(_POLL_IN_SECONDS)
    raise IncompleteOutput(
        f"the job {job.name} is {job.status}, but its results were not consolidated. Do it here: "
        f"python check_batch_transform_status.py --job-name {job.name} --consolidate"
    )
