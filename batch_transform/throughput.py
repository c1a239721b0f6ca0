"""
How fast a machine reads: as the newest job on such a machine did, else as assumed here.

Knows where earlier jobs left their summary; knows no job to come.
"""

import json
import re
from collections.abc import Iterator
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
"""For an xlarge, two cores: what this project's bf16 path reaches there, less a margin."""


def expected_throughput(clients: AwsClients, output_uri: S3Uri, instance_type: str) -> Throughput:
    """Return the speed of the newest job below *output_uri* on that type, else the assumed one."""
    for summary in _earlier_summaries(clients, output_uri):
        is_like = summary.get("instance_type") == instance_type
        if is_like and summary.get("tokens_per_second") and summary.get("characters"):
            return Throughput(
                tokens_per_second=summary["tokens_per_second"],
                characters_per_token=_characters_per_token(summary),
                basis=f"as measured in {summary['job_name']}",
            )
    speeds = (speed for pattern, speed in _ASSUMED if re.match(pattern, instance_type))
    return Throughput(next(speeds, _ASSUMED_ON_A_CPU), CHARACTERS_PER_TOKEN, "assumed")


def _characters_per_token(summary: dict[str, Any]) -> float:
    """Return what was measured; a resumed job's tokens hold those of failed shards twice."""
    if summary.get("resumes"):
        return CHARACTERS_PER_TOKEN
    return summary["characters"] / summary["tokens"]


def _earlier_summaries(clients: AwsClients, output_uri: S3Uri) -> Iterator[dict[str, Any]]:
    answer = clients.sagemaker.list_transform_jobs(
        SortBy="CreationTime",
        SortOrder="Descending",
        StatusEquals="Completed",
        MaxResults=_JOBS_LOOKED_AT,
    )
    for job in answer["TransformJobSummaries"]:
        place = JobFolder.of(output_uri, job["TransformJobName"]).summary
        if body := read_object(clients.s3, place):
            yield json.loads(body)
