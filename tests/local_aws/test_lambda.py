"""A Lambda function of the local AWS hears of jobs and reaches SageMaker and S3 itself."""

import io
import json
import zipfile

from tests.local_aws.jobs import ROLE, until

HANDLER = """
import json
import boto3


def handler(event, context):
    name = event["detail"]["TransformJobName"]
    job = boto3.client("sagemaker").describe_transform_job(TransformJobName=name)
    told = [event["detail"]["TransformJobStatus"], job["TransformJobStatus"]]
    boto3.client("s3").put_object(Bucket=name, Key="told.json", Body=json.dumps(told))
"""


def test_state_change_invokes_a_function(jobs):
    """
    A rule invokes a function on a job's completion; the function finds SageMaker and S3 by itself.
    """
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("completion.py", HANDLER)
    function = jobs.client("lambda").create_function(
        FunctionName=jobs.bucket,
        Runtime="python3.13",
        Role=ROLE,
        Handler="completion.handler",
        Code={"ZipFile": code.getvalue()},
        Timeout=30,
    )
    pattern = {
        "source": ["aws.sagemaker"],
        "detail": {"TransformJobName": [jobs.bucket], "TransformJobStatus": ["Completed"]},
    }
    events = jobs.client("events")
    events.put_rule(Name=jobs.bucket, EventPattern=json.dumps(pattern))
    target = {"Id": "completion", "Arn": function["FunctionArn"]}
    events.put_targets(Rule=jobs.bucket, Targets=[target])
    jobs.put("in/1.txt", "say one")

    jobs.run()

    def told():
        page = jobs.client("s3").list_objects_v2(Bucket=jobs.bucket, Prefix="told.json")
        return page["KeyCount"]

    until(told)
    assert json.loads(jobs.get("told.json")) == ["Completed", "Completed"]
