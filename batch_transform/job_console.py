"""
Jobs as an operator sees them on a terminal: the newest, one of them, and what one has left behind.

Knows what is asked and told; a job is followed to its results next door, in watching.py.
"""

from collections.abc import Callable

from batch_transform import terminal
from batch_transform.aws import AwsClients
from batch_transform.errors import InvalidSettings
from batch_transform.job_clean_up import clean_up, find_leftovers
from batch_transform.naming import JobFolder, S3Uri
from batch_transform.transform_job import describe_job, find_job, list_jobs


def show_jobs(clients: AwsClients, max_results: int, *, as_json: bool) -> None:
    """Print the newest jobs."""
    jobs = list_jobs(clients.sagemaker, max_results)
    if as_json:
        terminal.print_json(jobs)
    else:
        terminal.print_jobs(jobs)


def show_job(clients: AwsClients, job_name: str, *, as_json: bool) -> None:
    """Print one job."""
    job = describe_job(clients.sagemaker, job_name)
    if as_json:
        terminal.print_json(terminal.job_as_document(job))
    else:
        terminal.print_job(job)


def clean(
    clients: AwsClients, job_name: str, output: S3Uri | None, confirm: Callable[[str], None]
) -> None:
    """
    Remove what a job, or the run that was to become one, has left; show it first.

    *output* is the prefix below which a run had its folder that never became a job.
    """
    job = find_job(clients.sagemaker, job_name)
    if job is None and output is None:
        missing = f"there is no job {job_name}: say with --s3-bucket where its run was"
        raise InvalidSettings([missing])
    folder = JobFolder.of_job(job.output_uri, job_name) if job else JobFolder.of(output, job_name)
    leftovers = find_leftovers(clients, folder, job)
    if leftovers.is_nothing:
        terminal.say(f"nothing to remove: {job_name} has left no packed texts and no uploads")
        return
    confirm(f"Remove {leftovers}?")
    clean_up(clients.s3, leftovers)
    terminal.say(f"removed {leftovers}")
