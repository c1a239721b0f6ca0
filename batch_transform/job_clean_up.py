"""
What a job left behind that nobody needs any more: packed texts, parts of uploads, or all of it.

Knows what may go; asks nobody.
"""

from dataclasses import dataclass
from typing import Any

from batch_transform.aws import AwsClients
from batch_transform.errors import AwsRefused
from batch_transform.job_heirs import check_unread
from batch_transform.naming import JobFolder
from batch_transform.s3_objects import abort_uploads, delete_objects, list_objects
from batch_transform.transform_job import TransformJob


@dataclass(frozen=True)
class Leftovers:
    """What would be removed: objects under a prefix, and the unfinished uploads of the folder."""

    folder: JobFolder
    is_whole_folder: bool
    objects: int
    bytes: int

    def __str__(self) -> str:
        what = "files" if self.is_whole_folder else "packed shards"
        place = self.folder.root if self.is_whole_folder else self.folder.shards
        return f"{self.objects:,} {what} ({self.bytes:,} bytes) under {place}"


def find_leftovers(clients: AwsClients, folder: JobFolder, job: TransformJob | None) -> Leftovers:
    """
    Find what may go: the shards of a job that ended; all of a run that never became a job.

    Raises AwsRefused while the job or one that goes on with it runs, as it would lose its input.
    """
    if job and not job.is_final:
        raise AwsRefused(f"{job.name} is {job.status}: wait for its end, or stop it first")
    check_unread(clients, folder)
    found = list(list_objects(clients.s3, folder.shards if job else folder.root))
    return Leftovers(
        folder=folder,
        is_whole_folder=job is None,
        objects=len(found),
        bytes=sum(item.size_in_bytes for item in found),
    )


def clean_up(s3: Any, leftovers: Leftovers) -> int:
    """Remove what was found; return how many unfinished uploads were given up with it."""
    folder = leftovers.folder
    delete_objects(s3, folder.root if leftovers.is_whole_folder else folder.shards)
    return abort_uploads(s3, folder.root)
