"""
How fast a machine reads: as the newest job on such a machine did, else as assumed here.

Knows where earlier jobs left their summary; knows no job to come.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from batch_transform.aws import AwsClients
from batch_transform.job_estimate import CHARACTERS_PER_TOKEN, Throughput
from batch_transform.naming import JobFolder, S3Uri
from batch_transform.s3_objects import read_object

_JOBS_LOOKED_AT = 20
_ASSUMED = (
    (r"ml\.g4dn\.", 35_000),
    (r"ml\.g5\.", 60_000),
    (r"ml\.g6\.", 78_000),
    (r"ml\.g6e\.", 200_000),
    (r"ml\.p3\.", 60_000),
)
"""
Tokens a second of ModernBERT-base. One figure is published: 78,000 on an L4 (g6). The others are
that figure in proportion to the cards' nominal half-precision speed; nothing here was measured on
SageMaker.
"""
_ASSUMED_ON_A_CPU = 700
"""
For an xlarge, two cores, one without bf16: fp32 was measured at 766 on Zen 4, bf16 at 1,493, and at
twice that on Zen 5 (benchmarks/README.md). docs/scale.md shows what the difference comes to.
"""


_LEAST_WORK_IN_SECONDS = 10
"""A job of a few documents measures how a machine warms up, and micro-batches that are not full."""
_NOT_UNDERSTOOD = (AttributeError, ArithmeticError, LookupError, TypeError, ValueError)
"""What reading a summary ends in that another program, or half a copy, has left."""


def expected_throughput(clients: AwsClients, output_uri: S3Uri, instance_type: str) -> Throughput:
    """
    Return the speed of the newest job below *output_uri* on that type, else the assumed one.

    A summary that cannot be understood is passed over, and named in the basis.
    """
    damaged = ""
    for place, summary in _earlier_summaries(clients, output_uri):
        try:
            if measured := _measured(json.loads(summary), instance_type):
                return replace(measured, basis=measured.basis + damaged)
        except _NOT_UNDERSTOOD:
            damaged += f", {place} is damaged and was passed over"
    speeds = (speed for pattern, speed in _ASSUMED if re.match(pattern, instance_type))
    return Throughput(next(speeds, _ASSUMED_ON_A_CPU), CHARACTERS_PER_TOKEN, f"assumed{damaged}")


def _measured(summary: dict[str, Any], instance_type: str) -> Throughput | None:
    """Return what a job's summary tells of a machine, if anything."""
    is_like = summary.get("instance_type") == instance_type
    if not (is_like and summary.get("tokens_per_second") and summary.get("characters")):
        return None
    if summary["tokens"] / summary["tokens_per_second"] < _LEAST_WORK_IN_SECONDS:
        return None
    return Throughput(
        tokens_per_second=float(summary["tokens_per_second"]),
        characters_per_token=_characters_per_token(summary),
        basis=f"as measured in {summary['job_name']}",
    )


def _characters_per_token(summary: dict[str, Any]) -> float:
    """Return what was measured; a resumed job's tokens hold those of failed shards twice."""
    if summary.get("resumes"):
        return CHARACTERS_PER_TOKEN
    return summary["characters"] / summary["tokens"]


def _earlier_summaries(clients: AwsClients, output_uri: S3Uri) -> Iterator[tuple[S3Uri, bytes]]:
    answer = clients.sagemaker.list_transform_jobs(
        SortBy="CreationTime",
        SortOrder="Descending",
        StatusEquals="Completed",
        MaxResults=_JOBS_LOOKED_AT,
    )
    for job in answer["TransformJobSummaries"]:
        place = JobFolder.of(output_uri, job["TransformJobName"]).summary
        if (body := read_object(clients.s3, place)) is not None:
            yield place, body
