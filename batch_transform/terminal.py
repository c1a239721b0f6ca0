"""
What people see: tables on stdout, progress and remarks on stderr, quiet where nobody looks.

Knows rich; knows neither click nor AWS.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from unicodedata import category

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from batch_transform.job_progress import JobProgress
from batch_transform.lambda_stack import ResourceChange, StackEvent
from batch_transform.prices import written_out
from batch_transform.request_queue import DeadLetter, QueueCounts
from batch_transform.result_counts import ResultCounts, Verdict
from batch_transform.transform_job import TransformJob
from batch_transform.wording import counted, in_utc

_REPLACEMENTS = {"False": "", "True": " by replacement", "Conditional": ", maybe by replacement"}
_PIPE_WIDTH = 160
"""Columns of a table that nobody looks at directly: names must not be cut short."""
_BODY_SHOWN = 500
"""Characters of a dead letter, which may be as long as a message: the others must be seen, too."""

_answer = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
_story = Console(stderr=True, highlight=False)


def say(remark: str) -> None:
    """Tell the operator what is going on, on stderr."""
    _story.print(_harmless(remark), markup=False, soft_wrap=True)


def fail(message: str) -> None:
    """Say why the command failed, on stderr; what else the message says stands below it."""
    problem, *rest = _harmless(message).split("\n")
    _story.print("[bold red]error:[/]", escape(problem), soft_wrap=True)
    for line in rest:
        say(f"  {line}")


def print_answer(text: str) -> None:
    """Print one line of the answer, on stdout."""
    _answer.print(text, markup=False, soft_wrap=True)


def print_json(document: Any) -> None:
    """Print one JSON document, on stdout; times become ISO 8601."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False, default=datetime.isoformat)
    sys.stdout.write("\n")


