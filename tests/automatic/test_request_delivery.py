"""Each delivered message is started, put back or set aside, and never harms its neighbours."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, IncompleteReadError
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker

from batch_transform.errors import InputChanged, InvalidInput, NotYet
from batch_transform.naming import requested_job_name
from batch_transform.request_delivery import (
    HOURS_FOR_LAST_TRY,
    LONGEST_WAIT_IN_DAYS,
    PAUSES_AFTER_ERRORS_IN_SECONDS,
    RequestDelivery,
)
from batch_transform.request_queue import (
    LONGEST_DELAY_IN_SECONDS,
    RequestQueue,
    delay_in_seconds,
)
from batch_transform.transform_message import AcceptedRequests, RequestedJob

NOW = 1_800_000_000.0
A_DAY = 86_400
TRIES = len(PAUSES_AFTER_ERRORS_IN_SECONDS) + 1
GOOD = json.dumps({"input_path": "s3://legal-documents/input/a/"})


class Sqs:
    """SQS as the function uses it."""

    def __init__(self) -> None:
        self.put_back: dict[str, int] = {}
        self.set_aside: list[tuple[str, str]] = []
        self.original_ids: list[str] = []

    def change_message_visibility(self, **call: Any) -> None:
        self.put_back[call["ReceiptHandle"]] = call["VisibilityTimeout"]

    def send_message(self, **call: Any) -> dict[str, str]:
        assert call["QueueUrl"] == "dead-letters"
        attributes = call["MessageAttributes"]
        self.set_aside.append((call["MessageBody"], attributes["reason"]["StringValue"]))
        self.original_ids.append(attributes["original_message_id"]["StringValue"])
        return {"MessageId": "aside"}


class Clock:
    """A function's time: it passes by sleeping, and as tries of the job's start take their time."""

    def __init__(self, limit_in_seconds: float = 900) -> None:
        self.left = limit_in_seconds
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.left -= seconds


@pytest.fixture
def sqs() -> Sqs:
    """A queue that remembers."""
    return Sqs()


@pytest.fixture
def clock() -> Clock:
    """A delivery's fifteen minutes."""
    return Clock()


@pytest.fixture
def logged() -> list[dict[str, Any]]:
    """What the function has told."""
    return []


@pytest.fixture
def deliver(
    sqs: Sqs, clock: Clock, logged: list[dict[str, Any]], accepted: AcceptedRequests
) -> Callable[..., list[str]]:
    """Deliver bodies to a start function and return the ids of those that stay queued."""

    def deliver(
        start: Callable[[RequestedJob], bool],
        *bodies: str,
        receive_count: int = 1,
        age_in_seconds: float = 0,
        **message_attributes: dict[str, Any],
    ) -> list[str]:
        delivery = RequestDelivery(
            queue=RequestQueue(sqs, "requests", "dead-letters"),
            accepted=accepted,
            start=start,
            now=lambda: NOW,
            time_left_in_seconds=lambda: clock.left,
            sleep=clock.sleep,
            log=lambda told: logged.append(json.loads(json.dumps(told))),
            uniform=random.uniform,
        )
        attributes = {
            "ApproximateReceiveCount": str(receive_count),
            "SentTimestamp": str(int((NOW - age_in_seconds) * 1000)),
        }
        shared = {"attributes": attributes, "messageAttributes": message_attributes}
        records = [
            {"messageId": f"m{n}", "receiptHandle": f"r{n}", "body": body} | shared
            for n, body in enumerate(bodies)
        ]
        answer = delivery.handle({"Records": records})
        return [each["itemIdentifier"] for each in answer["batchItemFailures"]]

    return deliver


def said(text: str) -> dict[str, Any]:
    """Return a message attribute as Lambda hands it over."""
    return {"stringValue": text, "dataType": "String"}


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


# The codes that botocore itself takes for temporary.
THROTTLED = ThrottledRetryableChecker._THROTTLED_ERROR_CODES
TRANSIENT = TransientRetryableChecker._TRANSIENT_ERROR_CODES


