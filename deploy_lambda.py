"""Deploy automatic batch transform (queue, functions, alarms) as one CloudFormation stack."""

import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from batch_transform import terminal
from batch_transform.aws import AwsClients
from batch_transform.command_line import (
    bucket_option,
    image_option,
    input_prefix_option,
    json_option,
    option,
    output_prefix_option,
    region_option,
    role_option,
    run,
    write_to_env_file,
)
from batch_transform.lambda_deployment import DeploymentSettings, plan_deployment, provide
from batch_transform.lambda_stack import Stack

INSTANCE_TYPES = ("ml.g5.xlarge", "ml.g4dn.xlarge", "ml.g6.xlarge", "ml.m5.xlarge", "ml.c5.2xlarge")


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
    default="lambda-code",
    help="Where the functions' code is kept, by content.",
)
@option(
    "--model-path",
    variable="S3_MODEL_PATH",
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
    help="A machine that requests may ask for; give it once for each.",
)
@option("--alarm-topic-arn", default="", help="SNS topic that alarms are sent to.")
@region_option
@option("--dry-run", is_flag=True, help="Show what would change and change nothing.")
@option("--write-env", is_flag=True, help="Write SQS_QUEUE_URL into .env.")
@option("--delete", "deleting", is_flag=True, help="Take the stack down.")
@option("--yes", is_flag=True, help="Do not ask before taking it down.")
@json_option
def main(
    *,
    region: str | None,
    dry_run: bool,
    write_env: bool,
    deleting: bool,
    yes: bool,
    as_json: bool,
    **values: Any,
) -> None:
    """Deploy what changed, or take everything down."""
    clients = AwsClients(region)
    settings = DeploymentSettings(region=clients.region, **values)
    stack = Stack(clients.cloudformation, settings.stack_name, time.sleep)
    if deleting:
        _delete(stack, settings.stack_name, asks=not yes)
        return
    _deploy(clients, stack, settings, dry_run=dry_run)
    if dry_run:
        return
    outputs = stack.outputs()
    if write_env:
        write_to_env_file("SQS_QUEUE_URL", outputs["QueueUrl"])
    if as_json:
        terminal.print_json(outputs)
        return
    for name, value in outputs.items():
        terminal.say(f"{name}: {value}")
    terminal.print_answer(f"SQS_QUEUE_URL={outputs['QueueUrl']}")


def _deploy(
    clients: AwsClients, stack: Stack, settings: DeploymentSettings, *, dry_run: bool
) -> None:
    plan = plan_deployment(clients, settings, Path(__file__).parent)
    name = f"deploy-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    proposed = stack.propose(name, plan.template, plan.parameters)
    terminal.print_changes(proposed.changes if proposed else [])
    with ExitStack() as undo:
        if proposed:
            undo.callback(stack.withdraw, proposed)
        if dry_run:
            return
        provide(clients, plan, terminal.progress)
        undo.pop_all()
    if proposed:
        terminal.show_stack_events(stack.carry_out(proposed))


def _delete(stack: Stack, stack_name: str, *, asks: bool) -> None:
    if asks:
        click.confirm(
            f"Take down {stack_name}, with its queues and the messages in them?",
            abort=True,
            err=True,
        )
    terminal.show_stack_events(stack.take_down())
    terminal.say("kept: the results and the code in S3, and the SageMaker Model")


if __name__ == "__main__":
    run(main)
