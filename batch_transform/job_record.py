"""
`job.json`: what a job was asked to do and what was packed for it, kept in the job's own folder.

Whoever finds the folder, on any machine, can follow, verify and consolidate the job with it.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from batch_transform.errors import IncompleteOutput
from batch_transform.naming import JobFolder
from batch_transform.packed_input import PackedInput, Shard
from batch_transform.results_wanted import ResultsWanted
from batch_transform.s3_objects import put_object


@dataclass(frozen=True)
class JobRecord:
    """
    One optimized job, as it was submitted.

    *resumes* names the jobs whose work it goes on with, the one that packed the input first; *tags*
    are those of the job, which its results bear too. *wanted* is what they are to be.
    """

    job_name: str
    profile: str
    model_name: str
    input_uri: str
    created_at: str
    packed: PackedInput
    resumes: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    wanted: ResultsWanted = field(default_factory=ResultsWanted)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read what `to_json` wrote."""
        fields = json.loads(text)
        packed = fields.pop("packed")
        shards = [Shard(**shard) for shard in packed.pop("shards")]
        wanted = ResultsWanted(**fields.pop("wanted", {}))
        return cls(**fields, packed=PackedInput(shards=shards, **packed), wanted=wanted)

    def to_json(self) -> bytes:
        """Return the record as an indented JSON document."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False).encode() + b"\n"


def write_job_record(s3: Any, folder: JobFolder, record: JobRecord) -> None:
    """Put the record in the job's folder."""
    put_object(s3, folder.record, record.to_json(), "application/json")


def read_job_record(s3: Any, folder: JobFolder) -> JobRecord:
    """Fetch the record from the job's folder; raise IncompleteOutput where it cannot be read."""
    place = folder.record
    try:
        body = s3.get_object(Bucket=place.bucket, Key=place.key)["Body"].read()
        return JobRecord.from_json(body)
    except s3.exceptions.NoSuchKey:
        raise IncompleteOutput(
            f"there is no {place}: without it nobody can tell which documents the job was given. "
            "Check the job's name, bucket and output prefix, or run the whole input again"
        ) from None
    except (ValueError, TypeError, KeyError) as error:
        raise IncompleteOutput(f"{place} is damaged: {error!r}") from None