@pytest.mark.parametrize(
    "error",
    [
        refused("ResourceLimitExceeded"),
        *map(refused, sorted({*THROTTLED, *TRANSIENT})),
        *map(refused, ("ExpiredToken", "InvalidSignatureException", "RequestTimeTooSkewed")),
        refused("InternalFailure", status=500),
        EndpointConnectionError(endpoint_url="https://sagemaker"),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
        NotYet("it is being packed"),
        InputChanged("case1.txt was changed after it was listed"),
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
@pytest.mark.parametrize("receive_count", [1, 500])
def test_any_other_failure_is_tried_again_and_then_set_aside(
    sqs: Sqs, clock: Clock, deliver: Callable, error: Exception, receive_count: int
) -> None:
    """However long it waited before, it gets the same tries; then a person must look."""
    tries = []

    def start(job: RequestedJob) -> bool:
        tries.append(job)
        raise error

    assert deliver(start, GOOD, receive_count=receive_count) == []
    assert len(tries) == TRIES
    assert clock.slept == list(PAUSES_AFTER_ERRORS_IN_SECONDS)
    assert [body for body, _reason in sqs.set_aside] == [GOOD]
    assert sqs.put_back == {}


def test_a_permission_granted_meanwhile_starts_the_job(sqs: Sqs, deliver: Callable) -> None:
    """The third try succeeds, though the message had been received often before."""
    answers = [refused("AccessDenied", 403), refused("AccessDenied", 403), True]

    def start(_job: RequestedJob) -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert deliver(start, GOOD, receive_count=500) == []
    assert (sqs.put_back, sqs.set_aside) == ({}, [])


def test_a_full_quota_after_an_error_is_waited_out(sqs: Sqs, deliver: Callable) -> None:
    """Each failure is taken for what it is, whatever came before it in the same delivery."""
    answers = [KeyError("text"), refused("ResourceLimitExceeded")]

    def start(_job: RequestedJob) -> bool:
        raise answers.pop(0)

    assert deliver(start, GOOD) == ["m0"]
    assert sqs.set_aside == []


def test_no_try_is_begun_that_would_be_cut_off(sqs: Sqs, clock: Clock, deliver: Callable) -> None:
    """Where one try took ten of fifteen minutes there is no second one: Lambda would kill it."""
    tries = []

    def start(job: RequestedJob) -> bool:
        tries.append(job)
        clock.left -= 600
        raise KeyError("text")

    assert deliver(start, GOOD) == []
    assert len(tries) == 1
    assert clock.slept == []
    assert [body for body, _reason in sqs.set_aside] == [GOOD]


def test_a_message_is_set_aside_before_sqs_drops_it(sqs: Sqs, deliver: Callable) -> None:
    """After thirteen days it is kept among the dead letters; SQS would forget it the day after."""
    aged = LONGEST_WAIT_IN_DAYS * A_DAY + 1
    assert deliver(raising(refused("ResourceLimitExceeded")), GOOD, age_in_seconds=aged) == []
    [(_body, reason)] = sqs.set_aside
    assert "13 days" in reason
    assert "ResourceLimitExceeded" in reason


def test_an_old_message_still_starts(sqs: Sqs, deliver: Callable) -> None:
    """Capacity that comes on the last day is used."""
    aged = LONGEST_WAIT_IN_DAYS * A_DAY + 1
    assert deliver(lambda job: True, GOOD, age_in_seconds=aged) == []
    assert sqs.set_aside == []


@pytest.mark.parametrize(("receive_count", "tries"), [(900, 0), (1, 1)])
def test_a_message_whose_function_is_killed_each_time_is_set_aside_while_there_is_time(
    sqs: Sqs, deliver: Callable, receive_count: int, tries: int
) -> None:
    """Without a try that might be killed, too; but not where nobody has taken it up before."""
    aged = LONGEST_WAIT_IN_DAYS * A_DAY + HOURS_FOR_LAST_TRY * 3600 + 1
    tried = []

    def start(job: RequestedJob) -> bool:
        tried.append(job)
        return True

    assert deliver(start, GOOD, receive_count=receive_count, age_in_seconds=aged) == []
    assert len(tried) == tries
    assert ["last try did not end" in reason for _body, reason in sqs.set_aside] == [True] * (
        1 - tries
    )


def test_each_time_a_request_is_put_back_its_age_is_told(
    deliver: Callable, logged: list[dict[str, Any]]
) -> None:
    """The alarm on requests that wait reads it; SQS's own metric stops at the third receive."""
    deliver(raising(refused("ResourceLimitExceeded")), GOOD, receive_count=9, age_in_seconds=A_DAY)
    deliver(lambda job: True, GOOD, age_in_seconds=A_DAY)
    assert [told.get("waited_in_seconds") for told in logged] == [A_DAY, None]


def test_the_age_of_a_request_that_could_not_even_be_put_back_is_told(
    sqs: Sqs, deliver: Callable, logged: list[dict[str, Any]]
) -> None:
    """Where SQS itself refuses the function, the alarm is all that is left to tell of it."""

    def refuse(**_arguments: Any) -> None:
        raise refused("AccessDenied", 403)

    sqs.change_message_visibility = refuse
    full = raising(refused("ResourceLimitExceeded"))
    assert deliver(full, GOOD, age_in_seconds=A_DAY) == ["m0"]
    assert [(told["outcome"], told["waited_in_seconds"]) for told in logged] == [("left", A_DAY)]


def test_a_request_sent_again_keeps_its_first_id(sqs: Sqs, deliver: Callable) -> None:
    """Its job has the name it would have had, and it is set aside under the same id once more."""
    started = []
    deliver(
        lambda job: started.append(job.job_name) or True, GOOD, original_message_id=said("first")
    )
    assert started == [requested_job_name("requests", "first")]

    deliver(raising(InvalidInput("no text")), GOOD, original_message_id=said("first"))
    deliver(raising(InvalidInput("no text")), GOOD)
    assert sqs.original_ids == ["first", "m0"]


def test_an_id_of_which_no_name_can_be_made_is_refused(sqs: Sqs, deliver: Callable) -> None:
    """Whoever may send a message may send attributes with it."""
    assert deliver(lambda job: True, GOOD, original_message_id=said("../../x")) == []
    assert "request_id: got '../../x'" in sqs.set_aside[0][1]


def test_an_original_id_that_is_no_text_counts_as_none(sqs: Sqs, deliver: Callable) -> None:
    """The message is handled under its own id, instead of coming back for two weeks."""
    binary = {"stringValue": None, "binaryValue": "eA==", "dataType": "Binary"}
    assert deliver(lambda job: True, "nonsense", original_message_id=binary) == []
    assert sqs.original_ids == ["m0"]


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
    while waited < LONGEST_WAIT_IN_DAYS * A_DAY:
        receives += 1
        waited += delay_in_seconds(receives, min)
    assert receives < 1000
