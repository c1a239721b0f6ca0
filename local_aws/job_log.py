"""
A job's log: one stream in CloudWatch Logs and one file beside the local state.

Knows SageMaker's names: group ``/aws/sagemaker/TransformJobs``, streams ``<job>/<instance>`` and
``<job>/<instance>/data-log``. A log that cannot be written never fails a job.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

LOG_GROUP = "/aws/sagemaker/TransformJobs"
FLUSH_INTERVAL_IN_SECONDS = 0.5
# PutLogEvents takes 10,000 events of 1 MiB together.
EVENTS_A_CALL = 250
LONGEST_MESSAGE = 4000

logger = logging.getLogger(__name__)


class JobLog:
    """Lines of one stream, sent in the background; close it to send the last ones."""

    def __init__(
        self, logs: BaseClient, stream_name: str, path: Path, now: Callable[[], float] = time.time
    ) -> None:
        self._logs = logs
        self._stream_name = stream_name
        self._now = now
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")
        self._unsent: list[dict] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self.last_line = ""
        self._create_stream()
        self._sender = threading.Thread(target=self._send_regularly, daemon=True)
        self._sender.start()

    def write(self, line: str) -> None:
        """Add one line."""
        event = {"timestamp": int(self._now() * 1000), "message": line[:LONGEST_MESSAGE] or " "}
        with self._lock:
            self._file.write(f"{line}\n")
            self._file.flush()
            self._unsent.append(event)
            self.last_line = line.strip() or self.last_line

    def close(self) -> None:
        """Send what is left and close the file."""
        self._closed.set()
        self._sender.join()
        self._file.close()

    def _send_regularly(self) -> None:
        while not self._closed.wait(FLUSH_INTERVAL_IN_SECONDS):
            self._send()
        self._send()

    def _send(self) -> None:
        with self._lock:
            events, self._unsent = self._unsent, []
        for start in range(0, len(events), EVENTS_A_CALL):
            try:
                self._logs.put_log_events(
                    logGroupName=LOG_GROUP,
                    logStreamName=self._stream_name,
                    logEvents=events[start : start + EVENTS_A_CALL],
                )
            except (BotoCoreError, ClientError) as error:
                logger.warning("log stream %s was not written: %s", self._stream_name, error)

    def _create_stream(self) -> None:
        already_exists = self._logs.exceptions.ResourceAlreadyExistsException
        with contextlib.suppress(already_exists):
            self._logs.create_log_group(logGroupName=LOG_GROUP)
        with contextlib.suppress(already_exists):
            self._logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=self._stream_name)
