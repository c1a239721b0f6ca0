"""List transform jobs, look at one, follow it to its results, or stop it."""

from pathlib import Path

import click

from batch_transform import terminal
from batch_transform.aws import AwsClients
from batch_transform.command_line import (
    download_option,
    json_option,
    option,
    region_option,
    run,
    watch,
)
from batch_transform.transform_job import describe_job, list_jobs, stop_job


@click.command(help=__doc__)
@option("--list-jobs", "listing", is_flag=True, help="List the newest jobs.")
@option("--max-results", type=click.IntRange(min=1), default=10, help="How many to list.")
@option("--job-name", help="The job to look at.")
@option("--watch", "watching", is_flag=True, help="Follow it, then consolidate its answers.")
@option("--stop", "stopping", is_flag=True, help="Stop it; what is finished stays in S3.")
@download_option
@region_option
@json_option
def main(
    *,
    listing: bool,
    max_results: int,
    job_name: str | None,
    watching: bool,
    stopping: bool,
    download_to: Path | None,
    region: str | None,
    as_json: bool,
) -> None:
    """Do one of the things the flags name."""
    if listing == bool(job_name):
        raise click.UsageError("give either --list-jobs or --job-name NAME")
    clients = AwsClients(region)
    if listing:
        _show_jobs(clients, max_results, as_json=as_json)
        return
    if stopping:
        stop_job(clients.sagemaker, job_name)
        terminal.say(f"asked SageMaker to stop {job_name}")
    if watching:
        watch(clients, job_name, as_json=as_json, download_to=download_to)
    else:
        _show_job(clients, job_name, as_json=as_json)


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


if __name__ == "__main__":
    run(main)
