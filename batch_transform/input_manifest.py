"""
What SageMaker calls a manifest: a prefix, then the objects below it that a job is to read.

Written for a job that does not read all that lies under a prefix: a standard job beside whose files
other things lie, large files as they lie, shards run again.
"""

import json
from collections.abc import Iterable
from typing import Any

from batch_transform.naming import S3Uri
from batch_transform.s3_objects import put_object, read_object

Manifest = list[dict[str, str] | str]


def manifest_of(prefix: S3Uri, names: Iterable[str]) -> Manifest:
    """Return the manifest of the objects of these names below *prefix*."""
    return [{"prefix": str(prefix)}, *names]


def write_manifest(s3: Any, place: S3Uri, manifest: Manifest) -> None:
    """Put a manifest where a job is told to look for it."""
    put_object(s3, place, json.dumps(manifest, ensure_ascii=False).encode(), "application/json")


def count_manifest(s3: Any, place: S3Uri) -> int:
    """Return how many objects the manifest at *place* names; 0 where there is none."""
    body = read_object(s3, place)
    return len(json.loads(body)) - 1 if body else 0
