"""
The queue of requests and its dead letters, as SQS keeps them.

Knows how a message is sent, put back, set aside and redriven; knows nothing of what it asks for.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from batch_transform.aws import AwsError
from batch_transform.errors import AwsRefused

FIRST_DELAY_IN_SECONDS = 2
LONGEST_DELAY_IN_SECONDS = 1800
DELAY_GROWTH = 1.25
DELAY_JITTER = 0.2
ORIGINAL_MESSAGE_ID = "original_message_id"
"""The attribute that keeps a request's first id: SQS gives a message that is sent again another."""
_HIDDEN_WHILE_READ_IN_SECONDS = 60
_LONGEST_REASON = 2000


@dataclass(frozen=True)
class DeadLetter:
    """
    A message that was set aside; *reason* is None where SQS itself gave up on it.

    *original_message_id* is the id under which the request first came in.
    """

    message_id: str
    original_message_id: str
    receipt_handle: str
    body: str
    reason: str | None
    sent_at: datetime

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Self:
        """Read one entry of a ReceiveMessage answer."""
        attributes = message.get("MessageAttributes", {})
        original = attributes.get(ORIGINAL_MESSAGE_ID, {})
        return cls(
            message_id=message["MessageId"],
            original_message_id=original.get("StringValue", message["MessageId"]),
            receipt_handle=message["ReceiptHandle"],
            body=message["Body"],
            reason=attributes.get("reason", {}).get("StringValue"),
            sent_at=datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC),
        )


@dataclass(frozen=True)
class QueueCounts:
    """
    About how many messages there are; SQS says itself that these are approximate.

    A request rests while it is handled and after it was put back.
    """

    waiting: int
    resting: int
    dead_letters: int


