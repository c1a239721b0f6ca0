"""List transform jobs, look at one, follow it to its results, stop it, clean up; see the queue."""

from dataclasses import asdict

import click

from batch_transform import terminal
from batch_transform.aws import AwsClients
from batch_transform.command_line import (
    json_option,
    option,
    output_prefix_option,
    queue_url_option,
    region_option,
    results_options,
    run,
)
from batch_transform.job_clean_up import clean_up, find_leftovers
from batch_transform.naming import JobFolder, S3Uri, requested_job_prefix
from batch_transform.request_queue import RequestQueue
from batch_transform.transform_job import (
    describe_job,
    find_job,
    list_jobs,
    running_jobs,
    stop_job,
)
from batch_transform.watching import WatchSettings, show_last_lines, watch


@click.command(help=__doc__)
@option("--list-jobs", "listing", is_flag=True, help="List the newest jobs.")
@option("--max-results", type=click.IntRange(min=1), default=10, help="How many to list.")
@option("--job-name", help="The job to look at.")
@option("--watch", "watching", is_flag=True, help="Follow it, then consolidate its answers.")
@option("--stop", "stopping", is_flag=True, help="Stop it; what is finished stays in S3.")
@option("--partial", "is_partial", is_flag=True, help="With --watch: take the answers there are.")
@option("--clean", "cleaned_job", metavar="JOB", help="Remove a job's packed texts and uploads.")
@option(
    "--s3-bucket",
    "bucket",
    variable="S3_BUCKET_NAME",
    help="With --clean: where the folder lies of a run that never became a job.",
)
@output_prefix_option
@option("--queue", "queue_asked", is_flag=True, help="Show what waits, runs and was set aside.")
@option("--redrive", "message_id", help="Send this dead letter again, once it can succeed.")
@option("--yes", is_flag=True, help="Do not ask before removing or sending.")
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
    yes: bool,
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
        raise click.UsageError("--watch and --stop need --job-name NAME")
    clients = AwsClients(region)
    if queue_asked or message_id:
        _look_after_queue(clients, queue_url, message_id, asks=not yes, as_json=results.as_json)
        return
    if cleaned_job:
        place = S3Uri.parse(output_prefix, bucket=bucket) if bucket else None
        _clean(clients, cleaned_job, place, asks=not yes)
        return
    if listing:
        _show_jobs(clients, max_results, as_json=results.as_json)
        return
    if stopping:
        stop_job(clients.sagemaker, job_name)
        terminal.say(f"asked SageMaker to stop {job_name}")
    if watching:
        watch(clients, job_name, results)
    else:
        _show_job(clients, job_name, as_json=results.as_json)
        if results.shows_logs:
            show_last_lines(clients, job_name)


def _look_after_queue(
    clients: AwsClients, queue_url: str | None, message_id: str | None, *, asks: bool, as_json: bool
) -> None:
    if queue_url is None:
        raise click.UsageError("give --queue-url or set SQS_QUEUE_URL")
    queue = RequestQueue.at(clients.sqs, queue_url)
    if message_id:
        _redrive(queue, message_id, asks=asks)
    else:
        _show_queue(clients, queue, as_json=as_json)


def _show_jobs(clients: AwsClients, max_results: int, *, as_json: bool) -> None:
    jobs = list_jobs(clients.sagemaker, max_results)
    if as_json:
        terminal.print_json(jobs)
    else:
        terminal.print_jobs(jobs)


def _show_job(clients: AwsClients, job_name: str, *, as_json: bool) -> None:
    job = describe_job(clients.sagemaker, job_name)
    if as_json:
        terminal.print_json(terminal.job_as_document(job))
    else:
        terminal.print_job(job)


def _clean(clients: AwsClients, job_name: str, output: S3Uri | None, *, asks: bool) -> None:
    job = find_job(clients.sagemaker, job_name)
    if job is None and output is None:
        raise click.UsageError(
            f"there is no job {job_name}: say with --s3-bucket where its run was"
        )
    folder = JobFolder.of_job(job.output_uri, job_name) if job else JobFolder.of(output, job_name)
    leftovers = find_leftovers(clients.s3, folder, job)
    if asks:
        click.confirm(f"Remove {leftovers} and unfinished uploads?", abort=True, err=True)
    uploads = clean_up(clients.s3, leftovers)
    terminal.say(f"removed {leftovers} and {uploads} unfinished uploads")


def _show_queue(clients: AwsClients, queue: RequestQueue, *, as_json: bool) -> None:
    counts = queue.counts()
    jobs = running_jobs(clients.sagemaker, requested_job_prefix(queue.name))
    dead_letters = list(queue.dead_letters())
    if as_json:
        terminal.print_json(
            {
                "requests": asdict(counts),
                "running_jobs": jobs,
                "dead_letters": [asdict(letter) for letter in dead_letters],
            }
        )
    else:
        terminal.print_queue(counts, jobs, dead_letters)


def _redrive(queue: RequestQueue, message_id: str, *, asks: bool) -> None:
    letter = queue.dead_letter(message_id)
    terminal.say(f"{letter.body}\nwas set aside: {letter.reason or 'received too often'}")
    if asks:
        click.confirm("Send it again?", abort=True, err=True)
    queue.redrive(letter)
    terminal.say("sent again")


if __name__ == "__main__":
    run(main)
