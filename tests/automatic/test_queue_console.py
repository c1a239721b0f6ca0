"""What an operator reads of the queue on a terminal."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from batch_transform.errors import JobMayRun
from batch_transform.queue_console import follow_request
from batch_transform.request_queue import DeadLetter, QueueCounts, RequestQueue
from batch_transform.sent_request import SentRequest
from batch_transform.terminal import print_queue
from batch_transform.transform_message import TransformMessage

EXPIRED = ClientError(
    {"Error": {"Code": "ExpiredTokenException", "Message": "expired"}}, "DescribeTransformJob"
)


def test_dead_letters_that_another_reader_holds_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They cannot be listed while they are hidden, but nobody is told that there are none."""
    print_queue(QueueCounts(waiting=0, resting=0, dead_letters=3), [], [])
    assert "requests set aside: 3" in capsys.readouterr().out


def test_a_long_dead_letter_does_not_push_the_others_out_of_sight(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A message may have 65,536 characters; --json and --redrive show all of them."""
    since = datetime(2026, 11, 1, tzinfo=UTC)
    letters = [
        DeadLetter(number, number, "receipt", body, "not JSON", since)
        for number, body in (("first", "word " * 13_000), ("second", "short"))
    ]
    print_queue(QueueCounts(waiting=0, resting=0, dead_letters=2), [], letters)
    shown = capsys.readouterr().out
    assert "short" in shown
    assert len(shown.splitlines()) < 50


@pytest.mark.parametrize(
    ("end", "told"), [(KeyboardInterrupt(), "no longer"), (EXPIRED, "sign in again\nno longer")]
)
def test_whatever_ends_the_waiting_the_sender_learns_that_the_request_stands(
    end: BaseException, told: str
) -> None:
    """Neither Ctrl-C nor a session that expires takes a message back; both can be gone on from."""

    def describe_transform_job(**_request: Any) -> None:
        raise end

    clients = SimpleNamespace(
        sagemaker=SimpleNamespace(describe_transform_job=describe_transform_job)
    )
    message = TransformMessage("s3://legal-documents/input/", request_id="mine")
    sent = SentRequest(message, message_id="my-message", job_name="dispute-0-mine")
    queue = RequestQueue(sqs=None, queue_url="requests", dead_letter_url="dead-letters")
    with pytest.raises(JobMayRun, match=told) as left:
        follow_request(clients, queue, sent, as_json=False)
    assert "the request mine stands" in str(left.value)
    assert "--job-name dispute-0-mine --watch" in str(left.value)
