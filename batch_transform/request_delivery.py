"""
What becomes of each delivered message: started, put back, or set aside with its reason.

Knows which failures wait, which are tried again and which are final; starts nothing itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from batch_transform.aws import AwsError, explain, is_temporary
from batch_transform.errors import BatchTransformError, NotYet, RefusedRequest
from batch_transform.request_queue import RequestQueue, delay_in_seconds
from batch_transform.transform_message import AcceptedRequests, RequestedJob, TransformMessage

TRIES_AFTER_ERRORS = 6
OLDEST_IN_SECONDS = 13 * 24 * 3600
"""SQS drops a message after 14 days without a word: a day before, it is set aside instead."""


@dataclass(frozen=True)
class Delivery:
    """One record of an SQS event, in our words."""

    message_id: str
    receipt_handle: str
    body: str
    receive_count: int
    sent_at: float

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """Read one entry of the event's Records."""
        attributes = record["attributes"]
        return cls(
            message_id=record["messageId"],
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
    log
        Takes one line for each message, as names and values that hold no document.
    uniform
        Draws a number between two others, to part messages that are put back together.
    """

    queue: RequestQueue
    accepted: AcceptedRequests
    start: Callable[[RequestedJob], bool]
    now: Callable[[], float]
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
            self._log(delivery, "left", reason=reason_of(error))
            return False

    def _handle(self, delivery: Delivery) -> bool:
        try:
            job_name, started = self._start(delivery)
        except NotYet as error:
            return self._put_back(delivery, error)
        except BatchTransformError as error:
            return self._set_aside(delivery, error)
        except Exception as error:
            if is_temporary(error) or delivery.receive_count < TRIES_AFTER_ERRORS:
                return self._put_back(delivery, error)
            return self._set_aside(delivery, error)
        self._log(delivery, "started" if started else "was started before", job_name=job_name)
        return True

    def _start(self, delivery: Delivery) -> tuple[str, bool]:
        days = OLDEST_IN_SECONDS / 86400
        if self.now() - delivery.sent_at > OLDEST_IN_SECONDS:
            raise RefusedRequest([f"it could not be started in {days:.0f} days: see the log"])
        message = TransformMessage.from_json(delivery.body)
        job = self.accepted.job(message, delivery.message_id)
        return job.job_name, self.start(job)

    def _put_back(self, delivery: Delivery, error: Exception) -> bool:
        delay = delay_in_seconds(delivery.receive_count, self.uniform)
        self.queue.put_back(delivery.receipt_handle, delay)
        self._log(delivery, "put back", reason=reason_of(error), delay_in_seconds=delay)
        return False

    def _set_aside(self, delivery: Delivery, error: Exception) -> bool:
        reason = reason_of(error)
        self.queue.set_aside(delivery.body, reason=reason, message_id=delivery.message_id)
        self._log(delivery, "set aside", reason=reason)
        return True

    def _log(self, delivery: Delivery, outcome: str, **more: Any) -> None:
        told = {"message_id": delivery.message_id, "receive_count": delivery.receive_count}
        self.log(told | {"outcome": outcome} | more)


def reason_of(error: Exception) -> str:
    """Return one sentence for whoever reads the dead letter or the log."""
    if isinstance(error, BatchTransformError):
        return str(error)
    if isinstance(error, AwsError):
        return explain(error)
    return f"unexpected {type(error).__name__}: {error}"
