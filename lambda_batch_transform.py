"""
The two functions of the automatic deployment: a message becomes a job, a job's end its results.

Runs with boto3 and the standard library alone. Knows Lambda's events and the variables that the
template sets; what is done with them lives in batch_transform, as for the scripts.
"""

import json
import os
import random
import time
from functools import cache
from typing import Any

from batch_transform.aws import AwsClients
from batch_transform.errors import NotYet
from batch_transform.job_outcome import settle_job
from batch_transform.naming import S3Uri
from batch_transform.request_delivery import RequestDelivery
from batch_transform.request_queue import RequestQueue, queue_name_of
from batch_transform.requested_job import JobStarter
from batch_transform.tags import tags_in
from batch_transform.transform_job import describe_job
from batch_transform.transform_message import AcceptedRequests


def handle_requests(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Start the job of each message of an SQS event; answer which messages stay queued."""
    variables = os.environ
    queue_url = variables["REQUEST_QUEUE_URL"]
    kms_key_id = variables["KMS_KEY_ARN"] or None
    tags = variables["JOB_TAGS"]
    clients = _clients(kms_key_id, tags)

    def time_left_in_seconds() -> float:
        return context.get_remaining_time_in_millis() / 1000

    starter = JobStarter(
        clients=clients,
        model_name=variables["MODEL_NAME"],
        time_limit_in_seconds=time_left_in_seconds(),
        kms_key_id=kms_key_id,
        tags=tags_in(tags),
    )
    delivery = RequestDelivery(
        queue=RequestQueue(clients.sqs, queue_url, variables["DEAD_LETTER_QUEUE_URL"]),
        accepted=AcceptedRequests(
            queue_name=queue_name_of(queue_url),
            input_folder=S3Uri.parse(variables["INPUT_FOLDER"]),
            output_folder=S3Uri.parse(variables["OUTPUT_FOLDER"]),
            instance_types=tuple(variables["INSTANCE_TYPES"].split(",")),
        ),
        start=starter.start,
        now=time.time,
        time_left_in_seconds=time_left_in_seconds,
        sleep=time.sleep,
        log=_log,
        uniform=random.uniform,
    )
    return delivery.handle(event)


def handle_completion(event: dict[str, Any], _context: Any) -> None:
    """
    Settle the job that an EventBridge event names, by what SageMaker says of it now.

    Events come late, twice or out of order; only the job's own state is believed. An error, NotYet
    for a job that has not ended among them, leaves the function, so that Lambda tries again and at
    last keeps the event.
    """
    variables = os.environ
    tags = variables["JOB_TAGS"]
    job = describe_job(_clients(None, tags).sagemaker, event["detail"]["TransformJobName"])
    if not job.is_final:
        raise NotYet(f"{job.name} has ended by its event, but SageMaker still says {job.status}")
    settle_job(_clients(job.kms_key_id, tags).s3, job)
    _log({"job_name": job.name, "status": job.status})


@cache
def _clients(kms_key_id: str | None, tags: str) -> AwsClients:
    """Return the clients that all calls of one process share, those that write alike."""
    return AwsClients(None, kms_key_id, tags_in(tags))


def _log(told: dict[str, Any]) -> None:
    print(json.dumps(told))
