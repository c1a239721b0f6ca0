"""The stack's change sets, and what is told when CloudFormation fails."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from batch_transform.errors import AwsRefused, StackFailed, StackGoesOn
from batch_transform.lambda_stack import ChangeSet, Stack
from batch_transform.outages import Patience
from batch_transform.stack_console import take_down

STARTED = datetime(2026, 11, 1, tzinfo=UTC)
STACK_ID = "arn:aws:cloudformation:us-east-1:000000000000:stack/requests/1"
OF_STACK = "AWS::CloudFormation::Stack"
PROPOSED = ChangeSet("deploy", is_new_stack=True, changes=[])


class CloudFormation:
    """CloudFormation whose stack goes through given statuses and events."""

    def __init__(self, statuses: list[str], events: list[tuple[str, str, str]] = ()) -> None:
        self._statuses = statuses
        self._events = [
            {
                "EventId": str(number),
                "Timestamp": STARTED + timedelta(seconds=number),
                "LogicalResourceId": logical_id,
                "ResourceType": OF_STACK if logical_id == "requests" else "AWS::SQS::Queue",
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
            }
            for number, (logical_id, status, reason) in enumerate(events)
        ]
        self._executed = False
        self.refusal = ""
        self.changes: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.failures: dict[str, BaseException] = {}
        self.looks_while_made = 0
        self.looks_before_events = 0

    def describe_stacks(self, **_request: Any) -> dict[str, Any]:
        if self._executed and (outage := self.failures.pop("watching", None)):
            raise outage
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        if status == "missing":
            raise refused("ValidationError", "Stack with id x does not exist")
        return {"Stacks": [{"StackStatus": status, "StackId": STACK_ID}]}

    def get_paginator(self, _name: str) -> Any:
        return self

    def paginate(self, **_request: Any) -> Iterator[dict[str, Any]]:
        is_late = self._executed and self.looks_before_events > 0
        self.looks_before_events -= is_late
        yield {"StackEvents": self._events[::-1] if self._executed and not is_late else []}

    def describe_change_set(self, **request: Any) -> dict[str, Any]:
        self._check(request)
        if self.looks_while_made:
            self.looks_while_made -= 1
            return {"Status": "CREATE_IN_PROGRESS"}
        if self.refusal:
            return {"Status": "FAILED", "StatusReason": self.refusal}
        return {"Status": "CREATE_COMPLETE", "Changes": self.changes}

    def create_change_set(self, **request: Any) -> dict[str, Any]:
        self._check(request)
        if failure := self.failures.get("create_change_set"):
            raise failure
        return {"Id": "arn:change-set", "StackId": STACK_ID}

    def __getattr__(self, name: str) -> Any:
        def call(**request: Any) -> None:
            self._check(request)
            if self.looks_while_made and name == "delete_change_set":
                raise refused("InvalidChangeSetStatus", "it is still being made")
            if failure := self.failures.get(name):
                raise failure
            self.calls.append(name)
            self._executed = True

        return call

    @staticmethod
    def _check(request: dict[str, Any]) -> None:
        assert request["StackName"] in {"requests", STACK_ID}
        assert request.get("ChangeSetName", PROPOSED.name) == PROPOSED.name


def refused(code: str, message: str) -> ClientError:
    """Return an error as CloudFormation answers it."""
    return ClientError({"Error": {"Code": code, "Message": message}}, "ChangeSets")


def stack(cloudformation: CloudFormation) -> Stack:
    """Return a stack whose watcher never sleeps."""
    return watched_by(lambda _seconds: None, cloudformation)


def watched_by(sleep: Callable[[float], None], cloudformation: CloudFormation) -> Stack:
    """Return a stack whose watcher passes the time in *sleep*, and hears of no outage."""
    return Stack(cloudformation, "requests", Patience(tell=pytest.fail, sleep=sleep))


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
            ("requests", "ROLLBACK_COMPLETE", ""),
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
        [("A", "CREATE_IN_PROGRESS", ""), ("requests", "CREATE_COMPLETE", "")],
    )
    told = [event.status for event in stack(cloudformation).carry_out(PROPOSED)]
    assert told == ["CREATE_IN_PROGRESS", "CREATE_COMPLETE"]


@pytest.mark.parametrize("status", ["UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
def test_the_status_before_the_change_is_not_taken_for_its_end(status: str) -> None:
    """CloudFormation may answer with it for a moment: neither a success nor a failure yet."""
    steps = ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"]
    cloudformation = CloudFormation(
        [status, status, status, *steps], [("requests", step, "") for step in steps]
    )
    cloudformation.looks_before_events = 2
    told = [event.status for event in stack(cloudformation).carry_out(PROPOSED)]
    assert told == steps


def test_an_outage_does_not_end_the_watching() -> None:
    """CloudFormation goes on meanwhile; the operator hears of both."""
    told: list[str] = []
    cloudformation = CloudFormation(["UPDATE_COMPLETE"], [("requests", "UPDATE_COMPLETE", "")])
    cloudformation.failures["watching"] = EndpointConnectionError(endpoint_url="https://x")
    patient = Patience(tell=told.append, sleep=lambda _seconds: None)
    steps = list(Stack(cloudformation, "requests", patient).carry_out(PROPOSED))
    assert [step.status for step in steps] == ["UPDATE_COMPLETE"]
    assert "what has begun at AWS goes on" in told[0]


def test_a_stack_that_leaves_no_events_is_gone_all_the_same() -> None:
    """One that held nothing but a proposal, for instance."""
    cloudformation = CloudFormation(["REVIEW_IN_PROGRESS", "DELETE_COMPLETE"])
    assert list(stack(cloudformation).take_down()) == []


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
    cloudformation = CloudFormation(["missing", "REVIEW_IN_PROGRESS"])
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


class InterruptedSleep:
    """A wait that Ctrl-C ends, once or each time."""

    def __init__(self, *, each_time: bool) -> None:
        self._each_time = each_time
        self._waits = 0

    def __call__(self, _seconds: float) -> None:
        self._waits += 1
        if self._each_time or self._waits == 1:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("status", "withdrawn"),
    [
        ("missing", ["delete_change_set", "delete_stack"]),
        ("UPDATE_COMPLETE", ["delete_change_set"]),
    ],
)
def test_a_proposal_interrupted_while_it_is_made_is_withdrawn(
    status: str, withdrawn: list[str]
) -> None:
    """As soon as CloudFormation lets it; of a stack that was there nothing else goes."""
    cloudformation = CloudFormation([status, "REVIEW_IN_PROGRESS"])
    cloudformation.looks_while_made = 3
    interrupted = watched_by(InterruptedSleep(each_time=False), cloudformation)
    with pytest.raises(KeyboardInterrupt):
        interrupted.propose("deploy", "template", {}, {})
    assert cloudformation.calls == withdrawn


def test_a_proposal_whose_answer_was_lost_is_withdrawn() -> None:
    """CloudFormation may hold it though nobody was told; it is known by the name we gave it."""
    cloudformation = CloudFormation(["missing", "REVIEW_IN_PROGRESS"])
    cloudformation.failures["create_change_set"] = EndpointConnectionError(endpoint_url="https://x")
    with pytest.raises(EndpointConnectionError):
        stack(cloudformation).propose("deploy", "template", {}, {})
    assert cloudformation.calls == ["delete_change_set", "delete_stack"]


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        ("missing", "deploy_lambda.py --delete --stack-name requests"),
        ("UPDATE_COMPLETE", "delete-change-set --stack-name requests --change-set-name deploy"),
    ],
)
def test_what_a_second_interrupt_leaves_is_told(status: str, remedy: str) -> None:
    """The operator wants to go, and learns how to remove it."""
    cloudformation = CloudFormation([status])
    cloudformation.looks_while_made = 3
    impatient = watched_by(InterruptedSleep(each_time=True), cloudformation)
    with pytest.raises(StackFailed, match=remedy):
        impatient.propose("deploy", "template", {}, {})


def test_what_was_never_made_is_not_told_to_be_left() -> None:
    """The cause is told instead: CloudFormation said no."""
    cloudformation = CloudFormation(["missing"])
    cloudformation.failures["create_change_set"] = refused("AccessDenied", "not yours")
    with pytest.raises(ClientError, match="not yours"):
        stack(cloudformation).propose("deploy", "template", {}, {})
    assert cloudformation.calls == []


def test_a_change_set_that_is_gone_needs_no_withdrawing() -> None:
    """Another deployment was carried out meanwhile, and took all proposals with it."""
    cloudformation = CloudFormation(["CREATE_COMPLETE"])
    gone = refused("ChangeSetNotFound", "ChangeSet [deploy] does not exist")
    cloudformation.failures["delete_change_set"] = gone
    stack(cloudformation).withdraw(PROPOSED)
    assert cloudformation.calls == []


def test_a_stack_that_somebody_else_made_meanwhile_is_not_deleted() -> None:
    """Two deployed at once; the one who gives up must not take down what the other made."""
    cloudformation = CloudFormation(["CREATE_IN_PROGRESS"])
    stack(cloudformation).withdraw(PROPOSED)
    assert cloudformation.calls == ["delete_change_set"]


def test_who_stops_watching_learns_that_cloudformation_goes_on() -> None:
    """Ctrl-C takes nothing back once the stack is being changed."""
    cloudformation = CloudFormation(["DELETE_IN_PROGRESS"])
    watched = watched_by(InterruptedSleep(each_time=False), cloudformation)
    with pytest.raises(StackGoesOn, match="CloudFormation has begun of requests goes on"):
        take_down(watched, confirm=lambda _question: None)
    assert cloudformation.calls == ["delete_stack"]


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("ROLLBACK_COMPLETE", "--delete"),
        ("DELETE_FAILED", "--delete"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        ("UPDATE_IN_PROGRESS", "wait until it is not"),
    ],
)
def test_a_stack_that_cannot_be_changed_says_so_first(status: str, told: str) -> None:
    """CloudFormation's own words for it name no remedy."""
    with pytest.raises(AwsRefused, match=f"{status}.*{told}"):
        stack(CloudFormation([status])).propose("deploy", "template", {}, {})
