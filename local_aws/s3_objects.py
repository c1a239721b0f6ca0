"""
Where a transform job reads and writes in S3: URIs, prefixes, manifests and output keys.

Knows SageMaker's rules for naming. Knows nothing of what the objects hold.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ClientError


class ManifestError(Exception):
    """A manifest that does not say which objects a job reads."""


@dataclass(frozen=True)
class S3Object:
    """A bucket and a key, or a bucket and the string that keys start with."""

    bucket: str
    key: str

    @classmethod
    def from_uri(cls, uri: str) -> "S3Object":
        """Read ``s3://bucket/key``."""
        bucket, _, key = uri.partition("://")[2].partition("/")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key}"


@dataclass(frozen=True)
class InputObject:
    """
    One input object of a job.

    Attributes
    ----------
    source
        Where it lies.
    relative_key
        Its key below the job's prefix, which its output keeps.
    """

    source: S3Object
    relative_key: str

    def output_below(self, output_path: S3Object) -> S3Object:
        """Where its output goes: the same key below the output path, with ``.out`` after it."""
        folder = output_path.key.rstrip("/")
        key = f"{folder}/{self.relative_key}.out" if folder else f"{self.relative_key}.out"
        return S3Object(output_path.bucket, key)


def has_object(s3: BaseClient, wanted: S3Object) -> bool:
    """Whether the bucket exists and holds a key that starts so."""
    try:
        page = s3.list_objects_v2(Bucket=wanted.bucket, Prefix=wanted.key, MaxKeys=1)
    except ClientError:
        return False
    return page["KeyCount"] > 0


def input_objects(s3: BaseClient, data_source: Mapping[str, Any]) -> Iterator[InputObject]:
    """
    Yield a job's input objects in the order S3 lists them, or its manifest names them.

    ``S3Prefix`` is a string that keys start with, not a folder: ``s3://b/in`` takes
    ``in_old/x`` too. Folder markers, which end in a slash and hold nothing, are not input.
    """
    where = S3Object.from_uri(data_source["S3Uri"])
    if data_source["S3DataType"] == "ManifestFile":
        yield from _of_manifest(s3, where)
    else:
        yield from _of_prefix(s3, where)


def _of_prefix(s3: BaseClient, prefix: S3Object) -> Iterator[InputObject]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=prefix.bucket, Prefix=prefix.key)
    for found in (item for page in pages for item in page.get("Contents", [])):
        key = found["Key"]
        if found["Size"] or not key.endswith("/"):
            yield InputObject(S3Object(prefix.bucket, key), _below(prefix.key, key))


def _of_manifest(s3: BaseClient, manifest: S3Object) -> Iterator[InputObject]:
    """``[{"prefix": "s3://bucket/folder/"}, "a.txt", "b/c.txt"]``."""
    body = s3.get_object(Bucket=manifest.bucket, Key=manifest.key)["Body"].read()
    try:
        first, *relative_keys = json.loads(body)
        prefix = S3Object.from_uri(first["prefix"])
    except (ValueError, TypeError, KeyError) as error:
        message = f"the manifest {manifest} is not a JSON list that starts with a prefix: {error}"
        raise ManifestError(message) from error
    for relative_key in relative_keys:
        yield InputObject(S3Object(prefix.bucket, prefix.key + relative_key), relative_key)


def _below(prefix: str, key: str) -> str:
    """The part of *key* below *prefix*; a prefix that ends within a name keeps the whole name."""
    if not prefix.endswith("/") and not key.startswith(f"{prefix}/"):
        prefix = prefix[: prefix.rfind("/") + 1]
    return key[len(prefix) :].lstrip("/")
