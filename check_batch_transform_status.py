"""List transform jobs, look at one, follow it to its results, stop it, clean up; see the queue."""

from collections.abc import Callable

import click

from batch_transform import terminal
from batch_transform.aws import AwsClients
from batch_transform.command_line import (
    BUCKET_NAME,
    FILLED_TEXT,
    JOB_NAME,
    OPTIONS_OF_RESULTS,
    confirm_option,
    json_option,
    option,
    output_prefix_option,
    queue_url_option,
    refuse_typed,
    region_option,
    results_options,
    run,
)
from batch_transform.job_console import clean, show_job, show_jobs
from batch_transform.naming import S3Uri
from batch_transform.queue_console import redrive, show_queue
from batch_transform.request_queue import RequestQueue
from batch_transform.transform_job import stop_job
from batch_transform.watching import WatchSettings, show_last_lines, watch


@click.command(help=__doc__)
@option("--list-jobs", "listing", is_flag=True, help="List the newest jobs.")
@option("--max-results", type=click.IntRange(min=1), default=10, help="How many to list.")
@option("--job-name", type=JOB_NAME, help="The job to look at.")
@option(
    "--watch",
    "--consolidate",
    "watching",
    is_flag=True,
    help="Follow it to its end, then consolidate its answers, if that was not done; results are as "
    "its start asked for them, but for what is typed here.",
)
@option("--stop", "stopping", is_flag=True, help="Stop it; what is finished stays in S3.")
@option("--partial", "is_partial", is_flag=True, help="With --watch: take the answers there are.")
@option(
    "--clean",
    "cleaned_job",
    type=JOB_NAME,
    metavar="JOB",
    help="Remove a job's packed texts and uploads.",
)
@option(
    "--s3-bucket",
    "bucket",
    variable="S3_BUCKET_NAME",
    type=BUCKET_NAME,
    help="With --clean: where the folder lies of a run that never became a job.",
)
@output_prefix_option
@option("--queue", "queue_asked", is_flag=True, help="Show what waits, runs and was set aside.")
@option(
    "--redrive",
    "message_id",
    type=FILLED_TEXT,
    metavar="DEAD-LETTER",
    help="Send this dead letter again, once it can succeed.",
)
@confirm_option
@queue_url_option()
@region_option
@json_option
@results_options
def main(
    *,
    listing: bool,
    max_results: int,
    job_name: str | None,
    watching: bool,
    stopping: bool,
    cleaned_job: str | None,
    bucket: str | None,
    output_prefix: str,
    queue_asked: bool,
    message_id: str | None,
    confirm: Callable[[str], None],
    queue_url: str | None,
    region: str | None,
    results: WatchSettings,
) -> None:
    """Do one of the things the flags name."""
    tasks = [listing, bool(job_name), bool(cleaned_job), queue_asked, bool(message_id)]
    if tasks.count(True) != 1:
        raise click.UsageError(
            "give one of --list-jobs, --job-name NAME, --clean JOB, --queue and "
            "--redrive DEAD-LETTER"
        )
    if (watching or stopping) > bool(job_name):
        raise click.UsageError("--watch, --consolidate and --stop need --job-name NAME")
    if (queue_asked or message_id) and queue_url is None:
        raise click.UsageError("give --queue-url or set SQS_QUEUE_URL")
    _refuse_what_would_be_ignored(listing=listing, job_name=job_name, watching=watching)
    clients = AwsClients(region)
    if listing:
        show_jobs(clients, max_results, as_json=results.as_json)
    elif queue_asked:
        show_queue(clients, RequestQueue.at(clients.sqs, queue_url), as_json=results.as_json)
    elif message_id:
        redrive(RequestQueue.at(clients.sqs, queue_url), message_id, confirm)
    elif cleaned_job:
        output = S3Uri.parse(output_prefix, bucket=bucket) if bucket else None
        clean(clients, cleaned_job, output, confirm)
    else:
        _look_at(clients, job_name, results, watching=watching, stopping=stopping)


def _refuse_what_would_be_ignored(*, listing: bool, job_name: str | None, watching: bool) -> None:
    if not listing:
        refuse_typed(["max_results"], "jobs are listed by --list-jobs")
    if not job_name:
        refuse_typed(["shows_logs"], "a job has logs: name it with --job-name")
    if not watching:
        refuse_typed(OPTIONS_OF_RESULTS, "results are made by --watch: add it")


def _look_at(
    clients: AwsClients, job_name: str, results: WatchSettings, *, watching: bool, stopping: bool
) -> None:
    if stopping:
        stop_job(clients.sagemaker, job_name)
        terminal.say(f"asked SageMaker to stop {job_name}")
    if watching:
        watch(clients, job_name, results)
        return
    show_job(clients, job_name, as_json=results.as_json)
    if results.shows_logs:
        show_last_lines(clients, job_name)


if __name__ == "__main__":
    run(main)
