"""
The queue as an operator sees it on a terminal: what waits, what was set aside, what became of one.

Knows what is asked and told; the queue itself, the jobs and the results are next door.
"""

from collections.abc import Callable
from dataclasses import asdict

from batch_transform import terminal
from batch_transform.aws import AwsClients, AwsError, explain
from batch_transform.errors import JobMayRun
from batch_transform.naming import requested_job_prefix
from batch_transform.outages import Patience
from batch_transform.request_queue import RequestQueue
from batch_transform.sent_request import SentRequest, await_job, await_results
from batch_transform.transform_job import check_completed, running_jobs
from batch_transform.watching import follow


def show_queue(clients: AwsClients, queue: RequestQueue, *, as_json: bool) -> None:
    """Print what waits, what runs and what was set aside."""
    counts = queue.counts()
    jobs = running_jobs(clients.sagemaker, requested_job_prefix(queue.name))
    dead_letters = queue.dead_letters()
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


def redrive(queue: RequestQueue, message_id: str, confirm: Callable[[str], None]) -> None:
    """Show a dead letter and send it again, if that is confirmed."""
    letter = queue.dead_letter(message_id)
    terminal.say(f"{letter.body}\nwas set aside: {letter.reason or 'received too often'}")
    confirm("Send it again?")
    queue.redrive(message_id)
    terminal.say("sent again")


def follow_request(
    clients: AwsClients, queue: RequestQueue, sent: SentRequest, *, as_json: bool
) -> None:
    """Wait for a request's job and its results and print them; raise where it is not completed."""
    terminal.say(f"waiting for the job {sent.job_name}")
    patience = Patience(tell=terminal.say)
    try:
        await_job(clients.sagemaker, queue, sent, patience)
        job = follow(clients, sent.job_name, patience)
        summary = await_results(clients.s3, job, patience)
    except KeyboardInterrupt:
        raise JobMayRun(_stands(sent)) from None
    except AwsError as error:
        raise JobMayRun(f"{explain(error)}\n{_stands(sent)}") from error
    if as_json:
        terminal.print_json(summary)
    elif "classes" in summary:
        terminal.print_summary(summary)
    else:
        terminal.print_job(job)
    check_completed(job)


def _stands(sent: SentRequest) -> str:
    status_script = "python check_batch_transform_status.py"
    return (
        f"no longer waiting; the request {sent.message.request_id} stands, and so does its job.\n"
        f"see whether it waits: {status_script} --queue\n"
        f"follow its job:       {status_script} --job-name {sent.job_name} --watch"
    )
