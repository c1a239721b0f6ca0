"""
One CloudFormation stack by change sets: propose, carry out, follow, read, take down.

Knows CloudFormation; knows nothing of what the template holds. The client and the patience to
watch are arguments.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from botocore.exceptions import ClientError

from batch_transform.aws import AwsError, error_code
from batch_transform.errors import AwsRefused, StackFailed
from batch_transform.outages import Patience
from batch_transform.tags import tag_list

_POLL_IN_SECONDS = 1.0
_CAPABILITIES = ["CAPABILITY_IAM"]
_NO_CHANGES = re.compile(r"didn't contain changes|no updates are to be performed", re.IGNORECASE)
_CONSEQUENCE = re.compile(r"cancelled|^the following resource", re.IGNORECASE)


@dataclass(frozen=True)
class ResourceChange:
    """
    What a change set would do to one resource: `Add`, `Modify`, `Remove` …

    *replacement* is `True`, `False`, or `Conditional` where only carrying it out can tell.
    """

    action: str
    logical_id: str
    resource_type: str
    replacement: str = "False"

    @property
    def may_lose_content(self) -> bool:
        """Tell whether what the resource holds, such as messages, may be gone afterwards."""
        return self.action == "Remove" or self.replacement != "False"


@dataclass(frozen=True)
class ChangeSet:
    """A proposal that CloudFormation holds and has not carried out, by the name we gave it."""

    name: str
    is_new_stack: bool
    changes: list[ResourceChange]


@dataclass(frozen=True)
class StackEvent:
    """One step of CloudFormation's."""

    event_id: str
    time: datetime
    logical_id: str
    resource_type: str
    status: str
    reason: str

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> Self:
        """Read one entry of a DescribeStackEvents answer."""
        return cls(
            event_id=description["EventId"],
            time=description["Timestamp"],
            logical_id=description["LogicalResourceId"],
            resource_type=description["ResourceType"],
            status=description["ResourceStatus"],
            reason=description.get("ResourceStatusReason", ""),
        )

    @property
    def is_done(self) -> bool:
        """Tell whether the step has ended, well or not."""
        return not self.status.endswith("_IN_PROGRESS")

    @property
    def is_of_stack(self) -> bool:
        """Tell whether this is a step of a stack, not of one of its resources."""
        return self.resource_type == "AWS::CloudFormation::Stack"

    @property
    def is_cause(self) -> bool:
        """Tell whether this step failed by itself, not because another had failed."""
        return self.status.endswith("_FAILED") and not _CONSEQUENCE.search(self.reason)


