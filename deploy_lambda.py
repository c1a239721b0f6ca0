"""Deploy automatic batch transform (queue, functions, alarms) as one CloudFormation stack."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from batch_transform import terminal
from batch_transform.aws import AwsClients
from batch_transform.command_line import (
    LOCATION,
    bucket_option,
    confirm_option,
    image_option,
    input_prefix_option,
    json_option,
    option,
    output_prefix_option,
    region_option,
    role_option,
    run,
    tag_option,
    write_to_env_file,
)
from batch_transform.lambda_deployment import DeploymentSettings, plan_deployment
from batch_transform.lambda_stack import Stack
from batch_transform.outages import Patience
from batch_transform.stack_console import deploy, print_outputs, show_changes, take_down

INSTANCE_TYPES = ("ml.g5.xlarge", "ml.g4dn.xlarge", "ml.g6.xlarge", "ml.m5.xlarge", "ml.c5.2xlarge")


def _need_no_more(context: click.Context, _parameter: click.Parameter, deleting: bool) -> bool:
    """Require for deleting nothing of what only deploying needs."""
    if deleting:
        for parameter in context.command.params:
            parameter.required = False
    return deleting


@click.command(help=__doc__)
@bucket_option
@option(
    "--stack-name",
    variable="LAMBDA_STACK_NAME",
    default="batch-transform-lambda-stack",
    help="Name of the stack.",
)
@option(
    "--s3-prefix",
    "code_prefix",
    variable="LAMBDA_CODE_PREFIX",
    type=LOCATION,
    default="lambda-code",
    help="Where the functions' code is kept, by content.",
)
@option(
    "--model-path",
    variable="S3_MODEL_PATH",
    type=LOCATION,
    default="models/",
    help="Model artifact in S3: s3://… or its key; a folder (…/) gets ./model.tar.gz, by content.",
)
@input_prefix_option
@output_prefix_option
@image_option
@role_option
@option(
    "--queue-name",
    variable="SQS_QUEUE_NAME",
    default="batch-transform-queue",
    help="Name of the queue that takes requests.",
)
@option(
    "--lambda-name",
    variable="LAMBDA_FUNCTION_NAME",
    default="batch-transform-lambda",
    help="Name of the function that starts jobs.",
)
@option(
    "--instance-type",
    "instance_types",
    multiple=True,
    default=INSTANCE_TYPES,
    help="A machine that requests may ask for; give it once for each, the preferred one first.",
)
@option(
    "--kms-key-id", help="KMS key, by its ARN, of the buckets and of everything the jobs write."
)
@option("--alarm-topic-arn", default="", help="SNS topic that alarms are sent to.")
@tag_option(help="Tag of the stack, its jobs and their files in S3; give it once for each.")
@region_option
@option("--dry-run", is_flag=True, help="Show what would change and change nothing.")
@option("--write-env", is_flag=True, help="Write SQS_QUEUE_URL into .env.")
@option(
    "--delete",
    "deleting",
    is_flag=True,
    is_eager=True,
    callback=_need_no_more,
    help="Take the stack down.",
)
@confirm_option
@json_option
def main(
    *,
    stack_name: str,
    region: str | None,
    dry_run: bool,
    write_env: bool,
    deleting: bool,
    confirm: Callable[[str], None],
    as_json: bool,
    **values: Any,
) -> None:
    """Deploy what changed, or take everything down."""
    if deleting and dry_run:
        raise click.UsageError("--dry-run shows what deploying would change: leave out --delete")
    clients = AwsClients(region, values["kms_key_id"], values["tags"])
    stack = Stack(clients.cloudformation, stack_name, Patience(tell=terminal.say))
    if deleting:
        take_down(stack, confirm)
        return
    settings = DeploymentSettings(region=clients.region, **values)
    plan = plan_deployment(clients, settings, Path(__file__).parent)
    if dry_run:
        show_changes(stack, plan, as_json=as_json)
        return
    deploy(clients, stack, plan, confirm)
    outputs = stack.outputs()
    print_outputs(outputs, as_json=as_json)
    if write_env:
        write_to_env_file("SQS_QUEUE_URL", outputs["QueueUrl"])


if __name__ == "__main__":
    run(main)
