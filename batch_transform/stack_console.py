"""
Deploying as an operator sees it on a terminal: what would change, each step, what was taken down.

Knows what is asked and told, and in which order; how a stack is made is next door.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime

from batch_transform import terminal
from batch_transform.aws import AwsClients
from batch_transform.errors import StackGoesOn
from batch_transform.lambda_deployment import DeploymentPlan, provide
from batch_transform.lambda_stack import ChangeSet, ResourceChange, Stack, StackEvent

_QUEUE = "AWS::SQS::Queue"

Confirm = Callable[[str], None]


def show_changes(stack: Stack, plan: DeploymentPlan, *, as_json: bool) -> None:
    """Show what deploying would change, and change nothing: the proposal is withdrawn."""
    proposed = _propose(stack, plan)
    if proposed:
        stack.withdraw(proposed)
    if as_json:
        terminal.print_json([asdict(change) for change in proposed.changes] if proposed else [])


def deploy(clients: AwsClients, stack: Stack, plan: DeploymentPlan, confirm: Confirm) -> None:
    """
    Show what changes and change it.

    What costs messages is to be confirmed. Whatever ends this before the stack is changed, the
    proposed changes are withdrawn.
    """
    proposed = _propose(stack, plan)
    with ExitStack() as undo:
        if proposed:
            undo.callback(stack.withdraw, proposed)
            _confirm_losses(proposed, confirm)
        provide(clients, plan, terminal.progress)
        undo.pop_all()
    if proposed:
        _show(stack.name, stack.carry_out(proposed))


def take_down(stack: Stack, confirm: Confirm) -> None:
    """Take the stack down, if that is confirmed."""
    confirm(f"Take down {stack.name}, with its queues and the messages in them?")
    _show(stack.name, stack.take_down())
    terminal.say("kept: the results and the code in S3, and the SageMaker Model")


def print_outputs(outputs: Mapping[str, str], *, as_json: bool) -> None:
    """Tell what the stack offers; the answer is the line for `.env`."""
    if as_json:
        terminal.print_json(outputs)
        return
    for name, value in outputs.items():
        terminal.say(f"{name}: {value}")
    terminal.print_answer(f"SQS_QUEUE_URL={outputs['QueueUrl']}")


def _propose(stack: Stack, plan: DeploymentPlan) -> ChangeSet | None:
    for remark in plan.remarks():
        terminal.say(remark)
    name = f"deploy-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"  # CloudFormation takes a name once
    proposed = stack.propose(name, plan.template, plan.parameters, plan.tags)
    terminal.print_changes(proposed.changes if proposed else [])
    return proposed


def _confirm_losses(proposed: ChangeSet, confirm: Confirm) -> None:
    if lost := [each.logical_id for each in proposed.changes if _loses_messages(each)]:
        confirm(
            f"This takes down {', '.join(lost)} with the messages in them, and jobs that run "
            "now will not be consolidated by the stack. Go on?"
        )


def _show(stack_name: str, events: Iterator[StackEvent]) -> None:
    try:
        terminal.show_stack_events(events)
    except KeyboardInterrupt:
        raise StackGoesOn(
            f"no longer watching; what CloudFormation has begun of {stack_name} goes on. Give the "
            "same command again in some minutes: it tells what became of it"
        ) from None


def _loses_messages(change: ResourceChange) -> bool:
    return change.resource_type == _QUEUE and change.may_lose_content
