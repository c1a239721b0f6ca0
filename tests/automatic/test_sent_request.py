"""What a sender learns of a request: its job, its results, or why there is neither."""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from batch_transform.errors import IncompleteOutput, RefusedRequest
from batch_transform.naming import S3Uri
from batch_transform.outages import Patience
from batch_transform.request_queue import DeadLetter
from batch_transform.sent_request import SentRequest, await_job, await_results
from batch_transform.transform_job import TransformJob
from batch_transform.transform_message import TransformMessage

TEMPLATE = Path(__file__).parents[2] / "lambda_batch_transform_template.yaml"
MESSAGE = TransformMessage("s3://legal-documents/input/", request_id="mine")
BODY = MESSAGE.to_json()
SENT = SentRequest(MESSAGE, message_id="my-message", job_name="dispute-0-mine")
JOB = TransformJob(
    name=SENT.job_name,
    status="InProgress",
    failure_reason=None,
    model_name="dispute-classifier-0",
    input_uri=S3Uri("legal-documents", "input/"),
    output_uri=S3Uri("legal-documents", f"output/{SENT.job_name}/"),
    instance_type="ml.m5.xlarge",
    instance_count=1,
    created_at=datetime(2026, 11, 1, tzinfo=UTC),
    started_at=None,
    ended_at=None,
    request_digest=MESSAGE.digest,
)


class SageMaker:
    """SageMaker that knows the job only from a given look on."""

    def __init__(self, looks_without: int, request_digest: str | None = MESSAGE.digest) -> None:
        self._looks_without = looks_without
        self._environment = {"REQUEST_DIGEST": request_digest} if request_digest else {}

    def describe_transform_job(self, **_request: Any) -> dict[str, Any]:
        if self._looks_without:
            self._looks_without -= 1
            error = {"Code": "ValidationException", "Message": "Could not find requested job"}
            raise ClientError({"Error": error}, "DescribeTransformJob")
        return {
            "TransformJobName": JOB.name,
            "TransformJobStatus": JOB.status,
            "ModelName": JOB.model_name,
            "TransformInput": {"DataSource": {"S3DataSource": {"S3Uri": str(JOB.input_uri)}}},
            "TransformOutput": {"S3OutputPath": str(JOB.output_uri)},
            "TransformResources": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
            "CreationTime": JOB.created_at,
            "Environment": self._environment,
        }


def letter(original_message_id: str) -> DeadLetter:
    """Return a dead letter whose body is that of every other."""
    return DeadLetter("aside", original_message_id, "receipt", BODY, "no text", JOB.created_at)


class Queue:
    """A queue whose dead letters grow from look to look, some of them held by another reader."""

    def __init__(self, *looks: list[DeadLetter], held_elsewhere: int = 0) -> None:
        self._looks = list(looks)
        self.held_elsewhere = held_elsewhere
        self.readings = 0

    def count_dead_letters(self) -> int:
        return len(self._looks[0]) + self.held_elsewhere

    def dead_letters(self) -> list[DeadLetter]:
        self.readings += 1
        return self._looks[0]

    def next_look(self, _seconds: float) -> None:
        if len(self._looks) > 1:
            self._looks.pop(0)


def patience(sleep: Callable[[float], None]) -> Patience:
    """Return that of somebody who passes the time in *sleep*, and hears of no outage."""
    return Patience(tell=pytest.fail, sleep=sleep)


def wait(looks_without: int, queue: Queue, sent: SentRequest = SENT) -> TransformJob:
    """Wait for a job that is there from a given look on."""
    return await_job(SageMaker(looks_without), queue, sent, patience(queue.next_look))


def test_a_dead_letter_of_the_same_words_is_not_taken_for_ones_own() -> None:
    """Somebody else sent the same message and had it set aside: this one still gets its job."""
    assert wait(2, Queue([letter("their-message")])) == JOB


def test_ones_own_dead_letter_ends_the_waiting_with_its_reason() -> None:
    """Known by its first id, under which it lies there after a redrive, too."""
    theirs = letter("their-message")
    queue = Queue([theirs], [theirs], [theirs, letter(SENT.message_id)])
    with pytest.raises(RefusedRequest, match="no text"):
        wait(5, queue)


def test_waiting_seldom_hides_the_dead_letters_from_others() -> None:
    """They are read once a minute, as long as their number stays what was read."""
    queue = Queue([letter("their-message")])
    wait(45, queue)
    assert queue.readings == 2


def test_what_another_reader_held_is_looked_for_again() -> None:
    """One's own letter may be the one that was not to be seen."""
    queue = Queue([letter("their-message")], held_elsewhere=1)
    wait(5, queue)
    assert queue.readings == 5


@pytest.mark.parametrize(
    "other",
    [
        {"input_path": "s3://legal-documents/input/other/"},
        {"output_path": "s3://legal-documents/elsewhere/"},
        {"profile": "standard"},
        {"instance_type": "ml.g5.xlarge"},
        {"instance_count": 2},
    ],
    ids=lambda other: next(iter(other)),
)
def test_the_job_of_another_request_with_ones_id_is_not_taken_for_ones_own(
    other: dict[str, Any],
) -> None:
    """Its results would pass for an answer; one's own request is about to be refused."""
    sent = replace(SENT, message=replace(MESSAGE, **other))
    with pytest.raises(RefusedRequest, match="no text"):
        wait(0, Queue([letter(SENT.message_id)]), sent)


def test_a_job_that_no_message_asked_for_is_not_taken_for_ones_own() -> None:
    """A person may have given a job that name."""
    sagemaker = SageMaker(0, request_digest=None)
    queue = Queue([letter(SENT.message_id)])
    with pytest.raises(RefusedRequest, match="no text"):
        await_job(sagemaker, queue, SENT, patience(queue.next_look))


class NoResults:
    """S3 that holds nothing."""

    def list_objects_v2(self, **_request: Any) -> dict[str, Any]:
        return {}


def test_results_are_awaited_for_as_long_as_they_may_take() -> None:
    """The completion function may run for minutes; giving up sooner would cry wolf."""
    [timeout] = re.findall(
        r"^  CompletionFunction:.*?Timeout: (\d+)", TEMPLATE.read_text(), re.M | re.S
    )
    slept: list[float] = []
    with pytest.raises(IncompleteOutput, match="--consolidate"):
        await_results(NoResults(), JOB, patience(slept.append))
    assert sum(slept) > int(timeout)


class Unreliable:
    """A client each of whose calls fails the first time, as on a network that comes and goes."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._failed: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        def call(**request: Any) -> Any:
            if name not in self._failed:
                self._failed.add(name)
                raise EndpointConnectionError(endpoint_url="https://aws")
            return getattr(self._client, name)(**request)

        return call


class Results:
    """S3 that holds every object one asks for."""

    def list_objects_v2(self, Prefix: str, **_request: Any) -> dict[str, Any]:  # noqa: N803
        return {"Contents": [{"Key": Prefix, "ETag": "tag"}]}

    def get_object(self, **_request: Any) -> dict[str, Any]:
        return {"Body": io.BytesIO(b'{"documents": 1}')}


def test_an_outage_does_not_end_the_waiting() -> None:
    """A request may wait for days, and a sender's network fails meanwhile: each time it is told."""
    told: list[str] = []
    queue = Queue([])
    patient = Patience(tell=told.append, sleep=queue.next_look)
    assert await_job(Unreliable(SageMaker(2)), Unreliable(queue), SENT, patient) == JOB
    assert await_results(Unreliable(Results()), JOB, patient) == {"documents": 1}
    assert len(told) == len(["the job", "the dead letters", "their number", "the results"])
