"""SageMaker's API on the local AWS refuses, lists and forgets as AWS's does."""

from datetime import UTC, datetime, timedelta

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from local_aws import running
from tests.local_aws.jobs import ECHO_CONTAINER, IMAGE, ROLE, jobs_in


def refusal(call, **request):
    """Return the code and the text with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture
def unchecked(echo_aws):
    """A SageMaker client that sends what botocore would hold back."""
    environment = echo_aws.environment()
    return boto3.client(
        "sagemaker",
        endpoint_url=echo_aws.endpoint_url,
        region_name=environment["AWS_REGION"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(parameter_validation=False),
    )


def test_wrong_members_are_refused_together(jobs):
    """
    Every member that breaks its declared constraint is named in one answer, in AWS's words.
    """
    request = jobs.request(TransformJobName="bad_name", BatchStrategy="Both")

    code, message = refusal(jobs.client("sagemaker").create_transform_job, **request)

    assert code == "ValidationException"
    assert message == (
        "2 validation errors detected: Value 'bad_name' at 'transformJobName' failed to satisfy "
        "constraint: Member must satisfy regular expression pattern: "
        "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}; Value 'Both' at 'batchStrategy' failed to satisfy "
        "constraint: Member must satisfy enum value set: [MultiRecord, SingleRecord]"
    )


def test_absent_and_nested_members_are_named_by_position(unchecked):
    """
    A required member that is absent is null, and a list's member has its number.
    """
    code, message = refusal(unchecked.create_model, Tags=[{"Key": "a;b", "Value": ""}])

    assert code == "ValidationException"
    assert "Value null at 'modelName' failed to satisfy constraint: Member must not be" in message
    assert "Value 'a;b' at 'tags.1.member.key' failed" in message


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"MaxConcurrentTransforms": 17, "MaxPayloadInMB": 6}, "must not exceed 100 MB"),
        ({"MaxPayloadInMB": 101}, "must not exceed 100 MB"),
        (
            {
                "TransformResources": {
                    "InstanceType": "ml.g5.xlarge",
                    "InstanceCount": 1,
                    "VolumeKmsKeyId": "key",
                }
            },
            "VolumeKmsKeyId can't be used with ml.g5.xlarge",
        ),
        ({"ModelName": "nowhere"}, 'Could not find model "arn:aws:sagemaker:us-east-1:0000000000'),
    ],
)
def test_documented_rules_are_kept(jobs, changes, text):
    """
    What the API's model allows and the Developer Guide does not is refused.
    """
    jobs.put("in/1.txt", "say one")
    jobs.create_model()

    code, message = refusal(
        jobs.client("sagemaker").create_transform_job, **jobs.request(**changes)
    )

    assert code == "ValidationException"
    assert text in message


def test_largest_product_of_payload_and_concurrency(jobs):
    """
    Exactly 100 MB of concurrent payload are allowed.
    """
    jobs.put("in/1.txt", "say one")

    assert jobs.run(MaxConcurrentTransforms=10, MaxPayloadInMB=10)["TransformJobStatus"] == (
        "Completed"
    )


@pytest.mark.parametrize("bucket", ["same", "missing"])
def test_input_must_exist(jobs, bucket):
    """
    An empty prefix and a missing bucket are refused before the job exists.
    """
    jobs.create_model()
    request = jobs.request()
    name = {"same": jobs.bucket, "missing": "no-such-bucket"}[bucket]
    request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"] = f"s3://{name}/in/"

    code, message = refusal(jobs.client("sagemaker").create_transform_job, **request)

    assert code == "ValidationException"
    assert message.startswith(f'No S3 objects found under S3 URL "s3://{name}/in/" given in input')
    assert (
        jobs.client("sagemaker").list_transform_jobs(NameContains=jobs.bucket)[
            "TransformJobSummaries"
        ]
        == []
    )


def test_model_data_must_exist(jobs):
    """
    A model whose artifact is not in S3 is refused.
    """
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{jobs.bucket}/missing.tar.gz"}

    answer = refusal(
        jobs.client("sagemaker").create_model,
        ModelName=jobs.bucket,
        ExecutionRoleArn=ROLE,
        PrimaryContainer=container,
    )

    assert answer == (
        "ValidationException",
        f"Could not find model data at s3://{jobs.bucket}/missing.tar.gz.",
    )


def test_model_data_source_is_refused_by_batch(jobs):
    """
    A model with ModelDataSource can be made, and no transform job can use it.
    """
    jobs.put("in/1.txt", "say one")
    source = {
        "S3Uri": f"s3://{jobs.bucket}/model/",
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    jobs.client("sagemaker").create_model(
        ModelName=jobs.bucket,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": IMAGE, "ModelDataSource": {"S3DataSource": source}},
    )

    code, message = refusal(jobs.client("sagemaker").create_transform_job, **jobs.request())

    assert code == "ValidationException"
    assert "ModelDataSource" in message


def test_model_needs_a_container(jobs):
    """
    A model without a container is refused.
    """
    answer = refusal(
        jobs.client("sagemaker").create_model, ModelName=jobs.bucket, ExecutionRoleArn=ROLE
    )

    assert answer[0] == "ValidationException"


def test_names_are_taken_once(jobs):
    """
    A second model and a second job of the same name are refused, each with its own code.
    """
    jobs.put("in/1.txt", "say one")
    jobs.run()
    sagemaker = jobs.client("sagemaker")

    assert refusal(sagemaker.create_transform_job, **jobs.request())[0] == "ResourceInUse"
    code, message = refusal(
        sagemaker.create_model,
        ModelName=jobs.bucket,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": IMAGE},
    )
    assert code == "ValidationException"
    assert message.startswith("Cannot create already existing model")


def test_what_is_not_there_is_a_validation_exception(jobs):
    """
    SageMaker answers the names it does not know with ValidationException.
    """
    sagemaker = jobs.client("sagemaker")

    for call, name in [
        (sagemaker.describe_model, "ModelName"),
        (sagemaker.delete_model, "ModelName"),
        (sagemaker.describe_transform_job, "TransformJobName"),
        (sagemaker.stop_transform_job, "TransformJobName"),
    ]:
        code, message = refusal(call, **{name: "unknown"})
        assert (code, message[:14]) == ("ValidationException", "Could not find")


def test_deleted_model_can_be_made_again(jobs):
    """
    A deleted model is gone and its name is free.
    """
    sagemaker = jobs.client("sagemaker")
    jobs.create_model()

    sagemaker.delete_model(ModelName=jobs.bucket)

    assert sagemaker.list_models(NameContains=jobs.bucket)["Models"] == []
    jobs.create_model()
    assert sagemaker.describe_model(ModelName=jobs.bucket)["ExecutionRoleArn"] == ROLE


def test_finished_job_cannot_be_stopped(jobs):
    """
    Stopping what is over is refused.
    """
    jobs.put("in/1.txt", "say one")
    name = jobs.run()["TransformJobName"]

    answer = refusal(jobs.client("sagemaker").stop_transform_job, TransformJobName=name)

    assert answer == (
        "ValidationException",
        "The request was rejected because the transform job is in status Completed.",
    )


def test_quota_counts_instances_in_use(jobs):
    """
    A job over the quota of its type is refused until one before it is over.
    """
    jobs.put("in/1.txt", "sleep 600")
    resources = {"TransformResources": {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1}}
    names = [jobs.start(TransformJobName=f"{jobs.bucket}-{n}", **resources) for n in range(2)]
    third = jobs.request(TransformJobName=f"{jobs.bucket}-2", **resources)
    sagemaker = jobs.client("sagemaker")

    code, message = refusal(sagemaker.create_transform_job, **third)

    assert code == "ResourceLimitExceeded"
    assert message.startswith(
        "The account-level service limit 'ml.c5.xlarge for transform job usage' is 2 Instances, "
        "with current utilization of 2 Instances and a request delta of 1 Instances."
    )
    sagemaker.stop_transform_job(TransformJobName=names[0])
    jobs.wait(names[0])
    jobs.start(**third)
    for name in (names[1], third["TransformJobName"]):
        sagemaker.stop_transform_job(TransformJobName=name)
        jobs.wait(name)


def test_models_are_listed_in_pages(jobs):
    """
    Pages hold MaxResults models each; together they hold each one once, in order.
    """
    sagemaker = jobs.client("sagemaker")
    names = [f"{jobs.bucket}-{letter}" for letter in "abcde"]
    for name in names:
        sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE}
        )
    request = {"NameContains": jobs.bucket, "SortBy": "Name", "SortOrder": "Ascending"}

    first = sagemaker.list_models(MaxResults=2, **request)
    sagemaker.delete_model(ModelName=names[0])
    rest = sagemaker.list_models(MaxResults=10, NextToken=first["NextToken"], **request)

    assert [m["ModelName"] for m in first["Models"]] == names[:2]
    assert [m["ModelName"] for m in rest["Models"]] == names[2:]
    assert "NextToken" not in rest
    newest_first = sagemaker.list_models(NameContains=jobs.bucket)["Models"]
    assert [m["ModelName"] for m in newest_first] == names[:0:-1]


def test_foreign_page_token_is_refused(jobs):
    """
    A token that no page gave is refused.
    """
    code, message = refusal(jobs.client("sagemaker").list_models, NextToken="x")

    assert (code, message) == ("ValidationException", "Invalid pagination token.")


def test_jobs_are_listed_by_status_and_time(jobs):
    """
    Status, time and name filters hold, and the newest comes first.
    """
    jobs.put("in/1.txt", "say one")
    jobs.put("bad/1.txt", "fail 400")
    before = datetime.now(UTC) - timedelta(seconds=1)
    for name in ("first", "second"):
        jobs.run(TransformJobName=f"{jobs.bucket}-{name}")
    bad = jobs.request()["TransformInput"]
    bad["DataSource"]["S3DataSource"]["S3Uri"] = f"s3://{jobs.bucket}/bad/"
    jobs.run(TransformJobName=f"{jobs.bucket}-third", TransformInput=bad)

    def listed(**filters):
        page = jobs.client("sagemaker").list_transform_jobs(NameContains=jobs.bucket, **filters)
        return [
            summary["TransformJobName"].rpartition("-")[2]
            for summary in page["TransformJobSummaries"]
        ]

    assert listed() == ["third", "second", "first"]
    assert listed(SortBy="Name", SortOrder="Ascending") == ["first", "second", "third"]
    assert listed(StatusEquals="Failed") == ["third"]
    assert listed(CreationTimeAfter=before, MaxResults=1) == ["third"]
    assert listed(CreationTimeBefore=before) == []


def test_accounts_and_regions_are_apart(echo_aws, jobs):
    """
    A model of one region or account is unknown in another.
    """
    jobs.create_model()
    for region, access_key in (("eu-west-1", "test"), ("us-east-1", "123456789012")):
        elsewhere = boto3.client(
            "sagemaker",
            endpoint_url=echo_aws.endpoint_url,
            region_name=region,
            aws_access_key_id=access_key,
            aws_secret_access_key="test",
        )
        code, message = refusal(elsewhere.describe_model, ModelName=jobs.bucket)
        assert code == "ValidationException"
        assert region in message


def test_tags_are_added_and_listed(jobs):
    """
    Tags given at creation and later are listed together; the later value wins.
    """
    jobs.put("in/1.txt", "say one")
    name = jobs.start(Tags=[{"Key": "team", "Value": "a"}, {"Key": "cost", "Value": "1"}])
    arn = jobs.wait(name)["TransformJobArn"]
    sagemaker = jobs.client("sagemaker")

    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "b"}])

    tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}
    assert tags == {"team": "b", "cost": "1"}
    assert refusal(sagemaker.list_tags, ResourceArn=f"{arn}x")[0] == "ValidationException"


def test_other_operations_say_that_they_are_missing(jobs):
    """
    An operation outside the slice is refused by name instead of answered wrongly.
    """
    code, message = refusal(jobs.client("sagemaker").list_training_jobs)

    assert code == "UnknownOperationException"
    assert "ListTrainingJobs is not part of the local SageMaker" in message


def test_reset_forgets_models_and_jobs():
    """
    ministack's reset empties SageMaker too, ends a running job and leaves the agent fit for more.
    """
    with running(ECHO_CONTAINER) as fresh:
        jobs = jobs_in(fresh)
        jobs.put("in/1.txt", "sleep 600")
        jobs.start()

        urllib3.request("POST", f"{fresh.endpoint_url}/_ministack/reset")

        sagemaker = jobs.client("sagemaker")
        assert sagemaker.list_transform_jobs()["TransformJobSummaries"] == []
        assert sagemaker.list_models()["Models"] == []
        jobs.client("s3").create_bucket(Bucket=jobs.bucket)
        jobs.put("in/1.txt", "say one")
        assert jobs.run()["TransformJobStatus"] == "Completed"
