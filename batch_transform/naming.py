"""
Names: S3 locations, job names, model names, and where each file of a job lies.

Knows the rules for writing a name; knows nothing of what lies behind one and calls nothing.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from batch_transform.errors import InvalidSettings

MODEL_ARTIFACT_FILE = "model.tar.gz"
REQUEST_FILE = "request.json"

_BUCKET_NAME = re.compile(r"[a-zA-Z0-9._-]{1,255}")
"""What S3 has ever taken (botocore's own check); new buckets have stricter rules, old ones stay."""


def bucket_problem(name: str) -> str | None:
    """Return why there can be no bucket of that name, if so."""
    if _BUCKET_NAME.fullmatch(name):
        return None
    return f"{name!r} is no bucket's name: S3 takes letters, digits, dots and hyphens"


def location_problem(text: str) -> str | None:
    """Return why no bucket can be what a location names, if it is an `s3://…` and names one."""
    scheme, _, rest = text.partition("://")
    bucket = rest.partition("/")[0]
    return bucket_problem(bucket) if scheme == "s3" and bucket else None


@dataclass(frozen=True, slots=True)
class S3Uri:
    """`s3://bucket/key`; the key is empty for a bucket and ends in `/` for a folder."""

    bucket: str
    key: str = ""

    @classmethod
    def parse(cls, text: str, *, bucket: str = "") -> Self:
        """
        Read a full `s3://bucket/key`, or a bare key that lies in *bucket*.

        Raises InvalidSettings when no bucket can be told from either.
        """
        scheme, separator, rest = text.partition("://")
        if separator and scheme != "s3":
            raise InvalidSettings([f"{text!r} is not an S3 location: expected s3://bucket/key"])
        if separator:
            bucket, _, key = rest.partition("/")
        else:
            key = text.lstrip("/")
        if not bucket:
            raise InvalidSettings([f"{text!r} names no bucket: expected s3://bucket/key"])
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def folder(self) -> "S3Uri":
        """Return the same place as a folder: as a prefix, `out/` cannot take in `out_old/`."""
        if not self.key or self.key.endswith("/"):
            return self
        return S3Uri(self.bucket, self.key + "/")

    def child(self, name: str) -> "S3Uri":
        """Return *name* inside this folder."""
        return S3Uri(self.bucket, self.folder().key + name)

    def covers(self, other: "S3Uri") -> bool:
        """Tell whether listing this place, a string prefix to S3, would also list *other*."""
        return self.bucket == other.bucket and other.key.startswith(self.key)


@dataclass(frozen=True)
class JobFolder:
    """Where one job keeps its files. No two jobs share a folder: it bears the job's name."""

    root: S3Uri

    @classmethod
    def of(cls, output: S3Uri, job_name: str) -> Self:
        """Return the folder of *job_name* below the *output* prefix."""
        return cls(output.child(f"{job_name}/"))

    @classmethod
    def holding(cls, output: S3Uri, job_name: str) -> Self | None:
        """Return the folder whose job writes to *output*; None for a job that packs nothing."""
        if not output.folder().key.endswith(f"{job_name}/output/"):
            return None
        return cls(S3Uri(output.bucket, output.folder().key.removesuffix("output/")))

    @classmethod
    def of_job(cls, output: S3Uri, job_name: str) -> Self:
        """Return the folder of a job that writes to *output*, packed or not."""
        return cls.holding(output, job_name) or cls(output.folder())

    def beside(self, job_name: str) -> "JobFolder":
        """Return the folder of another job below the same output prefix."""
        parent = self.root.key.rstrip("/").rpartition("/")[0]
        return JobFolder.of(S3Uri(self.root.bucket, parent), job_name)

    def above(self) -> Iterator["JobFolder"]:
        """Yield the folders around this one, the outermost first; each could be another job's."""
        steps = self.root.key.rstrip("/").split("/")[:-1]
        for depth in range(1, len(steps) + 1):
            yield JobFolder(S3Uri(self.root.bucket, "/".join(steps[:depth])).folder())

    @property
    def job_name(self) -> str:
        """The name of the job whose folder it is."""
        return self.root.key.rstrip("/").rpartition("/")[2]

    @property
    def request(self) -> S3Uri:
        """`request.json`: what was asked for; whoever writes it first prepares the job."""
        return self.root.child(REQUEST_FILE)

    @property
    def record(self) -> S3Uri:
        """`job.json`: what was asked and what was packed."""
        return self.root.child("job.json")

    @property
    def shards(self) -> S3Uri:
        """The folder of the packed input, read by the optimized job."""
        return self.root.child("input/")

    @property
    def heirs(self) -> S3Uri:
        """The folder of the names of jobs that go on with this one and read its shards."""
        return self.root.child("resumed-by/")

    @property
    def checked(self) -> S3Uri:
        """`checked.json`: lines that hold no document, counted; says that all files were read."""
        return self.root.child("checked.json")

    @property
    def manifest(self) -> S3Uri:
        """The list of what a job reads that does not read a whole prefix."""
        return self.root.child("input.manifest")

    @property
    def shard_outputs(self) -> S3Uri:
        """The folder in which the optimized job puts one `.out` for each shard."""
        return self.root.child("output/")

    @property
    def left_out(self) -> S3Uri:
        """The lines that were not sent, each with its reason; only where there were any."""
        return self.root.child("left_out.jsonl")

    def predictions(self, output_format: str = "json") -> S3Uri:
        """Return the one consolidated file, of which there can be one in each format."""
        return self.root.child(f"predictions.{output_format}")

    @property
    def errors(self) -> S3Uri:
        """The documents that got no class, each with its reason; only where there are any."""
        return self.root.child("errors.jsonl")

    @property
    def review(self) -> S3Uri:
        """The documents that a person should read first; only where there are any."""
        return self.root.child("review.csv")

    @property
    def report(self) -> S3Uri:
        """The page that shows it all."""
        return self.root.child("report.html")

    @property
    def summary(self) -> S3Uri:
        """The counts; written last, so its presence says that the predictions were verified."""
        return self.root.child("summary.json")


def shard_name(index: int) -> str:
    """Return the file name of a shard; zero-padded, so that names sort in packing order."""
    return f"shard-{index:05d}.jsonl"


def new_job_name(profile_name: str, now: datetime) -> str:
    """Return a job name that sorts by time and that no other run will draw."""
    return f"dispute-{profile_name}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def requested_job_prefix(queue_name: str) -> str:
    """
    Return how the names of all jobs begin that are asked for through one queue.

    A digest, not the queue's name: the names of `jobs-a` must not begin like those of `jobs`.
    """
    return f"dispute-{hashlib.sha256(queue_name.encode()).hexdigest()[:8]}-"


def requested_job_name(queue_name: str, request_id: str) -> str:
    """
    Return the name of the job that a request gets, known before the job exists.

    SageMaker takes a name once (63 characters): so a request, however often it is delivered,
    starts one job.
    """
    return requested_job_prefix(queue_name) + request_id


def model_name_for(create_model: Mapping[str, object]) -> str:
    """
    Return a name made of what the model holds: other weights, image or role, other name.

    SageMaker allows 63 characters, no underscore (botocore, CreateModel).
    """
    content = json.dumps(create_model, sort_keys=True)
    return f"dispute-classifier-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def model_artifact_key(sha256: str) -> str:
    """Return where an artefact lies below the model prefix: its content names it."""
    return f"{sha256[:16]}/{MODEL_ARTIFACT_FILE}"
