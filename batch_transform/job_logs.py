"""
What a job's container wrote to CloudWatch Logs: its last words, and how much work it did.

SageMaker logs to one group, in streams named after job and instance. Lines come with some delay,
so a sum taken right after the end may miss the last ones. Knows the line that the container
writes for each request.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from batch_transform.aws import AwsError, error_code

LOG_GROUP = "/aws/sagemaker/TransformJobs"


@dataclass(frozen=True)
class WorkDone:
    """Tokens read by all instances, and how many a second one instance read while it worked."""

    tokens: int
    tokens_per_second: float


def last_lines(logs: Any, job_name: str, count: int) -> list[str]:
    """Return the newest *count* lines of all instances, oldest first; none where none is there."""
    lines: list[tuple[int, str]] = []
    for stream in _streams(logs, job_name):
        answer = logs.get_log_events(
            logGroupName=LOG_GROUP, logStreamName=stream, limit=count, startFromHead=False
        )
        lines += [(event["timestamp"], event["message"].rstrip()) for event in answer["events"]]
    return [line for _, line in sorted(lines, key=lambda found: found[0])[-count:]]


def work_done(logs: Any, job_name: str) -> WorkDone | None:
    """Sum up what the container logged; None where the log cannot be read or tells nothing."""
    tokens: dict[str, int] = defaultdict(int)
    spans: dict[str, tuple[float, float]] = {}
    try:
        for stream, ended_at, line in _invocations(logs, job_name):
            tokens[stream] += line["tokens"]
            started_at = ended_at - line["milliseconds"]
            first, last = spans.get(stream, (started_at, ended_at))
            spans[stream] = min(first, started_at), max(last, ended_at)
    except AwsError:  # results must not fail for want of a log
        return None
    seconds = sum(last - first for first, last in spans.values()) / 1000
    if not seconds:
        return None
    total = sum(tokens.values())
    return WorkDone(total, round(total / seconds, 1))


def _invocations(logs: Any, job_name: str) -> Iterator[tuple[str, int, dict[str, Any]]]:
    for stream in _streams(logs, job_name):
        for event in _events(logs, stream):
            line = _as_json(event["message"])
            if isinstance(line, dict) and {"tokens", "milliseconds"} <= line.keys():
                yield stream, event["timestamp"], line


def _events(logs: Any, stream: str) -> Iterator[dict[str, Any]]:
    place, position = {"logGroupName": LOG_GROUP, "logStreamName": stream}, {}
    while True:
        answer = logs.get_log_events(**place, startFromHead=True, **position)
        yield from answer["events"]
        # The same token twice is how CloudWatch says that there is no more; a page may be empty.
        if answer["nextForwardToken"] == position.get("nextToken"):
            return
        position = {"nextToken": answer["nextForwardToken"]}


def _streams(logs: Any, job_name: str) -> list[str]:
    pages = logs.get_paginator("describe_log_streams").paginate(
        logGroupName=LOG_GROUP, logStreamNamePrefix=f"{job_name}/"
    )
    try:
        return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return []
        raise


def _as_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
