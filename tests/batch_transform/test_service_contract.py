"""What the AWS APIs would refuse is known before anything is sent."""

import copy
from datetime import UTC, datetime

import pytest
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationNotFoundError
from hypothesis import given
from hypothesis import strategies as st

from batch_transform.service_contract import Violation, service_model, violations

JOB = {
    "TransformJobName": "disputes-2026-11-20",
    "ModelName": "disputes",
    "MaxPayloadInMB": 6,
    "BatchStrategy": "MultiRecord",
    "ModelClientConfig": {"InvocationsTimeoutInSeconds": 3600, "InvocationsMaxRetries": 3},
    "Environment": {"TOP_K": "3"},
    "TransformInput": {
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in/"}},
        "SplitType": "Line",
    },
    "TransformOutput": {"S3OutputPath": "s3://b/out/", "AssembleWith": "Line"},
    "TransformResources": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
    "Tags": [{"Key": "größe", "Value": "a b"}],
}


def job_with(path, value):
    """Return the sound job with one member, named by its path, set to another value."""
    job = copy.deepcopy(JOB)
    *parents, last = path.split(".")
    target = job
    for name in parents:
        target = target[name]
    target[last] = value
    return job


def of_job(job):
    return list(violations("sagemaker", "CreateTransformJob", job))


def test_sound_request_has_no_violation():
    """
    A request that AWS takes is taken here.
    """
    assert of_job(JOB) == []


@pytest.mark.parametrize(
    ("path", "value", "constraint"),
    [
        ("TransformJobName", "a" * 64, "Member must have length less than or equal to 63"),
        ("TransformJobName", "", "Member must have length greater than or equal to 1"),
        ("BatchStrategy", "MULTI_RECORD", "enum value set: [MultiRecord, SingleRecord]"),
        ("TransformResources.InstanceType", "ml.p5.48xlarge", "enum value set: [ml.m4.xlarge, "),
        ("TransformResources.InstanceCount", 0, "value greater than or equal to 1"),
        (
            "ModelClientConfig.InvocationsTimeoutInSeconds",
            3601,
            "Member must have value less than or equal to 3600",
        ),
        ("ModelName", "under_score", "regular expression pattern: [a-zA-Z0-9]([\\-a-zA"),
        ("MaxPayloadInMB", "6", "Member must be of type integer"),
        ("MaxPayloadInMB", True, "Member must be of type integer"),
        ("MaxPayloadInMB", None, "Member must not be null"),
        ("TransformOutput.Compression", "gzip", "Member must be one of: [S3OutputPath, "),
        ("Environment", {f"K{n}": "" for n in range(17)}, "length less than or equal to 16"),
    ],
)
def test_each_declared_constraint_is_checked(path, value, constraint):
    """
    A wrong member is named by its path, its value and AWS's own words.
    """
    found = [v for v in of_job(job_with(path, value)) if constraint in v.constraint]

    assert [(v.path, v.value) for v in found] == [(path, value)]


def test_every_violation_is_found_at_once():
    """
    Two wrong members and an absent one are three violations, not one.
    """
    job = job_with("BatchStrategy", "Foo") | {"TransformJobName": "bad_name"}
    del job["TransformResources"]["InstanceType"]

    assert {v.path for v in of_job(job)} == {
        "BatchStrategy",
        "TransformJobName",
        "TransformResources.InstanceType",
    }


def test_absent_required_member():
    """
    A required member that is not there is a violation whose value is None.
    """
    assert list(violations("sagemaker", "DescribeModel", {})) == [
        Violation("ModelName", None, "Member must not be null")
    ]


@pytest.mark.parametrize(
    ("key", "is_sound"),
    [("größe", True), ("部門 4", True), ("a:b/c=d@e", True), ("semi;colon", False), ("€", False)],
)
def test_unicode_classes_of_java_patterns(key, is_sound):
    """
    A tag may hold letters, digits and spaces of any script, but no other sign.
    """
    job = JOB | {"Tags": [{"Key": key, "Value": ""}]}

    assert [v.path for v in of_job(job)] == ([] if is_sound else ["Tags[0].Key"])


def test_map_keys_are_checked():
    """
    A wrong name of an environment variable is told apart from a wrong value.
    """
    (violation,) = of_job(JOB | {"Environment": {"TOP-K": "3"}})

    assert violation.path == "Environment.TOP-K"
    assert violation.constraint.startswith("Map keys must satisfy constraint: [Member must")


def test_digits_are_ascii():
    """
    An account id in Arabic digits matches Python's digit class but not AWS's.
    """
    arn = "arn:aws:iam::٠١٢٣٤٥٦٧٨٩٠١:role/x"
    request = {"ModelName": "m", "ExecutionRoleArn": arn}

    assert [v.path for v in violations("sagemaker", "CreateModel", request)] == ["ExecutionRoleArn"]


def test_json_and_python_timestamps_are_both_taken():
    """
    A decoded JSON body carries seconds where a boto3 call carries a datetime.
    """
    for moment in (datetime.now(UTC), 1_790_000_000.5):
        request = {"CreationTimeAfter": moment}
        assert list(violations("sagemaker", "ListTransformJobs", request)) == []


def test_blob_lengths_and_client_tokens():
    """
    Bytes are taken for a blob, and a token that boto3 fills in is not missed.
    """
    assert list(violations("lambda", "Invoke", {"FunctionName": "f", "Payload": b"{}"})) == []
    request = {"StackName": "s", "ChangeSetName": "c", "TemplateBody": ""}
    assert [v.path for v in violations("cloudformation", "CreateChangeSet", request)] == [
        "TemplateBody"
    ]


def test_unknown_names_are_botocores_errors():
    """
    A service or an operation AWS does not have is an error, not silence.
    """
    with pytest.raises(UnknownServiceError):
        list(violations("sagemakr", "CreateModel", {}))
    with pytest.raises(OperationNotFoundError):
        list(violations("sagemaker", "CreateModels", {}))


def test_pattern_with_a_loose_hyphen():
    """
    Java reads a hyphen after a class as itself where Python refuses the pattern.
    """
    sound, wrong = {"resourceTypes": ["AWS-Logs_Group"]}, {"resourceTypes": ["a b"]}
    operation = ("logs", "DescribeConfigurationTemplates")

    assert list(violations(*operation, sound)) == []
    assert [v.path for v in violations(*operation, wrong)] == ["resourceTypes[0]"]


@given(st.text(max_size=70))
def test_job_name_matches_the_written_rule(name):
    """
    The declared pattern agrees with the rule in words: alphanumerics, inner hyphens, at most 63.
    """
    is_ascii = all(c.isascii() and (c.isalnum() or c == "-") for c in name)
    is_sound = bool(name) and is_ascii and len(name) <= 63 and name[0] != "-" and name[-1] != "-"

    assert (of_job(JOB | {"TransformJobName": name}) == []) is is_sound


def test_model_is_loaded_once():
    """
    The service model, megabytes of JSON, is read once a process.
    """
    assert service_model("sagemaker") is service_model("sagemaker")
