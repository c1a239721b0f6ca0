"""A stack with a KMS key: its roles may use it for that alone, and all that is written bears it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from .conftest import BUCKET, Site

KEY = "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555"
NAMES = ("--stack-name", "sealed-stack", "--queue-name", "sealed-queue", "--lambda-name", "sealed")


@pytest.fixture(scope="module")
def sealed_site(bare_site: Site) -> Iterator[Site]:
    """A stack of its own, deployed with the key."""
    deployed = bare_site.run("deploy_lambda.py", "--kms-key-id", KEY, *NAMES)
    assert deployed.returncode == 0, deployed.stderr
    queue_url = deployed.stdout.strip().partition("=")[2]
    sealed = replace(bare_site, environment=bare_site.environment | {"SQS_QUEUE_URL": queue_url})
    sealed.queue_name = "sealed-queue"
    yield sealed
    bare_site.run("deploy_lambda.py", "--delete", "--yes", *NAMES[:2])


def statements(site: Site, function_name: str) -> list[dict[str, Any]]:
    """Return what the role of a function says of KMS."""
    iam = site.client("iam")
    configuration = site.client("lambda").get_function(FunctionName=function_name)["Configuration"]
    role = configuration["Role"].rsplit("/", 1)[-1]
    [policy] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    return [each for each in document["Statement"] if "kms" in json.dumps(each["Action"])]


def test_the_roles_may_use_the_key_for_objects_and_volumes_alone(sealed_site: Site) -> None:
    """Both read and write by way of S3; the one that starts jobs may let SageMaker use the key."""
    by_s3 = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
    for_aws = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    objects = (["kms:Decrypt", "kms:GenerateDataKey"], KEY, by_s3)
    volumes = ("kms:CreateGrant", KEY, for_aws)
    for function, expected in (("sealed", [objects, volumes]), ("sealed-completion", [objects])):
        found = statements(sealed_site, function)
        assert [(s["Action"], s["Resource"], s["Condition"]) for s in found] == expected


def test_a_stack_without_a_key_may_use_none(site: Site) -> None:
    """No statement on KMS is left over."""
    for function in ("batch-transform-lambda", "batch-transform-lambda-completion"):
        assert statements(site, function) == []


def test_everything_that_a_request_leaves_is_encrypted_with_the_key(sealed_site: Site) -> None:
    """The job is told the key for output and volume; the functions' own objects bear it."""
    path = sealed_site.put_input(a=b"contract one\n")
    message_id = sealed_site.send({"input_path": path, "instance_type": "ml.m5.xlarge"})
    job_name = sealed_site.job_name(message_id)
    sealed_site.await_object(job_name, "summary.json")

    job = sealed_site.client("sagemaker").describe_transform_job(TransformJobName=job_name)
    assert job["TransformOutput"]["KmsKeyId"] == KEY
    assert job["TransformResources"]["VolumeKmsKeyId"] == KEY
    s3 = sealed_site.client("s3")
    for name in ("request.json", "job.json", "predictions.json", "summary.json"):
        found = s3.head_object(Bucket=BUCKET, Key=f"output/{job_name}/{name}")
        assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", KEY), name
