"""
What becomes of a job that ended: its answers verified and consolidated, and copied home.

Knows which kind of job leaves a consolidated file; the consolidating is done next door.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from batch_transform.consolidated_output import complete_results, consolidate, ways_to_go_on
from batch_transform.errors import JobFailed
from batch_transform.job_account import JobAccount
from batch_transform.job_progress import count_outputs, outputs_expected
from batch_transform.job_record import read_job_record
from batch_transform.naming import JobFolder, S3Uri
from batch_transform.output_formats import FORMATS
from batch_transform.packed_input import Shard
from batch_transform.s3_objects import delete_objects, exists_in_s3, put_object, read_object
from batch_transform.shard_outputs import PackedJob
from batch_transform.transform_job import TransformJob, check_completed
from batch_transform.wording import counted, first_of

_SHARDS_SHOWN = 10


def finish_job(
    s3: Any,
    job: TransformJob,
    asked: Mapping[str, Any] | None = None,
    *,
    is_partial: bool = False,
    accounts: Sequence[JobAccount] = (),
) -> dict[str, Any] | None:
    """
    Consolidate a job that ended and return its summary; None for a job that packed nothing.

    Results are made as was said at the job's start, but for what is *asked* now, by the names of
    ResultsWanted. Complete ones that are there already, and are not asked for otherwise, stay as
    they are. The packed texts are deleted once every answer is verified, unless they are to stay or
    no document got a class. Raises JobFailed where the job did not complete and IncompleteOutput
    where answers are missing; a *is_partial* result is made of either.
    """
    packed_job = find_packed_job(s3, job)
    if packed_job is None:
        check_completed(job)
        return None
    summary = complete_results(s3, packed_job.folder)
    made = summary["results"] if summary else {}
    wanted = packed_job.record.wanted.changed(made).changed(asked or {})
    if summary is None or wanted.changed(made) != wanted:
        if not is_partial:
            _check_completed(s3, job, packed_job)
        summary = consolidate(s3, packed_job, job, wanted, accounts, is_partial=is_partial)
    if summary["is_complete"] and summary["answered"] and not wanted.keeps_shards:
        delete_objects(s3, packed_job.packed_in.shards)
    return summary


def find_packed_job(s3: Any, job: TransformJob) -> PackedJob | None:
    """Return what was packed for a job, or None for a job that reads the user's own files."""
    folder = JobFolder.holding(job.output_uri, job.name)
    return PackedJob(folder, read_job_record(s3, folder)) if folder else None


def _check_completed(s3: Any, job: TransformJob, packed_job: PackedJob) -> None:
    try:
        check_completed(job)
    except JobFailed as error:
        answered = packed_job.outputs(s3)
        lost = [shard for shard in packed_job.record.packed.shards if shard.name not in answered]
        shards = packed_job.record.packed.shards
        ways_out = ways_to_go_on(s3, packed_job)
        raise JobFailed(_told(str(error), job.name, lost, len(shards), ways_out)) from None


def _told(reason: str, job_name: str, lost: list[Shard], shards: int, ways_out: list[str]) -> str:
    kept = f"answered and kept: {shards - len(lost)} of {counted(shards, 'shard')}"
    return "\n".join(
        [
            reason,
            f"{kept}; not answered:" if lost else kept,
            *first_of(lost, _SHARDS_SHOWN),
            f"look what happened: check_batch_transform_status.py --job-name {job_name} --logs",
            *ways_out,
        ]
    )


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


def download_results(s3: Any, summary: dict[str, Any], directory: Path) -> list[Path]:
    """Copy the results that a summary speaks of into *directory*, as far as there are any."""
    predictions = S3Uri.parse(summary["predictions"])
    folder = JobFolder(S3Uri(predictions.bucket, predictions.key.rpartition("/")[0] + "/"))
    forms = map(folder.predictions, FORMATS)
    places = [*forms, folder.errors, folder.review, folder.report, folder.summary]
    directory.mkdir(parents=True, exist_ok=True)
    targets = []
    for place in places:
        target = directory / place.key.rsplit("/", 1)[-1]
        if exists_in_s3(s3, place) is None:
            target.unlink(missing_ok=True)  # of an earlier job
            continue
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
