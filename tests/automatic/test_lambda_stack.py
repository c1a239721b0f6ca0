"""The stack's change sets, and what is told when CloudFormation fails."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from batch_transform.errors import AwsRefused, StackFailed
from batch_transform.lambda_stack import ChangeSet, Stack

STARTED = datetime(2026, 11, 1, tzinfo=UTC)
STACK_ID = "arn:aws:cloudformation:us-east-1:000000000000:stack/requests/1"
PROPOSED = ChangeSet("arn:change-set", STACK_ID, is_new_stack=True, changes=[])


class CloudFormation:
    """CloudFormation whose stack goes through given statuses and events."""

    def __init__(self, statuses: list[str], events: list[tuple[str, str, str]] = ()) -> None:
        self._statuses = statuses
        self._events = [
            {
                "EventId": str(number),
                "Timestamp": STARTED + timedelta(seconds=number),
                "LogicalResourceId": logical_id,
                "ResourceType": "AWS::SQS::Queue",
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
            }
            for number, (logical_id, status, reason) in enumerate(events)
        ]
        self._executed = False
        self.refusal = ""
        self.changes: list[dict[str, Any]] = []
        self.calls: list[str] = []

    def describe_stacks(self, **_request: Any) -> dict[str, Any]:
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        if status == "missing":
            error = {"Code": "ValidationError", "Message": "Stack with id x does not exist"}
            raise ClientError({"Error": error}, "DescribeStacks")
        return {"Stacks": [{"StackStatus": status, "StackId": STACK_ID}]}

    def get_paginator(self, _name: str) -> Any:
        return self

    def paginate(self, **_request: Any) -> Iterator[dict[str, Any]]:
        yield {"StackEvents": self._events[::-1] if self._executed else []}

    def describe_change_set(self, **_request: Any) -> dict[str, Any]:
        if self.refusal:
            return {"Status": "FAILED", "StatusReason": self.refusal}
        return {"Status": "CREATE_COMPLETE", "Changes": self.changes}

    def create_change_set(self, **_request: Any) -> dict[str, Any]:
        return {"Id": PROPOSED.arn, "StackId": STACK_ID}

    def __getattr__(self, name: str) -> Any:
        def call(**_request: Any) -> None:
            self.calls.append(name)
            self._executed = True

        return call


def stack(cloudformation: CloudFormation) -> Stack:
    """Return a stack that never sleeps."""
    return Stack(cloudformation, "requests", sleep=lambda _seconds: None)


def test_a_failed_stack_tells_the_first_cause_and_not_the_last_symptom() -> None:
    """What was cancelled and what could not be rolled back came of the one resource that failed."""
    cloudformation = CloudFormation(
        ["CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE"],
        [
            ("RequestQueue", "CREATE_IN_PROGRESS", ""),
            ("RequestRole", "CREATE_FAILED", "Resource creation cancelled"),
            ("RequestQueue", "CREATE_FAILED", "the queue name is taken"),
            ("requests", "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: …"),
            ("RequestLogs", "DELETE_FAILED", "something else"),
        ],
    )
    with pytest.raises(StackFailed) as failed:
        list(stack(cloudformation).carry_out(PROPOSED))
    assert str(failed.value) == (
        "the stack requests ended as ROLLBACK_COMPLETE, because RequestQueue (AWS::SQS::Queue) is "
        "CREATE_FAILED: the queue name is taken"
    )


def test_every_event_is_told_once_in_order() -> None:
    """The events of each look hold those of the look before."""
    cloudformation = CloudFormation(
        ["CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"],
        [("A", "CREATE_IN_PROGRESS", ""), ("A", "CREATE_COMPLETE", "")],
    )
    told = [event.status for event in stack(cloudformation).carry_out(PROPOSED)]
    assert told == ["CREATE_IN_PROGRESS", "CREATE_COMPLETE"]


@pytest.mark.parametrize(
    "refusal",
    [
        "The submitted information didn't contain changes. Submit different information.",
        "No updates are to be performed.",
    ],
)
def test_no_changes_are_a_success(refusal: str) -> None:
    """CloudFormation calls the change set failed; there is nothing to do, and nothing is left."""
    cloudformation = CloudFormation(["CREATE_COMPLETE"])
    cloudformation.refusal = refusal
    assert stack(cloudformation).propose("deploy", "template", {}, {}) is None
    assert cloudformation.calls == ["delete_change_set"]


def test_a_refused_change_set_says_why() -> None:
    """Any other failure of a change set is one."""
    cloudformation = CloudFormation(["missing"])
    cloudformation.refusal = "Template error: x"
    with pytest.raises(StackFailed, match="Template error: x"):
        stack(cloudformation).propose("deploy", "template", {}, {})
    assert cloudformation.calls == ["delete_change_set", "delete_stack"]


@pytest.mark.parametrize(
    ("change", "may_lose_content"),
    [
        ({"Action": "Add"}, False),
        ({"Action": "Modify", "Replacement": "False"}, False),
        ({"Action": "Modify", "Replacement": "True"}, True),
        ({"Action": "Modify", "Replacement": "Conditional"}, True),
        ({"Action": "Remove"}, True),
    ],
)
def test_a_change_tells_whether_content_may_be_lost(
    change: dict[str, str], may_lose_content: bool
) -> None:
    """Where CloudFormation itself cannot tell beforehand, it may."""
    cloudformation = CloudFormation(["CREATE_COMPLETE"])
    resource = {"LogicalResourceId": "RequestQueue", "ResourceType": "AWS::SQS::Queue"}
    cloudformation.changes = [{"ResourceChange": resource | change}]
    [told] = stack(cloudformation).propose("deploy", "template", {}, {}).changes
    assert told.may_lose_content == may_lose_content


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "DELETE_FAILED", "UPDATE_IN_PROGRESS"])
def test_a_stack_that_cannot_be_changed_says_so_first(status: str) -> None:
    """CloudFormation's own words for it name no remedy."""
    with pytest.raises(AwsRefused, match=status):
        stack(CloudFormation([status])).propose("deploy", "template", {}, {})
