"""What the logs tell of the work done, from pages as CloudWatch gives them."""

from typing import Any

from batch_transform.job_logs import WorkDone, work_done


class Logs:
    """One stream; a page may be empty, and the last one is given again under its own token."""

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self._pages = [*pages, []]

    def get_paginator(self, _operation: str) -> "Logs":
        """Return what lists the streams."""
        return self

    def paginate(self, **_request: Any) -> list[dict[str, Any]]:
        """Return the streams."""
        return [{"logStreams": [{"logStreamName": "job-1/i-1"}]}]

    def get_log_events(self, nextToken: str = "0", **_request: Any) -> dict[str, Any]:  # noqa: N803
        """Return a page, and where the next one begins."""
        page = int(nextToken)
        following = min(page + 1, len(self._pages) - 1)
        return {"events": self._pages[page], "nextForwardToken": str(following)}


def invocation(ended_at: int, tokens: int) -> dict[str, Any]:
    """Return the line of a request that took a second."""
    message = f'{{"tokens": {tokens}, "milliseconds": 1000}}'
    return {"timestamp": ended_at, "message": message}


def test_an_empty_page_is_not_the_end_of_a_log() -> None:
    """CloudWatch may answer with nothing and still have more; first start to last end counts."""
    logs = Logs([], [invocation(5000, 10)], [], [invocation(3000, 20), invocation(7000, 30)])
    assert work_done(logs, "job-1") == WorkDone(60, 12.0)


def test_a_log_without_requests_tells_nothing() -> None:
    """A container that never answered, or a log that has not arrived."""
    assert work_done(Logs([{"timestamp": 1, "message": "started"}]), "job-1") is None
