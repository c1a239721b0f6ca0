"""
How an agent gets jobs from the control plane and reports on them: the agent's side.

Knows the three calls and their answers. SageMaker has such an interface too, but shows it to
nobody; this one lives beside the AWS APIs, on the same port.
"""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import urllib3

from local_aws.sagemaker_state import Home, LeaseLostError

PATH = "/_local_aws/transform-jobs/"
TIMEOUT_IN_SECONDS = 10.0


@dataclass(frozen=True)
class ClaimedJob:
    """
    A job in the hands of an agent.

    Attributes
    ----------
    lease_id
        Proof of holding it.
    description
        What DescribeTransformJob answers.
    model
        What DescribeModel answers, or None where the model was deleted meanwhile.
    """

    home: Home
    lease_id: str
    description: dict[str, Any]
    model: dict[str, Any] | None

    @property
    def name(self) -> str:
        """The job's name."""
        return self.description["TransformJobName"]

    @property
    def arn(self) -> str:
        """The job's ARN."""
        return self.description["TransformJobArn"]


class JobControl:
    """The calls of an agent; each holds for *lease_in_seconds*."""

    def __init__(self, endpoint_url: str, lease_in_seconds: float) -> None:
        self._url = endpoint_url + PATH
        self._lease_in_seconds = lease_in_seconds
        self._http = urllib3.PoolManager(retries=False, timeout=TIMEOUT_IN_SECONDS)

    def claim(self) -> ClaimedJob | None:
        """Take a job that nobody holds, or return None."""
        answer = self._call("claim", lease_in_seconds=self._lease_in_seconds)
        if not answer:
            return None
        home = Home(answer["account_id"], answer["region"])
        return ClaimedJob(home, answer["lease_id"], answer["description"], answer["model"])

    def renew(self, job: ClaimedJob) -> str:
        """Keep a job and return its status; raise LeaseLostError where it is no longer held."""
        answer = self._call(
            "renew",
            job_arn=job.arn,
            lease_id=job.lease_id,
            lease_in_seconds=self._lease_in_seconds,
        )
        return answer["status"]

    def finish(self, job: ClaimedJob, status: str, failure_reason: str | None) -> None:
        """Give a job back, done; raise LeaseLostError where it is no longer held."""
        self._call(
            "finish",
            job_arn=job.arn,
            lease_id=job.lease_id,
            status=status,
            failure_reason=failure_reason,
        )

    def _call(self, action: str, **body: Any) -> dict[str, Any]:
        answer = self._http.request("POST", self._url + action, body=json.dumps(body).encode())
        if answer.status == HTTPStatus.CONFLICT:
            raise LeaseLostError(answer.data.decode())
        if answer.status != HTTPStatus.OK:
            message = f"{action} was answered {answer.status}: {answer.data.decode()}"
            raise RuntimeError(message)
        return json.loads(answer.data)
