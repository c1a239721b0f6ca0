"""The message: what it must hold, what it may hold, and what a stack refuses."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_transform.errors import RefusedRequest
from batch_transform.naming import requested_job_name
from batch_transform.service_contract import violations
from batch_transform.transform_message import AcceptedRequests, TransformMessage

INPUT = "s3://legal-documents/input/a/"
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def message(**fields: object) -> str:
    """Return a message's body."""
    return json.dumps({"input_path": INPUT} | fields)


def test_only_the_input_is_required(accepted: AcceptedRequests) -> None:
    """Whatever a message leaves open is filled in."""
    job = accepted.job(TransformMessage.from_json(message()), "from-sqs")
    assert (job.profile.name, job.instance_type, job.instance_count) == (
        "optimized",
        "ml.g5.xlarge",
        1,
    )
    assert str(job.output_uri) == "s3://legal-documents/output/"
    assert job.job_name.endswith("-from-sqs")


@pytest.mark.parametrize(
    ("allowed", "profile", "taken"),
    [
        (("ml.m5.xlarge", "ml.g6.xlarge", "ml.g5.xlarge"), "optimized", "ml.g6.xlarge"),
        (("ml.g5.xlarge", "ml.c5.2xlarge", "ml.m5.xlarge"), "standard", "ml.c5.2xlarge"),
        (("ml.c7i.xlarge", "ml.m5.xlarge"), "optimized", "ml.c7i.xlarge"),
        (("ml.g6.xlarge",), "standard", "ml.g6.xlarge"),
    ],
)
def test_a_message_without_a_machine_gets_the_stacks_first_of_its_kind(
    accepted: AcceptedRequests, allowed: tuple[str, ...], profile: str, taken: str
) -> None:
    """Whatever machines a stack allows, a message that leaves them open can be carried out."""
    stack = replace(accepted, instance_types=allowed)
    asked = TransformMessage.from_json(message(profile=profile))
    assert stack.job(asked, "an-id").instance_type == taken


def test_two_ways_to_say_the_same_are_one_request() -> None:
    """The format's own defaults may be said or not; what a stack fills in counts as not said."""
    bare = TransformMessage.from_json(message())
    said = TransformMessage.from_json(message(profile="optimized", instance_count=1))
    chosen = TransformMessage.from_json(message(instance_type="ml.g5.xlarge"))
    assert bare.digest == said.digest != chosen.digest


def test_the_whole_input_folder_may_be_named_without_its_slash(accepted: AcceptedRequests) -> None:
    """The function may list the folder, not the bare word with which it begins."""
    bare = str(accepted.input_folder).removesuffix("/")
    job = accepted.job(TransformMessage.from_json(message(input_path=bare)), "from-sqs")
    assert job.input_uri == accepted.input_folder


def test_a_message_survives_its_own_json() -> None:
    """What is sent is what is read."""
    sent = TransformMessage(INPUT, instance_count=3, profile="standard", request_id="a-1")
    assert TransformMessage.from_json(sent.to_json()) == sent


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("nonsense", "not JSON"),
        ("[]", "JSON list"),
        ("NaN", "JSON float"),
        ("[" * 30_000, "not JSON"),
        (f'{{"instance_count": {"9" * 5000}}}', "not JSON"),
        (message(instance_count=10**40), f"instance_count: got {10**40}"),
        (message(instance_count=float("nan")), "instance_count: got NaN"),
        (message()[:-1] + ', "input_path": "s3://b/x"}', "given more than once: input_path"),
        (message(input_path="s3://b/\ud83d"), 'got "s3://b/\\ud83d", which holds half a character'),
        ("{}", "input_path is missing"),
        (message(colour="red"), "unknown fields: colour"),
        (message(instance_count="2"), 'instance_count: got "2"'),
        (message(instance_count=True), "instance_count: got true"),
        (message(instance_count=1.5), "instance_count: got 1.5"),
        (message(instance_count=0), "instance_count: got 0"),
        (message(instance_count=101), "instance_count: got 101"),
        (message(input_path=None), "input_path: got null"),
        (message(input_path="input/a/"), "expected s3://bucket/prefix"),
        (message(output_path="https://legal-documents/x"), "expected s3://bucket/prefix"),
        (message(profile="fast"), "profile: got 'fast'"),
        (message(request_id="a_b"), "request_id: got 'a_b'"),
        (message(request_id="a" * 41), "at most 40"),
        (message(request_id=""), "request_id: got ''"),
    ],
)
def test_a_bad_message_is_refused_by_name(body: str, named: str) -> None:
    """The reason names the field, what was found and what was expected."""
    with pytest.raises(RefusedRequest, match=re.escape(named)):
        TransformMessage.from_json(body)


def test_all_that_is_wrong_is_told_at_once() -> None:
    """Nobody mends a message field by field."""
    with pytest.raises(RefusedRequest) as refused:
        TransformMessage.from_json(json.dumps({"colour": 1, "instance_count": None}))
    assert len(refused.value.problems) == 3


@given(ANY_JSON)
def test_any_json_is_read_or_refused(document: object) -> None:
    """No message makes the reader fail in another way."""
    try:
        TransformMessage.from_json(json.dumps(document))
    except RefusedRequest:
        return
    assert isinstance(document, dict)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"input_path": "s3://foreign/input/a/"}, "input_path: s3://foreign/input/a/"),
        ({"input_path": "s3://legal-documents/input_old/a/"}, "does not lie below"),
        ({"input_path": "s3://legal-documents/models/"}, "does not lie below"),
        ({"output_path": "s3://foreign/output/"}, "output_path: s3://foreign/output/"),
        ({"output_path": "s3://legal-documents/input/"}, "output_path"),
        ({"instance_type": ""}, "instance_type: '' is not among"),
        ({"instance_type": "ml.g5.48xlarge"}, "not among those allowed: ml.g5.xlarge, ml.m5"),
    ],
)
def test_what_a_stack_may_not_do_is_refused(
    accepted: AcceptedRequests, fields: dict[str, str], named: str
) -> None:
    """Foreign places and machines that are not on the list never reach SageMaker."""
    read = TransformMessage.from_json(message(**fields))
    with pytest.raises(RefusedRequest, match=re.escape(named)):
        accepted.job(read, "an-id")


@given(st.text("aZ0-", max_size=60))
def test_every_request_id_that_is_read_makes_a_name_that_sagemaker_takes(request_id: str) -> None:
    """The longest id still leaves room in the 63 characters of a job's name."""
    try:
        TransformMessage.from_json(message(request_id=request_id))
    except RefusedRequest:
        return
    name = requested_job_name("q" * 60, request_id)
    found = violations("sagemaker", "DescribeTransformJob", {"TransformJobName": name})
    assert list(found) == []
