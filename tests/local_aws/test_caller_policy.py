"""With --enforce-policies, SageMaker on the local AWS asks the caller's IAM policies."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError

from local_aws import running
from tests.local_aws.jobs import ECHO_CONTAINER, IMAGE, ROLE, jobs_in

STARTER = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["sagemaker:CreateTransformJob", "sagemaker:DescribeTransformJob"],
            "Resource": "arn:aws:sagemaker:*:*:transform-job/allowed-*",
            "Condition": {
                "ForAllValues:StringEquals": {"sagemaker:InstanceTypes": ["ml.m5.large"]}
            },
        }
    ],
}


@pytest.fixture(scope="module")
def guarded():
    """A local AWS that enforces policies, and a user who may start some jobs."""
    with running(ECHO_CONTAINER, ["--enforce-policies"]) as local_aws:
        iam = local_aws.client("iam")
        iam.create_user(UserName="starter")
        iam.put_user_policy(
            UserName="starter", PolicyName="starter", PolicyDocument=json.dumps(STARTER)
        )
        key = iam.create_access_key(UserName="starter")["AccessKey"]
        starter = boto3.client(
            "sagemaker",
            endpoint_url=local_aws.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )
        jobs = jobs_in(local_aws)
        jobs.create_model()
        jobs.put("in/1.txt", "say one")
        yield jobs, starter


def test_allowed_job_runs(guarded):
    """
    A job within the policy is started by the user and run by the agent.
    """
    jobs, starter = guarded

    starter.create_transform_job(**jobs.request(TransformJobName="allowed-1"))

    assert jobs.wait("allowed-1")["TransformJobStatus"] == "Completed"
    assert starter.describe_transform_job(TransformJobName="allowed-1")


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({"TransformJobName": "other-1"}, "sagemaker:CreateTransformJob"),
        (
            {"TransformResources": {"InstanceType": "ml.p3.2xlarge", "InstanceCount": 1}},
            "sagemaker:CreateTransformJob",
        ),
        ({"Tags": [{"Key": "team", "Value": "a"}]}, "sagemaker:AddTags"),
    ],
)
def test_job_beyond_the_policy_is_denied(guarded, changes, needed):
    """
    Another name, another instance type, or tags without AddTags: denied, and no job is made.
    """
    jobs, starter = guarded
    request = jobs.request(**{"TransformJobName": "allowed-2"} | changes)

    with pytest.raises(ClientError) as caught:
        starter.create_transform_job(**request)

    error = caught.value.response["Error"]
    assert error["Code"] == "AccessDeniedException"
    assert f"user/starter is not authorized to perform: {needed} on resource" in error["Message"]
    listed = jobs.client("sagemaker").list_transform_jobs(NameContains=request["TransformJobName"])
    assert listed["TransformJobSummaries"] == []


def test_model_is_denied_to_who_may_only_start_jobs(guarded):
    """
    A user without CreateModel makes no model.
    """
    _, starter = guarded

    with pytest.raises(ClientError, match="AccessDeniedException"):
        starter.create_model(
            ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE}
        )


def test_unknown_key_is_nobody(guarded):
    """
    A request signed with a key that no user has is refused.
    """
    jobs, _ = guarded
    stranger = boto3.client(
        "sagemaker",
        endpoint_url=jobs.client("s3").meta.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="wrong",
    )

    with pytest.raises(ClientError) as caught:
        stranger.list_models()

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
