"""
What SageMaker calls a manifest: a prefix, then the objects below it that a job is to read.

Written for a job that does not read a whole prefix: large files as they lie, shards run again.
"""

import json
from collections.abc import Sequence
from typing import Any

from batch_transform.s3_objects import put_object
from batch_transform.shard_outputs import PackedJob

Manifest = list[dict[str, str] | str]


def manifest_of(packed_job: PackedJob, names: Sequence[str]) -> Manifest:
    """Return the manifest of the shards of these names."""
    return [{"prefix": str(packed_job.shards)}, *names]


def write_manifest(s3: Any, packed_job: PackedJob, names: Sequence[str] | None = None) -> None:
    """Put the manifest of these shards, or of all, into the job's folder."""
    if names is None:
        names = [shard.name for shard in packed_job.record.packed.shards]
    body = json.dumps(manifest_of(packed_job, names), ensure_ascii=False).encode()
    put_object(s3, packed_job.folder.manifest, body, "application/json")
