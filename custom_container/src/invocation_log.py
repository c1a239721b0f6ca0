"""What the job's log tells of its invocations: one JSON line each, and one for all at the end.

Knows counts, statuses and times, and never a document's text.
"""

import json
from collections import Counter
from collections.abc import Callable
from threading import Lock
from typing import TextIO

from src.inference import Answers


class InvocationLog:
    """Writes to `stream` from many threads; `clock` gives seconds."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._started = clock()
        self._totals: Counter[str] = Counter()
        self._lock = Lock()

    def answered(self, answers: Answers, started: float) -> None:
        """Tell of an invocation answered 200 that began at `started`, by the clock."""
        counts = {
            "records": len(answers),
            "failed": answers.failed,
            "tokens": answers.classification.tokens,
        }
        micro_batches = answers.classification.micro_batches
        self._tell(200, started, {**counts, "micro_batches": micro_batches})
        with self._lock:
            self._totals.update(counts)

    def refused(self, status: int, code: str, message: str, started: float) -> None:
        """Tell of an invocation that got no answers, and why."""
        self._tell(status, started, {"code": code, "message": message})

    def job_ended(self) -> None:
        """Tell what this process did in its life."""
        with self._lock:
            totals = {"job": "ended", **self._totals}
        self._write({**totals, "seconds": round(self._clock() - self._started, 1)})

    def _tell(self, status: int, started: float, facts: dict[str, object]) -> None:
        with self._lock:
            self._totals.update({"invocations": 1, f"status_{status}": 1})
        milliseconds = round((self._clock() - started) * 1000)
        self._write({"status": status, **facts, "milliseconds": milliseconds})

    def _write(self, line: dict[str, object]) -> None:
        # One write, so that the lines of two threads are never mixed.
        self._stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._stream.flush()