class Stack:
    """A stack, by its name."""

    def __init__(self, cloudformation: Any, name: str, patience: Patience) -> None:
        self._cloudformation = cloudformation
        self.name = name
        self._patience = patience

    def propose(
        self,
        change_set_name: str,
        template: str,
        parameters: Mapping[str, str],
        tags: Mapping[str, str],
    ) -> ChangeSet | None:
        """
        Return what would change, or None where nothing would.

        Nothing is changed yet, but the proposal stays until it is carried out or withdrawn. What
        ends this early, Ctrl-C included, withdraws it. CloudFormation puts the *tags* on the stack
        and on every resource that can bear them.
        """
        proposed = ChangeSet(change_set_name, self._check_can_change(), changes=[])
        request = {
            "StackName": self.name,
            "ChangeSetName": proposed.name,
            "ChangeSetType": "CREATE" if proposed.is_new_stack else "UPDATE",
            "TemplateBody": template,
            "Parameters": [
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in parameters.items()
            ],
            "Capabilities": _CAPABILITIES,
            "Tags": tag_list(tags),  # sent even if empty: without them the stack would keep its old
        }
        with ExitStack() as undo:
            undo.callback(self.withdraw, proposed)
            try:
                self._cloudformation.create_change_set(**request)
            except ClientError:
                undo.pop_all()  # refused: there is nothing to withdraw
                raise
            description = self._await_change_set(proposed)
            if description["Status"] == "CREATE_COMPLETE":
                undo.pop_all()
                return replace(proposed, changes=_changes(description))
        reason = description.get("StatusReason", "")
        if _NO_CHANGES.search(reason):
            return None
        raise StackFailed(f"CloudFormation refused the change set of {self.name}: {reason}")

    def withdraw(self, change_set: ChangeSet) -> None:
        """
        Forget a proposal, and the empty stack that was made to hold it.

        Raises StackFailed, which says what is left, where that cannot be done.
        """
        try:
            self._await_change_set(change_set)  # one that is still being made cannot be deleted
            self._cloudformation.delete_change_set(
                StackName=self.name, ChangeSetName=change_set.name
            )
            if change_set.is_new_stack and self._status() == "REVIEW_IN_PROGRESS":
                self._cloudformation.delete_stack(StackName=self.name)
        except (*AwsError, KeyboardInterrupt) as error:
            if _is_missing(error):
                return
            raise StackFailed(self._left(change_set, error)) from error

    def carry_out(self, change_set: ChangeSet) -> Iterator[StackEvent]:
        """Make the changes and yield each step; raise StackFailed with the first cause."""
        stack_id = self._existing()["StackId"]
        before = {event.event_id for event in self._events(stack_id)}
        self._cloudformation.execute_change_set(StackName=self.name, ChangeSetName=change_set.name)
        yield from self._follow(stack_id, before)

    def take_down(self) -> Iterator[StackEvent]:
        """Delete the stack and yield each step; raise AwsRefused where there is none."""
        stack_id = self._existing()["StackId"]
        before = {event.event_id for event in self._events(stack_id)}
        self._cloudformation.delete_stack(StackName=stack_id)
        yield from self._follow(stack_id, before)

    def outputs(self) -> dict[str, str]:
        """Return the outputs of the stack; raise AwsRefused where there is none."""
        outputs = self._existing().get("Outputs", [])
        return {each["OutputKey"]: each["OutputValue"] for each in outputs}

    def _existing(self) -> dict[str, Any]:
        description = self._describe(self.name)
        if description is None:
            raise AwsRefused(f"there is no stack {self.name} in this region: check AWS_REGION")
        return description

    def _check_can_change(self) -> bool:
        """Return whether the stack is yet to be made; raise AwsRefused where it cannot be."""
        status = self._status()
        if status in {"DELETE_COMPLETE", "REVIEW_IN_PROGRESS"}:
            return True
        if status == "UPDATE_ROLLBACK_FAILED":
            raise AwsRefused(
                f"the stack {self.name} is {status}: mend what its last event names, then let it "
                f"go back with aws cloudformation continue-update-rollback --stack-name {self.name}"
            )
        if status in {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}:
            raise AwsRefused(
                f"the stack {self.name} is {status}, which CloudFormation cannot update: take it "
                "down with deploy_lambda.py --delete, then deploy again"
            )
        if status.endswith("_IN_PROGRESS"):
            raise AwsRefused(f"the stack {self.name} is {status}: wait until it is not")
        return False

    def _await_change_set(self, change_set: ChangeSet) -> dict[str, Any]:
        while True:
            description = self._cloudformation.describe_change_set(
                StackName=self.name, ChangeSetName=change_set.name
            )
            if description["Status"] not in {"CREATE_PENDING", "CREATE_IN_PROGRESS"}:
                return description
            self._patience.sleep(_POLL_IN_SECONDS)

    def _follow(self, stack_id: str, seen: set[str]) -> Iterator[StackEvent]:
        """
        Yield each event that was not *seen*; raise StackFailed where the change ends badly.

        DescribeStacks may still answer with the status before the change: another than
        DELETE_COMPLETE, which nothing follows, is believed once an event has told it.
        """
        cause, told = None, {"DELETE_COMPLETE"}
        while True:
            status, events = self._patience.outlast(lambda: self._look(stack_id))
            for event in events:
                if event.event_id not in seen:
                    seen.add(event.event_id)
                    cause = cause or (event if event.is_cause else None)
                    if event.is_of_stack:
                        told.add(event.status)
                    yield event
            if status in told and not status.endswith("_IN_PROGRESS"):
                break
            self._patience.sleep(_POLL_IN_SECONDS)
        if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE"}:
            raise StackFailed(_failure(self.name, status, cause))

    def _look(self, stack_id: str) -> tuple[str, list[StackEvent]]:
        """Return status and events, in this order: once it is final, they are complete."""
        return _status_in(self._describe(stack_id)), self._events(stack_id)

    def _left(self, change_set: ChangeSet, error: BaseException) -> str:
        remedy = (
            f"python deploy_lambda.py --delete --stack-name {self.name}"
            if change_set.is_new_stack
            else f"aws cloudformation delete-change-set --stack-name {self.name} "
            f"--change-set-name {change_set.name}"
        )
        return (
            f"the change set {change_set.name} of {self.name} could not be withdrawn ({error!r}) "
            f"and may be left, though it changes nothing by itself. Remove it: {remedy}"
        )

    def _status(self) -> str:
        return _status_in(self._describe(self.name))

    def _describe(self, name: str) -> dict[str, Any] | None:
        try:
            return self._cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if _is_missing(error):
                return None
            raise

    def _events(self, stack_id: str) -> list[StackEvent]:
        """Return all events of a stack, the oldest first."""
        pages = self._cloudformation.get_paginator("describe_stack_events")
        newest_first = [
            StackEvent.from_description(description)
            for page in pages.paginate(StackName=stack_id)
            for description in page["StackEvents"]
        ]
        return newest_first[::-1]


def _status_in(description: Mapping[str, Any] | None) -> str:
    return description["StackStatus"] if description else "DELETE_COMPLETE"


def _is_missing(error: BaseException) -> bool:
    """Tell whether CloudFormation says that there is no such stack, or no such change set."""
    if not isinstance(error, ClientError):
        return False
    is_missing = "does not exist" in error.response["Error"].get("Message", "")
    return is_missing or error_code(error).startswith("ChangeSetNotFound")


def _changes(description: dict[str, Any]) -> list[ResourceChange]:
    changes = [change["ResourceChange"] for change in description["Changes"]]
    return [
        ResourceChange(
            action=change["Action"],
            logical_id=change["LogicalResourceId"],
            resource_type=change["ResourceType"],
            replacement=change.get("Replacement", "False"),
        )
        for change in changes
    ]


def _failure(name: str, status: str, cause: StackEvent | None) -> str:
    if cause is None:
        return f"the stack {name} ended as {status}; CloudFormation's events name no cause"
    return (
        f"the stack {name} ended as {status}, because {cause.logical_id} "
        f"({cause.resource_type}) is {cause.status}: {cause.reason or 'no reason was given'}"
    )