class RequestQueue:
    """One request queue and, beside it, its dead letters."""

    def __init__(self, sqs: Any, queue_url: str, dead_letter_url: str) -> None:
        self._sqs = sqs
        self._queue_url = queue_url
        self._dead_letter_url = dead_letter_url

    @classmethod
    def at(cls, sqs: Any, queue_url: str) -> Self:
        """Return the queue at *queue_url*, its dead letters found by its own redrive policy."""
        answer = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["RedrivePolicy"])
        policy = answer.get("Attributes", {}).get("RedrivePolicy")
        if policy is None:
            raise AwsRefused(
                f"{queue_url} has no dead-letter queue, so it is not one that deploy_lambda.py "
                "made: check SQS_QUEUE_URL"
            )
        name = json.loads(policy)["deadLetterTargetArn"].rsplit(":", 1)[-1]
        return cls(sqs, queue_url, sqs.get_queue_url(QueueName=name)["QueueUrl"])

    @property
    def name(self) -> str:
        """The queue's name, the last part of its URL."""
        return queue_name_of(self._queue_url)

    def send(self, body: str) -> str:
        """Add a request and return the id that SQS gives it."""
        return self._send(self._queue_url, body)

    def put_back(self, receipt_handle: str, delay_in_seconds: int) -> None:
        """Let a received message rest before it is delivered again."""
        self._sqs.change_message_visibility(
            QueueUrl=self._queue_url,
            ReceiptHandle=receipt_handle,
            VisibilityTimeout=delay_in_seconds,
        )

    def set_aside(self, body: str, *, reason: str, original_message_id: str) -> None:
        """Put a message among the dead letters, as it came, with the reason beside it."""
        printable = _printable(reason)[:_LONGEST_REASON]
        attributes = {"reason": printable, ORIGINAL_MESSAGE_ID: original_message_id}
        self._send(self._dead_letter_url, body, **attributes)

    def counts(self) -> QueueCounts:
        """Return how many messages there are."""
        requests = self._count(self._queue_url)
        return QueueCounts(*requests, dead_letters=self.count_dead_letters())

    def count_dead_letters(self) -> int:
        """Return about how many dead letters there are; it hides none of them."""
        return sum(self._count(self._dead_letter_url))

    def dead_letters(self) -> list[DeadLetter]:
        """
        Return the dead letters, each once, and leave them where they are.

        SQS has no reading that does not hide: they are hidden meanwhile and shown again at the end.
        """
        with self._held_dead_letters() as letters:
            return list(letters.values())

    def dead_letter(self, message_id: str) -> DeadLetter:
        """Return one dead letter; raise AwsRefused where there is none of that id."""
        with self._held_dead_letters(message_id) as letters:
            return _of_id(letters, message_id)

    def redrive(self, message_id: str) -> None:
        """
        Move a dead letter back among the requests: sent first, so it cannot get lost.

        It is received for this alone: an older receipt may no longer delete it, and of two who
        redrive it at once one is refused. It keeps its first id, of which its job's name is made
        where it brings no request_id.
        """
        with self._held_dead_letters(message_id) as letters:
            letter = _of_id(letters, message_id)
            self._send(
                self._queue_url, letter.body, **{ORIGINAL_MESSAGE_ID: letter.original_message_id}
            )
            self._sqs.delete_message(
                QueueUrl=self._dead_letter_url, ReceiptHandle=letter.receipt_handle
            )
            del letters[message_id]

    def _send(self, queue_url: str, body: str, **attributes: str) -> str:
        answer = self._sqs.send_message(
            QueueUrl=queue_url,
            MessageBody=body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()
            },
        )
        return answer["MessageId"]

    @contextmanager
    def _held_dead_letters(self, wanted: str | None = None) -> Iterator[dict[str, DeadLetter]]:
        """Hold all dead letters by their ids, or some until the *wanted* one is among them."""
        letters: dict[str, DeadLetter] = {}
        try:
            while wanted not in letters and (found := self._receive_dead_letters()):
                is_new = found.keys() - letters.keys()
                letters |= found
                if not is_new:
                    break
            yield letters
        finally:
            for letter in letters.values():
                self._show_again(letter)

    def _receive_dead_letters(self) -> dict[str, DeadLetter]:
        answer = self._sqs.receive_message(
            QueueUrl=self._dead_letter_url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=_HIDDEN_WHILE_READ_IN_SECONDS,
            WaitTimeSeconds=1,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["SentTimestamp"],
        )
        letters = map(DeadLetter.from_message, answer.get("Messages", []))
        return {letter.message_id: letter for letter in letters}

    def _show_again(self, letter: DeadLetter) -> None:
        # It shows by itself within a minute: nothing here is worth an error. SQS has three codes
        # for a letter that shows already, that another reader has, or that is gone.
        with suppress(*AwsError):
            self._sqs.change_message_visibility(
                QueueUrl=self._dead_letter_url,
                ReceiptHandle=letter.receipt_handle,
                VisibilityTimeout=0,
            )

    def _count(self, queue_url: str) -> tuple[int, int]:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self._sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)
        waiting, hidden = (int(answer["Attributes"][name]) for name in names)
        return waiting, hidden


def queue_name_of(queue_url: str) -> str:
    """Return the last part of a queue's URL, or of its ARN."""
    return queue_url.replace(":", "/").rsplit("/", 1)[-1]


def delay_in_seconds(receive_count: int, uniform: Callable[[float, float], float]) -> int:
    """
    Return how long a message rests after it was received *receive_count* times.

    Grows to half an hour, so that days of waiting stay below the 1,000 receives after which SQS
    itself would set the message aside; jittered, so that those put back together part.
    """
    grown = FIRST_DELAY_IN_SECONDS * DELAY_GROWTH ** min(receive_count - 1, 100)
    jitter = uniform(1 - DELAY_JITTER, 1 + DELAY_JITTER)
    return round(min(grown, LONGEST_DELAY_IN_SECONDS) * jitter)


def _of_id(letters: Mapping[str, DeadLetter], message_id: str) -> DeadLetter:
    if message_id not in letters:
        raise AwsRefused(
            f"there is no dead letter {message_id!r}, unless somebody else reads it right now: see "
            "the ids with --queue"
        )
    return letters[message_id]


def _printable(text: str) -> str:
    # SQS refuses control characters, which an S3 key in a reason may hold.
    return "".join(character if character.isprintable() else " " for character in text)