@contextmanager
def progress(description: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """Show a bar of bytes while the block runs; give the function that moves it on."""
    with _bar(DownloadColumn()) as bar:
        task = bar.add_task(description, total=total_bytes)
        yield lambda advance: bar.advance(task, advance)


def show_progress(looks: Iterator[JobProgress]) -> TransformJob:
    """Draw each look at a job until the last and return the job as it ended."""
    status = None
    told = TextColumn("{task.fields[unit]}  {task.fields[speed]}")
    with _bar(MofNCompleteColumn(), told) as bar:
        task = bar.add_task("Waiting for SageMaker", total=None, unit="", speed="")
        for look in looks:
            bar.update(
                task,
                description=look.job.status,
                completed=look.outputs,
                total=look.outputs_expected or None,
                unit="files" if look.documents is None else "shards",
                speed=_speed(look),
            )
            if look.job.status != status and not _story.is_terminal:
                say(f"{look.job.name}: {look.job.status}")
            status = look.job.status
    return look.job


def print_jobs(jobs: list[dict[str, Any]]) -> None:
    """Print a table of ListTransformJobs summaries, the newest first."""
    table = _table()
    table.add_column("Job", no_wrap=True, overflow="fold")
    for heading in ("Status", "Created", "Took", "Reason"):
        table.add_column(heading)
    for job in jobs:
        table.add_row(
            job["TransformJobName"],
            _status(job["TransformJobStatus"]),
            in_utc(job["CreationTime"]),
            _duration(job["CreationTime"], job.get("TransformEndTime")),
            escape(job.get("FailureReason", "")),
        )
    _answer.print(table if jobs else "no transform jobs in this region")


def print_job(job: TransformJob) -> None:
    """Print one job as a table of two columns."""
    table = _table("Transform job", job.name)
    rows = {
        "Status": _status(job.status),
        "Reason": job.failure_reason,
        "Model": job.model_name,
        "Input": job.input_uri,
        "Output": job.output_uri,
        "Instances": f"{job.instance_count} x {job.instance_type}",
        "Created": in_utc(job.created_at),
        "Started": job.started_at and in_utc(job.started_at),
        "Ended": job.ended_at and in_utc(job.ended_at),
        "Billed": job.billed_seconds and counted(job.billed_seconds, "second"),
    }
    for name, value in rows.items():
        if value is not None:
            table.add_row(name, value if name == "Status" else escape(str(value)))
    _answer.print(table)


def print_changes(changes: list[ResourceChange]) -> None:
    """Print what a change set would do, on stderr."""
    table = _table("Change", "Resource", "Type")
    for change in changes:
        action = change.action + _REPLACEMENTS[change.replacement]
        table.add_row(action, change.logical_id, change.resource_type)
    _story.print(table if changes else "the stack is as it should be: no changes")


def show_stack_events(events: Iterator[StackEvent]) -> None:
    """Print each step of a stack's change that is done; show meanwhile what is being done."""
    with _bar() as bar:
        task = bar.add_task("", total=None)
        for event in events:
            step = f"{event.status:<26}{event.logical_id}"
            if event.is_done or event.is_of_stack:
                reason = f": {event.reason}" if event.reason else ""
                say(f"{event.time.astimezone(UTC):%H:%M:%S} UTC  {step}{reason}")
            else:
                bar.update(task, description=step)


def print_queue(
    counts: QueueCounts, jobs: list[dict[str, Any]], dead_letters: list[DeadLetter]
) -> None:
    """Print what waits, what runs and what was set aside, with the reasons."""
    print_answer(f"requests waiting: {counts.waiting}, in work or resting: {counts.resting}")
    print_answer(f"jobs running: {len(jobs)}, requests set aside: {counts.dead_letters}")
    if jobs:
        print_jobs(jobs)
    if dead_letters:
        table = _table("Dead letter", "Since", "Reason", "Message")
        for letter in dead_letters:
            reason = letter.reason or "received too often"
            body = letter.body[:_BODY_SHOWN] + "…" * (len(letter.body) > _BODY_SHOWN)
            table.add_row(letter.message_id, in_utc(letter.sent_at), escape(reason), escape(body))
        _answer.print(table)


def print_summary(summary: dict[str, Any]) -> None:
    """Print the classes found in a consolidated job, then its errors, its bill and its files."""
    counts = ResultCounts.of(summary)
    title = f"{counted(counts.answered, 'document')} answered, {counts.classified:,} classified"
    table = _table("Class", title=title)
    for heading in ("Documents", "Share", "Mean confidence"):
        table.add_column(heading, justify="right")
    for label, found in summary["classes"].items():
        share = found["documents"] / counts.answered
        table.add_row(
            escape(label),
            f"{found['documents']:,}",
            f"{share:.1%}",
            f"{found['mean_confidence']:.2f}",
        )
    for code, count in summary["errors"].items():
        share = count / counts.answered
        table.add_row(f"[red]not classified: {code}[/]", f"{count:,}", f"{share:.1%}", "")
    _answer.print(table)
    say(Verdict.on(summary).sentence)
    if counts.blank:
        say(f"not sent because they are blank: {counted(counts.blank, 'line')}")
    say(_bill(summary))
    _say_files(summary, counts)
    print_answer(summary["predictions"])


def _say_files(summary: dict[str, Any], counts: ResultCounts) -> None:
    """Name the results that there are, the folder once."""
    folder, _, predictions = summary["predictions"].rpartition("/")
    doubtful = summary["review"]["documents"]
    files = {
        predictions: "all answers",
        "report.html": "all of it on one page",
        "errors.jsonl": ", ".join(counts.without_class()),
        "review.csv": doubtful and f"{counted(doubtful, 'document')} to be read first",
    }
    say(f"results in {folder}/:")
    for name, content in files.items():
        if content:
            say(f"  {name:<{max(map(len, files))}}  {content}")


def job_as_document(job: TransformJob) -> dict[str, Any]:
    """Return the job for `--json`."""
    document = asdict(job) | {"input_uri": str(job.input_uri), "output_uri": str(job.output_uri)}
    return document | {"billed_seconds": job.billed_seconds}


def _bill(summary: dict[str, Any]) -> str:
    """Tell what a job took, and beside it what those took that it goes on with."""
    jobs = len(summary["jobs"])
    seconds = (
        "an unknown time"
        if summary["billed_seconds"] is None
        else f"{summary['billed_seconds']:,} s"
    )
    told = f"billed: {seconds}, {written_out(summary['dollars'])}"
    return told if jobs == 1 else f"{told}, {jobs} jobs together; summary.json has each of them"


def _harmless(text: str) -> str:
    """Write control characters out: a key of S3 may hold some, and a terminal would obey them."""
    return "".join(
        repr(character)[1:-1] if category(character) == "Cc" and character != "\n" else character
        for character in text
    )


def _speed(look: JobProgress) -> str:
    now = datetime.now(UTC)
    speed, left = look.documents_per_second(now), look.seconds_left(now)
    told = [f"{speed:,.0f} documents/s"] if speed else []
    return ", ".join(told + ([f"{timedelta(seconds=round(left))} left"] if left else []))


def _bar(*columns: ProgressColumn) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        TimeElapsedColumn(),
        console=_story,
        disable=not _story.is_terminal,
    )


def _table(*headings: str, title: str | None = None) -> Table:
    return Table(*headings, title=title, title_justify="left", header_style="bold")


def _status(status: str) -> str:
    colour = {"Completed": "green", "Failed": "red", "Stopped": "yellow"}.get(status, "cyan")
    return f"[{colour}]{status}[/]"


def _duration(start: datetime, end: datetime | None) -> str:
    return str(timedelta(seconds=round((end - start).total_seconds()))) if end else ""
