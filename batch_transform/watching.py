"""
Following a job on a terminal: its progress, then its results, or why there are none.

Shared by whichever script has started a job or is asked about one. Knows no options.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from batch_transform import terminal
from batch_transform.aws import AwsClients, AwsError, explain
from batch_transform.consolidated_output import check_complete
from batch_transform.errors import (
    BatchTransformError,
    InvalidSettings,
    JobFailed,
    JobMayRun,
    WatchInterrupted,
)
from batch_transform.job_account import find_accounts
from batch_transform.job_logs import last_lines
from batch_transform.job_outcome import download_results, find_packed_job, finish_job
from batch_transform.job_progress import follow_progress
from batch_transform.outages import Patience
from batch_transform.output_formats import check_format
from batch_transform.results_wanted import ResultsWanted
from batch_transform.transform_job import TransformJob

_LINES_SHOWN = 20


@dataclass(frozen=True)
class WatchSettings:
    """
    What is wanted of a job's end, where it goes, and how it is told.

    *asked* has what was said of the results, by the names of ResultsWanted; the rest is as it was
    said at the job's start. *is_partial* takes what answers there are.
    """

    asked: Mapping[str, Any] = field(default_factory=dict)
    is_partial: bool = False
    download_to: Path | None = None
    shows_logs: bool = False
    as_json: bool = False

    def check(self) -> None:
        """Raise InvalidSettings for what this machine cannot do, before a job is waited for."""
        check_format(ResultsWanted().changed(self.asked).output_format)
        if self.download_to:
            try:
                _try_to_write_in(self.download_to)
            except OSError as error:
                problem = f"--download-to: nothing can be written to {self.download_to}: {error}"
                raise InvalidSettings([problem]) from None


def _try_to_write_in(folder: Path) -> None:
    """Raise OSError unless a file can be written in *folder*; what is made for that is removed."""
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    finally:
        for place in made:
            with suppress(OSError):
                place.rmdir()


def watch(clients: AwsClients, job_name: str, settings: WatchSettings) -> None:
    """Follow a job to its end and print what became of it; raise where it is not all answered."""
    patience = Patience(tell=terminal.say)
    job = follow(clients, job_name, patience)
    try:
        summary = patience.outlast(lambda: _finish(clients, job, settings))
    except KeyboardInterrupt:
        raise JobMayRun(f"{job_name} has ended; {_fetch_later(job_name)}") from None
    except AwsError as error:
        told = f"{explain(error)}\n{job_name} has ended; {_fetch_later(job_name)}"
        raise BatchTransformError(told) from error
    if settings.as_json:
        terminal.print_json(summary or terminal.job_as_document(job))
    elif summary:
        terminal.print_summary(summary)
    else:
        terminal.print_job(job)
    if summary is None:
        outputs = f"the .out files under {job.output_uri}"
        terminal.say(f"{job_name} packed nothing: no results are made of its answers, {outputs}")
        return
    if settings.download_to:
        _download(clients, summary, settings.download_to)
    check_complete(summary)


def follow(clients: AwsClients, job_name: str, patience: Patience) -> TransformJob:
    """Draw a job's progress until it ends and return it; whatever ends the watching, it goes on."""
    try:
        return terminal.show_progress(follow_progress(clients, job_name, patience))
    except KeyboardInterrupt:
        raise WatchInterrupted(job_name) from None
    except AwsError as error:
        raise WatchInterrupted(job_name, explain(error)) from error


def _finish(
    clients: AwsClients, job: TransformJob, settings: WatchSettings
) -> dict[str, Any] | None:
    packed_job = find_packed_job(clients.s3, job)
    tags, jobs = {}, [job.name]
    if packed_job:
        tags, jobs = packed_job.record.tags, [*packed_job.record.resumes, job.name]
    try:
        return finish_job(
            clients.writing_with(job.kms_key_id, tags).s3,
            job,
            settings.asked,
            is_partial=settings.is_partial,
            accounts=find_accounts(clients, jobs),
        )
    except JobFailed:
        if settings.shows_logs:
            show_last_lines(clients, job.name)
        raise


def _download(clients: AwsClients, summary: dict[str, Any], folder: Path) -> None:
    try:
        for path in download_results(clients.s3, summary, folder):
            terminal.say(f"wrote {path}")
    except (OSError, *AwsError) as error:
        job_name = summary["job_name"]
        told = explain(error) if isinstance(error, AwsError) else error
        raise BatchTransformError(
            f"{job_name} is done, but its results cannot be copied into {folder}: {told}; "
            + _fetch_later(job_name)
        ) from None


def _fetch_later(job_name: str) -> str:
    return (
        "fetch its results with python check_batch_transform_status.py "
        f"--job-name {job_name} --watch --download-to FOLDER"
    )


def show_last_lines(clients: AwsClients, job_name: str) -> None:
    """Print the last lines that the job's containers logged, which hold no document's text."""
    lines = last_lines(clients.logs, job_name, _LINES_SHOWN)
    for line in lines or ["the job has logged nothing yet"]:
        terminal.say(line)
