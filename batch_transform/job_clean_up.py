"""
What a job left behind that nobody needs any more: packed texts, parts of uploads, or all of it.

Knows what may go; asks nobody.
"""

from dataclasses import dataclass
from typing import Any

from batch_transform.aws import AwsClients
from batch_transform.errors import AwsRefused
from batch_transform.folder_claim import is_claimed
from batch_transform.job_heirs import check_unread
from batch_transform.naming import JobFolder
from batch_transform.s3_objects import (
    abort_uploads,
    delete_objects,
    list_objects,
    unfinished_uploads,
)
from batch_transform.transform_job import TransformJob
from batch_transform.wording import counted


@dataclass(frozen=True)
class Leftovers:
    """What would be removed: objects under a prefix, and the unfinished uploads of the folder."""

    folder: JobFolder
    is_whole_folder: bool
    objects: int
    bytes: int
    uploads: int

    @property
    def is_nothing(self) -> bool:
        """Tell whether there is nothing to remove."""
        return not self.objects and not self.uploads

    def __str__(self) -> str:
        what = "file" if self.is_whole_folder else "packed shard"
        place = self.folder.root if self.is_whole_folder else self.folder.shards
        return (
            f"{counted(self.objects, what)} ({counted(self.bytes, 'byte')}) under {place} and "
            f"{counted(self.uploads, 'unfinished upload')}"
        )


def find_leftovers(clients: AwsClients, folder: JobFolder, job: TransformJob | None) -> Leftovers:
    """
    Find what may go: the shards of a job that ended; all of a run that never became a job.

    Raises AwsRefused while the job or one that goes on with it runs, as it would lose its input,
    where there is neither a job nor a folder of that name, and where what lies there is no job's.
    """
    if job and not job.is_final:
        raise AwsRefused(f"{job.name} is {job.status}: wait for its end, or stop it first")
    check_unread(clients, folder)
    found = list(list_objects(clients.s3, folder.shards if job else folder.root))
    uploads = len(unfinished_uploads(clients.s3, folder.root))
    if job is None and not found and not uploads:
        raise AwsRefused(
            f"nothing to clean: SageMaker has no job {folder.job_name} in this region, and no run "
            f"left a folder {folder.root}. Check the name, AWS_REGION, --s3-bucket and "
            "--s3-output-prefix; --list-jobs shows the names of jobs"
        )
    if found and not is_claimed(clients.s3, folder):
        raise AwsRefused(
            f"{folder.root} holds files but no request.json of a job: they are somebody else's and "
            "stay. Check the name, --s3-bucket and --s3-output-prefix"
        )
    return Leftovers(
        folder=folder,
        is_whole_folder=job is None,
        objects=len(found),
        bytes=sum(item.size_in_bytes for item in found),
        uploads=uploads,
    )


def clean_up(s3: Any, leftovers: Leftovers) -> None:
    """Remove what was found."""
    folder = leftovers.folder
    delete_objects(s3, folder.root if leftovers.is_whole_folder else folder.shards)
    abort_uploads(s3, folder.root)
