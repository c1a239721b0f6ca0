"""
What becomes of a job that ended: its answers verified and consolidated, and copied home.

Knows which kind of job leaves a consolidated file; the consolidating is done next door.
"""

from pathlib import Path
from typing import Any

from batch_transform.consolidated_output import consolidate
from batch_transform.job_record import read_job_record
from batch_transform.naming import JobFolder
from batch_transform.transform_job import TransformJob, check_completed


def finish_job(s3: Any, job: TransformJob) -> dict[str, Any] | None:
    """
    Consolidate a job that completed and return its summary; None for a job that packed nothing.

    Raises JobFailed where the job ended otherwise and IncompleteOutput where answers are missing.
    """
    check_completed(job)
    folder = JobFolder.holding(job.output_uri, job.name)
    if folder is None:
        return None
    return consolidate(s3, folder, read_job_record(s3, folder), job)


def download_results(s3: Any, job: TransformJob, directory: Path) -> list[Path]:
    """Copy predictions.json and summary.json of a finished job into *directory*."""
    folder = JobFolder.holding(job.output_uri, job.name)
    places = [folder.predictions, folder.summary] if folder else []
    directory.mkdir(parents=True, exist_ok=True)
    targets = []
    for place in places:
        target = directory / place.key.rsplit("/", 1)[-1]
        s3.download_file(place.bucket, place.key, str(target))
        targets.append(target)
    return targets
