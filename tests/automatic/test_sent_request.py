"""What a sender learns of a request: its job, its results, or why there is neither."""

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from batch_transform.errors import IncompleteOutput, RefusedRequest
from batch_transform.naming import S3Uri
from batch_transform.request_queue import DeadLetter
from batch_transform.sent_request import SentRequest, await_job, await_results
from batch_transform.transform_job import TransformJob
from batch_transform.transform_message import TransformMessage

TEMPLATE = Path(__file__).parents[2] / "lambda_batch_transform_template.yaml"
MESSAGE = TransformMessage("s3://legal-documents/input/", request_id="mine")
BODY = MESSAGE.to_json()
SENT = SentRequest(MESSAGE, message_id="my-message", job_name="dispute-0-mine")
ASKED = {
    "profile": "optimized",
    "input": "s3://legal-documents/input/",
    "output": "s3://legal-documents/output/",
    "instance_type": "ml.m5.xlarge",
    "instance_count": 1,
}
"""What the job's `request.json` holds."""
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
)


class SageMaker:
    """SageMaker that knows the job only from a given look on."""

    def __init__(self, looks_without: int) -> None:
        self._looks_without = looks_without

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
        }


def letter(original_message_id: str) -> DeadLetter:
    """Return a dead letter whose body is that of every other."""
    return DeadLetter("aside", original_message_id, "receipt", BODY, "no text", JOB.created_at)


class S3:
    """S3 that holds one object, or none."""

    class exceptions:  # noqa: N801
        NoSuchKey = type("NoSuchKey", (Exception,), {})

    def __init__(self, **objects: bytes) -> None:
        self._objects = objects

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        if Key not in self._objects:
            raise self.exceptions.NoSuchKey
        return {"Body": io.BytesIO(self._objects[Key])}


def wait(
    looks_without: int,
    *letters: DeadLetter,
    sleep: Callable[[float], None],
    sent: SentRequest = SENT,
) -> TransformJob:
    """Wait for the job while these dead letters lie there."""
    request = {f"output/{SENT.job_name}/request.json": json.dumps(ASKED).encode()}
    clients = SimpleNamespace(sagemaker=SageMaker(looks_without), s3=S3(**request))
    queue = SimpleNamespace(dead_letters=lambda: [*letters])
    return await_job(clients, queue, sent, sleep)


def test_a_dead_letter_of_the_same_words_is_not_taken_for_ones_own() -> None:
    """Somebody else sent the same message and had it set aside: this one still gets its job."""
    slept: list[float] = []
    assert wait(2, letter("their-message"), sleep=slept.append) == JOB
    assert len(slept) == 2


def test_ones_own_dead_letter_ends_the_waiting_with_its_reason() -> None:
    """Known by its first id, under which it lies there after a redrive, too."""
    with pytest.raises(RefusedRequest, match="no text"):
        wait(1, letter("their-message"), letter(SENT.message_id), sleep=lambda _seconds: None)


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
    letters = [letter(SENT.message_id)]
    with pytest.raises(RefusedRequest, match="no text"):
        wait(0, *letters, sleep=lambda _seconds: None, sent=sent)


@pytest.mark.parametrize("input_path", ["s3://legal-documents/input", MESSAGE.input_path])
def test_ones_own_job_is_known_by_all_that_was_said(input_path: str) -> None:
    """The whole input folder may be named without its `/`, and what is left open fits any job."""
    said = {"output_path": "s3://legal-documents/output", "instance_type": "ml.m5.xlarge"}
    sent = replace(SENT, message=replace(MESSAGE, input_path=input_path, **said))
    assert wait(0, sleep=lambda _seconds: pytest.fail("waited"), sent=sent) == JOB


def test_results_are_awaited_for_as_long_as_they_may_take() -> None:
    """The completion function may run for minutes; giving up sooner would cry wolf."""
    [timeout] = re.findall(
        r"^  CompletionFunction:.*?Timeout: (\d+)", TEMPLATE.read_text(), re.M | re.S
    )
    slept: list[float] = []
    with pytest.raises(IncompleteOutput, match="--consolidate"):
        await_results(S3(), JOB, slept.append)
    assert sum(slept) > int(timeout)
