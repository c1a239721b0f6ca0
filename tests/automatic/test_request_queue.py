"""Dead letters are looked at and moved by several people at once: none is doubled or lost."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from batch_transform.errors import AwsRefused
from batch_transform.queue_console import redrive
from batch_transform.request_queue import RequestQueue


def refused(code: str, operation: str) -> ClientError:
    """Return an error as SQS answers it."""
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


class Sqs:
    """SQS with dead letters *a* and *b*; of a letter's receipts the newest alone is good."""

    def __init__(self) -> None:
        self.letters = {"a": "body of a", "b": "body of b"}
        self.hidden: set[str] = set()
        self.sent: list[tuple[str, str]] = []
        self.is_down = False
        self._receipts = dict.fromkeys(self.letters, 0)

    def receive_message(self, **_request: Any) -> dict[str, Any]:
        found = sorted(self.letters.keys() - self.hidden)[:1]
        self.hidden.update(found)
        return {"Messages": [self._received(message_id) for message_id in found]}

    def change_message_visibility(self, **request: Any) -> None:
        message_id = self._of_receipt(request["ReceiptHandle"])
        if message_id not in self.hidden:
            raise refused("InvalidParameterValue", "ChangeMessageVisibility")
        self.hidden.remove(message_id)

    def delete_message(self, **request: Any) -> None:
        message_id = self._of_receipt(request["ReceiptHandle"])
        if message_id is not None:  # with an older receipt SQS succeeds, and deletes nothing
            del self.letters[message_id]
            self.hidden.discard(message_id)

    def send_message(self, **request: Any) -> dict[str, str]:
        if self.is_down:
            raise refused("ServiceUnavailable", "SendMessage")
        original = request["MessageAttributes"]["original_message_id"]["StringValue"]
        self.sent.append((request["MessageBody"], original))
        return {"MessageId": "again"}

    def _received(self, message_id: str) -> dict[str, Any]:
        self._receipts[message_id] += 1
        return {
            "MessageId": message_id,
            "ReceiptHandle": f"{message_id} {self._receipts[message_id]}",
            "Body": self.letters[message_id],
            "Attributes": {"SentTimestamp": "0"},
        }

    def _of_receipt(self, handle: str) -> str | None:
        message_id, _, number = handle.partition(" ")
        is_good = message_id in self.letters and int(number) == self._receipts[message_id]
        return message_id if is_good else None


@pytest.fixture
def sqs() -> Sqs:
    """Two dead letters."""
    return Sqs()


@pytest.fixture
def queue(sqs: Sqs) -> RequestQueue:
    """The queue that they were taken from."""
    return RequestQueue(sqs, "requests", "dead-letters")


def test_all_dead_letters_are_read_and_shown_again(sqs: Sqs, queue: RequestQueue) -> None:
    """Whoever looks next sees them, too."""
    assert [letter.message_id for letter in queue.dead_letters()] == ["a", "b"]
    assert sqs.hidden == set()


def test_a_letter_that_others_read_while_one_was_asked_is_moved_and_not_doubled(
    sqs: Sqs, queue: RequestQueue
) -> None:
    """However long the operator thinks: the receipt of the first look would delete nothing."""
    redrive(queue, "b", confirm=lambda _question: queue.dead_letters())
    assert (sqs.letters, sqs.sent) == ({"a": "body of a"}, [("body of b", "b")])
    assert sqs.hidden == set()


def test_of_two_who_redrive_a_letter_one_is_told(sqs: Sqs, queue: RequestQueue) -> None:
    """It is sent once."""
    with pytest.raises(AwsRefused, match="there is no dead letter 'b'"):
        redrive(queue, "b", confirm=lambda _question: queue.redrive("b"))
    assert sqs.sent == [("body of b", "b")]


def test_a_letter_that_could_not_be_sent_again_stays(sqs: Sqs, queue: RequestQueue) -> None:
    """It lies where it lay, for everyone to see."""
    sqs.is_down = True
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        queue.redrive("b")
    assert (sorted(sqs.letters), sqs.hidden) == (["a", "b"], set())


def test_a_letter_that_somebody_took_meanwhile_is_no_error(sqs: Sqs, queue: RequestQueue) -> None:
    """SQS refuses to show again what is gone; the list is told all the same."""
    receive = sqs.receive_message

    def receive_and_lose(**request: Any) -> dict[str, Any]:
        answer = receive(**request)
        sqs.letters.pop("a", None)
        return answer

    sqs.receive_message = receive_and_lose
    assert [letter.message_id for letter in queue.dead_letters()] == ["a", "b"]
