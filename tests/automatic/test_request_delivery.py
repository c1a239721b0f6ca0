"""Each delivered message is started, put back or set aside, and never harms its neighbours."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from batch_transform.errors import InvalidInput, NotYet
from batch_transform.request_delivery import (
    OLDEST_IN_SECONDS,
    TRIES_AFTER_ERRORS,
    RequestDelivery,
)
from batch_transform.request_queue import (
    LONGEST_DELAY_IN_SECONDS,
    RequestQueue,
    delay_in_seconds,
)
from batch_transform.transform_message import AcceptedRequests, RequestedJob

NOW = 1_800_000_000.0
GOOD = json.dumps({"input_path": "s3://legal-documents/input/a/"})


class Sqs:
    """SQS as the function uses it."""

    def __init__(self) -> None:
        self.put_back: dict[str, int] = {}
        self.set_aside: list[tuple[str, str]] = []

    def change_message_visibility(self, **call: Any) -> None:
        self.put_back[call["ReceiptHandle"]] = call["VisibilityTimeout"]

    def send_message(self, **call: Any) -> None:
        assert call["QueueUrl"] == "dead-letters"
        reason = call["MessageAttributes"]["reason"]["StringValue"]
        self.set_aside.append((call["MessageBody"], reason))


@pytest.fixture
def sqs() -> Sqs:
    """A queue that remembers."""
    return Sqs()


@pytest.fixture
def deliver(sqs: Sqs, accepted: AcceptedRequests) -> Callable[..., list[str]]:
    """Deliver bodies to a start function and return the ids of those that stay queued."""

    def deliver(
        start: Callable[[RequestedJob], bool],
        *bodies: str,
        receive_count: int = 1,
        age_in_seconds: float = 0,
    ) -> list[str]:
        delivery = RequestDelivery(
            queue=RequestQueue(sqs, "requests", "dead-letters"),
            accepted=accepted,
            start=start,
            now=lambda: NOW,
            log=json.dumps,
            uniform=random.uniform,
        )
        attributes = {
            "ApproximateReceiveCount": str(receive_count),
            "SentTimestamp": str(int((NOW - age_in_seconds) * 1000)),
        }
        records = [
            {"messageId": f"m{n}", "receiptHandle": f"r{n}", "body": body, "attributes": attributes}
            for n, body in enumerate(bodies)
        ]
        answer = delivery.handle({"Records": records})
        return [each["itemIdentifier"] for each in answer["batchItemFailures"]]

    return deliver


def raising(error: Exception) -> Callable[[RequestedJob], bool]:
    """Return a start function that fails."""

    def start(_job: RequestedJob) -> bool:
        raise error

    return start


def refused(code: str, status: int = 400) -> ClientError:
    """Return an error as AWS answers it."""
    answer = {"Error": {"Code": code, "Message": "no"}}
    return ClientError(
        answer | {"ResponseMetadata": {"HTTPStatusCode": status}}, "CreateTransformJob"
    )


def test_a_started_job_takes_its_message_from_the_queue(sqs: Sqs, deliver: Callable) -> None:
    """Nothing stays, nothing is set aside."""
    assert deliver(lambda job: True, GOOD) == []
    assert (sqs.put_back, sqs.set_aside) == ({}, [])


def test_bad_messages_leave_their_neighbours_alone(sqs: Sqs, deliver: Callable) -> None:
    """Of five messages, the two bad ones are set aside at once and the others start."""
    started = []
    bodies = [GOOD, "nonsense", GOOD, '{"input_path": "s3://foreign/x/"}', GOOD]

    assert deliver(lambda job: started.append(job.job_name) or True, *bodies) == []
    assert [body for body, _reason in sqs.set_aside] == [bodies[1], bodies[3]]
    assert "not JSON" in sqs.set_aside[0][1]
    assert [name[-2:] for name in started] == ["m0", "m2", "m4"]


@pytest.mark.parametrize(
    "error",
    [
        refused("ResourceLimitExceeded"),
        refused("ThrottlingException"),
        refused("InternalFailure", status=500),
        EndpointConnectionError(endpoint_url="https://sagemaker"),
        NotYet("it is being packed"),
    ],
    ids=repr,
)
def test_what_can_succeed_later_waits_however_often_it_came(
    sqs: Sqs, deliver: Callable, error: Exception
) -> None:
    """The thousandth try is still put back, and never set aside."""
    assert deliver(raising(error), GOOD, receive_count=999) == ["m0"]
    assert sqs.set_aside == []
    assert sqs.put_back["r0"] > LONGEST_DELAY_IN_SECONDS / 2


def test_what_nobody_can_mend_by_trying_is_set_aside_at_once(sqs: Sqs, deliver: Callable) -> None:
    """Input that is no text goes to the dead letters with its reason."""
    assert deliver(raising(InvalidInput("case1.txt line 3: not UTF-8")), GOOD) == []
    assert sqs.set_aside == [(GOOD, "case1.txt line 3: not UTF-8")]


@pytest.mark.parametrize(
    "error", [refused("AccessDenied", 403), refused("ValidationException"), KeyError("text")]
)
def test_any_other_failure_is_tried_again_and_then_set_aside(
    sqs: Sqs, deliver: Callable, error: Exception
) -> None:
    """A permission may be granted in the meantime; after some tries a person must look."""
    assert deliver(raising(error), GOOD, receive_count=TRIES_AFTER_ERRORS - 1) == ["m0"]
    assert sqs.set_aside == []
    assert deliver(raising(error), GOOD, receive_count=TRIES_AFTER_ERRORS) == []
    assert [body for body, _reason in sqs.set_aside] == [GOOD]


def test_a_message_is_set_aside_before_sqs_drops_it(sqs: Sqs, deliver: Callable) -> None:
    """After thirteen days it is kept among the dead letters; SQS would forget it the day after."""
    aged = OLDEST_IN_SECONDS + 1
    assert deliver(raising(refused("ResourceLimitExceeded")), GOOD, age_in_seconds=aged) == []
    assert "13 days" in sqs.set_aside[0][1]


@pytest.mark.parametrize("skew_in_seconds", [-86_400.0, 86_400.0])
def test_a_clock_that_is_a_day_off_changes_nothing(
    sqs: Sqs, deliver: Callable, skew_in_seconds: float
) -> None:
    """How long a message rests depends on how often it came, not on what time it is."""
    full = raising(refused("ResourceLimitExceeded"))
    assert deliver(full, GOOD, age_in_seconds=skew_in_seconds) == ["m0"]
    assert sqs.put_back["r0"] <= 3


def test_a_queue_that_fails_keeps_the_message(deliver: Callable, sqs: Sqs) -> None:
    """When even setting aside fails, the message stays and its neighbour still starts."""

    def refuse(**_arguments: Any) -> None:
        raise refused("ServiceUnavailable", 503)

    sqs.send_message = refuse
    assert deliver(lambda job: True, "nonsense", GOOD) == ["m0"]


def test_control_characters_in_a_reason_are_taken_out(sqs: Sqs, deliver: Callable) -> None:
    """SQS refuses them, and an S3 key may hold them."""
    deliver(raising(InvalidInput("a\0b\nc\ud800d line 1")), GOOD)
    assert sqs.set_aside[0][1] == "a b c d line 1"


def test_delays_grow_and_part() -> None:
    """From two seconds to half an hour, and no two messages in step."""
    first = [delay_in_seconds(1, random.uniform) for _ in range(100)]
    last = [delay_in_seconds(1000, random.uniform) for _ in range(100)]
    assert max(first) <= 3
    assert min(last) >= LONGEST_DELAY_IN_SECONDS * 0.8
    assert len(set(last)) > 50


def test_days_of_waiting_stay_below_the_receives_that_sqs_allows() -> None:
    """Even with every delay at its shortest, thirteen days pass in fewer than 1,000 receives."""
    receives, waited = 0, 0
    while waited < OLDEST_IN_SECONDS:
        receives += 1
        waited += delay_in_seconds(receives, min)
    assert receives < 1000
