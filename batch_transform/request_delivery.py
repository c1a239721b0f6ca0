"""
What becomes of each delivered message: started, put back, or set aside with its reason.

Knows which failures wait in the queue, which are tried again at once and which are final; starts
nothing itself. How often a message was received says only how long it rests: one that has waited
long for capacity is given up no sooner than a new one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from batch_transform.aws import AwsError, explain, is_of_this_process, is_temporary
from batch_transform.errors import BatchTransformError, InputChanged, NotYet
from batch_transform.request_queue import ORIGINAL_MESSAGE_ID, RequestQueue, delay_in_seconds
from batch_transform.transform_message import AcceptedRequests, RequestedJob, TransformMessage

PAUSES_AFTER_ERRORS_IN_SECONDS = (1, 2, 4, 8)
"""Long enough for a role that was just changed; within one delivery, so that it must end."""
LONGEST_WAIT_IN_DAYS = 13
"""SQS drops a message after 14 days without a word: a day before, it is set aside instead."""
HOURS_FOR_LAST_TRY = 6
"""It rests half an hour before that, and its neighbours may be served first."""
_SECONDS_A_DAY = 24 * 3600


@dataclass(frozen=True)
class Delivery:
    """
    One record of an SQS event, in our words.

    *original_message_id* is the id under which the request first came in: sent again from the dead
    letters, the message gets another one from SQS.
    """

    message_id: str
    original_message_id: str
    receipt_handle: str
    body: str
    receive_count: int
    sent_at: float

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """Read one entry of the event's Records."""
        attributes = record["attributes"]
        original = record.get("messageAttributes", {}).get(ORIGINAL_MESSAGE_ID, {})
        original_id = original.get("stringValue")  # None where a sender made it binary
        return cls(
            message_id=record["messageId"],
            original_message_id=original_id or record["messageId"],
            receipt_handle=record["receiptHandle"],
            body=record["body"],
            receive_count=int(attributes["ApproximateReceiveCount"]),
            sent_at=int(attributes["SentTimestamp"]) / 1000,
        )


@dataclass(frozen=True)
class RequestDelivery:
    """
    Handles the messages of one queue.

    Attributes
    ----------
    start
        Starts the job unless it was started, and tells which.
    now
        The time in seconds since 1970.
    time_left_in_seconds
        How long this delivery may still take.
    sleep
        Waits for some seconds.
    log
        Takes one line for each message, as names and values that hold no document.
    uniform
        Draws a number between two others, to part messages that are put back together.
    """

    queue: RequestQueue
    accepted: AcceptedRequests
    start: Callable[[RequestedJob], bool]
    now: Callable[[], float]
    time_left_in_seconds: Callable[[], float]
    sleep: Callable[[float], None]
    log: Callable[[dict[str, Any]], None]
    uniform: Callable[[float, float], float]

    def handle(self, event: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
        """Handle every message of an event; return SQS's account of those that stay queued."""
        deliveries = map(Delivery.from_record, event["Records"])
        kept = [delivery for delivery in deliveries if not self._is_done_with(delivery)]
        return {"batchItemFailures": [{"itemIdentifier": d.message_id} for d in kept]}

    def _is_done_with(self, delivery: Delivery) -> bool:
        """
        Tell whether SQS may delete the message.

        No error leaves: it would harm the neighbours, and SQS shows the message again by itself.
        """
        try:
            return self._handle(delivery)
        except Exception as error:
            waited = self._waited_in_seconds(delivery)
            self._log(delivery, "left", reason=reason_of(error), waited_in_seconds=waited)
            return False

    def _handle(self, delivery: Delivery) -> bool:
        if self._outlived_last_try(delivery):
            return self._set_aside(
                delivery,
                f"it waited {LONGEST_WAIT_IN_DAYS} days, and its last try did not end: see in the "
                "function's log what killed it",
            )
        try:
            message = TransformMessage.from_json(delivery.body)
            job = self.accepted.job(message, delivery.original_message_id)
            started = self._start(job)
        except Exception as error:
            if _can_succeed_later(error):
                return self._put_back(delivery, error)
            return self._set_aside(delivery, reason_of(error))
        outcome = "started" if started else "was started before"
        self._log(delivery, outcome, job_name=job.job_name)
        return True

    def _start(self, job: RequestedJob) -> bool:
        """
        Start the job; after an error that nobody foresaw, try again while there is time.

        A permission may be granted, or a Model made, this very moment.
        """
        for pause in PAUSES_AFTER_ERRORS_IN_SECONDS:
            before = self.time_left_in_seconds()
            try:
                return self.start(job)
            except Exception as error:
                left = self.time_left_in_seconds()
                needed = pause + (before - left)
                if _is_foreseen(error) or left < needed:
                    raise
            self.sleep(pause)
        return self.start(job)

    def _put_back(self, delivery: Delivery, error: Exception) -> bool:
        reason = reason_of(error)
        waited = self._waited_in_seconds(delivery)
        if waited > LONGEST_WAIT_IN_DAYS * _SECONDS_A_DAY:
            waited_for = f"it waited {LONGEST_WAIT_IN_DAYS} days, at last because: {reason}"
            return self._set_aside(delivery, waited_for)
        delay = delay_in_seconds(delivery.receive_count, self.uniform)
        self.queue.put_back(delivery.receipt_handle, delay)
        self._log(
            delivery,
            "put back",
            reason=reason,
            delay_in_seconds=delay,
            waited_in_seconds=waited,
        )
        return False

    def _set_aside(self, delivery: Delivery, reason: str) -> bool:
        self.queue.set_aside(
            delivery.body, reason=reason, original_message_id=delivery.original_message_id
        )
        self._log(delivery, "set aside", reason=reason)
        return True

    def _outlived_last_try(self, delivery: Delivery) -> bool:
        """
        Tell whether the try after the longest wait, which leaves no message queued, was killed.

        SQS itself sets a message aside after 1,000 receives, but counts its 14 days on from when
        it was sent: it would drop the dead letter within hours.
        """
        longest = LONGEST_WAIT_IN_DAYS * _SECONDS_A_DAY + HOURS_FOR_LAST_TRY * 3600
        return delivery.receive_count > 1 and self._waited_in_seconds(delivery) > longest

    def _waited_in_seconds(self, delivery: Delivery) -> int:
        """Return what the template's WaitedInSeconds, watched by an alarm, takes from the log."""
        return round(self.now() - delivery.sent_at)

    def _log(self, delivery: Delivery, outcome: str, **more: Any) -> None:
        told = {"message_id": delivery.message_id, "receive_count": delivery.receive_count}
        self.log(told | {"outcome": outcome} | more)


def _can_succeed_later(error: Exception) -> bool:
    """Tell whether the same message can be carried out later, with nobody mending anything."""
    return isinstance(error, NotYet | InputChanged) or _is_gone_for_the_next(error)


def _is_foreseen(error: Exception) -> bool:
    return isinstance(error, BatchTransformError) or _is_gone_for_the_next(error)


def _is_gone_for_the_next(error: Exception) -> bool:
    """Tell whether another function, with clock and credentials of its own, may not meet it."""
    return is_temporary(error) or is_of_this_process(error)


def reason_of(error: Exception) -> str:
    """Return one sentence for whoever reads the dead letter or the log."""
    if isinstance(error, BatchTransformError):
        return str(error)
    if isinstance(error, AwsError):
        return explain(error)
    return f"unexpected {type(error).__name__}: {error}"
