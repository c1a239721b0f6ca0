"""
What becomes of a job that ended: its answers verified and consolidated, and copied home.

Knows which kind of job leaves a consolidated file; the consolidating is done next door.
"""

import json
from pathlib import Path
from typing import Any

from batch_transform.consolidated_output import consolidate
from batch_transform.job_progress import count_outputs, outputs_expected
from batch_transform.job_record import read_job_record
from batch_transform.naming import JobFolder
from batch_transform.s3_objects import put_object, read_object
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


def settle_job(s3: Any, job: TransformJob) -> dict[str, Any]:
    """
    Leave a summary.json in the folder of a job that ended, however it ended; return it.

    A job that packed its input and completed is consolidated. Any other gets its status, the
    reason and how much of its output was saved. Settling it again changes nothing.
    """
    folder = JobFolder.of_job(job.output_uri, job.name)
    if (settled := read_object(s3, folder.summary)) is not None:
        return json.loads(settled)
    if job.status == "Completed" and (summary := finish_job(s3, job)) is not None:
        return summary
    summary = _summary_without_answers(s3, job)
    body = json.dumps(summary, indent=2, ensure_ascii=False).encode() + b"\n"
    put_object(s3, folder.summary, body, "application/json")
    return summary


def download_results(s3: Any, job: TransformJob, directory: Path) -> list[Path]:
    """Copy predictions.json and summary.json of a finished job into *directory*."""
    folder = JobFolder.holding(job.output_uri, job.name)
    places = [folder.predictions(), folder.summary] if folder else []
    directory.mkdir(parents=True, exist_ok=True)
    targets = []
    for place in places:
        target = directory / place.key.rsplit("/", 1)[-1]
        s3.download_file(place.bucket, place.key, str(target))
        targets.append(target)
    return targets


def _summary_without_answers(s3: Any, job: TransformJob) -> dict[str, Any]:
    return {
        "job_name": job.name,
        "status": job.status,
        "reason": job.failure_reason,
        "input": str(job.input_uri),
        "saved": {
            "outputs": count_outputs(s3, job),
            "outputs_expected": outputs_expected(s3, job),
            "below": str(job.output_uri.folder()),
        },
        "model_name": job.model_name,
        "instance_type": job.instance_type,
        "instance_count": job.instance_count,
        "billed_seconds": job.billed_seconds,
    }
