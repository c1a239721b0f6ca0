"""Ask the automatic deployment for a job: one message into its queue."""

from datetime import UTC, datetime

import click

from batch_transform import terminal
from batch_transform.aws import AwsClients
from batch_transform.command_line import (
    LOCATION,
    instance_count_option,
    json_option,
    option,
    queue_url_option,
    region_option,
    run,
)
from batch_transform.input_documents import find_input
from batch_transform.naming import S3Uri
from batch_transform.queue_console import follow_request
from batch_transform.request_queue import RequestQueue
from batch_transform.sent_request import send_request
from batch_transform.transform_message import TransformMessage, check_message, new_request_id
from batch_transform.transform_profiles import OPTIMIZED, PROFILES


@click.command(help=__doc__)
@queue_url_option(required=True)
@option(
    "--input-path",
    type=LOCATION,
    required=True,
    help="Text files: s3://bucket/prefix, or one object.",
)
@option("--output-path", type=LOCATION, help="s3://bucket/prefix. [default: the deployment's own]")
@option(
    "--instance-type",
    variable="SAGEMAKER_INSTANCE_TYPE",
    help="Machine to rent. [default: the deployment's first for the profile]",
)
@instance_count_option
@option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    default=OPTIMIZED.name,
    help="How the job runs.",
)
@option("--request-id", help="Sent twice, it starts one job. [default: made of the time]")
@region_option
@option("--wait", "waiting", is_flag=True, help="Follow the job to its results.")
@json_option
def main(
    *,
    queue_url: str,
    request_id: str | None,
    region: str | None,
    waiting: bool,
    as_json: bool,
    **values: str | int | None,
) -> None:
    """Check that there is input, send the request, and follow it if asked."""
    clients = AwsClients(region)
    request_id = request_id or new_request_id(datetime.now(UTC))
    message = TransformMessage(request_id=request_id, **values)
    check_message(message)
    found = find_input(clients.s3, S3Uri.parse(message.input_path))
    queue = RequestQueue.at(clients.sqs, queue_url)
    sent = send_request(queue, message)
    terminal.say(f"sent the request {request_id}; files in {found.uri}: {len(found.files)}")
    if waiting:
        follow_request(clients, queue, sent, as_json=as_json)
    elif as_json:
        ids = {"message_id": sent.message_id, "job_name": sent.job_name}
        terminal.print_json({"request_id": request_id} | ids)
    else:
        terminal.print_answer(sent.job_name)


if __name__ == "__main__":
    run(main)
