"""
The EventBridge event "SageMaker Transform Job State Change".

Knows its form: the detail mirrors DescribeTransformJob, with times in milliseconds and tags as a
map. Publishing is ministack's own EventBridge, which alone may speak for ``aws.`` sources.
"""

import json
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import eventbridge

from local_aws.sagemaker_state import TransformJob

TIMES = ("CreationTime", "TransformStartTime", "TransformEndTime")


def emit(job: TransformJob, tags: Mapping[str, str]) -> None:
    """Publish the job's state as it is now on the default bus of its account and region."""
    entry = {
        "Source": "aws.sagemaker",
        "DetailType": "SageMaker Transform Job State Change",
        "Resources": [job.arn],
        "Detail": json.dumps(_detail(job, tags)),
    }
    with request_scope(job.home.account_id, job.home.region):
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def _detail(job: TransformJob, tags: Mapping[str, str]) -> dict[str, Any]:
    detail = {"Environment": {}, **job.description, "Tags": dict(tags)}
    return detail | {name: int(detail[name] * 1000) for name in TIMES if name in detail}
