"""What the functions' roles allow, tried by a function that runs under them."""

import io
import json
import uuid
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from batch_transform.naming import requested_job_prefix

from .conftest import BUCKET, Site

PROBE = """
import boto3
from botocore.exceptions import ClientError

def probe(event, context):
    answers = {}
    for name, (service, operation, arguments) in event.items():
        try:
            getattr(boto3.client(service), operation)(**arguments)
            answers[name] = "allowed"
        except ClientError as error:
            answers[name] = error.response["Error"]["Code"]
    return answers
"""
FOLDER = f"output/matter/{requested_job_prefix(Site.queue_name)}id"
SHARD = f"{FOLDER}/input/shard-00000.jsonl"
RESULTS = {"Bucket": BUCKET, "Key": f"{FOLDER}/predictions.json"}
OTHER_RESULTS = {"Bucket": BUCKET, "Key": "output/matter/dispute-optimized-1/predictions.json"}
DELETE_SHARD = {"Bucket": BUCKET, "Delete": {"Objects": [{"Key": SHARD}], "Quiet": True}}
DENIED = {"AccessDenied", "AccessDeniedException"}
Probe = Callable[[dict[str, tuple[str, str, dict[str, Any]]]], dict[str, str]]


@pytest.fixture
def probe(site: Site, request: pytest.FixtureRequest) -> Iterator[Probe]:
    """Try calls under the role of one of the functions; return the answer to each."""
    client = site.client("lambda")
    name = f"probe-{uuid.uuid4().hex[:8]}"
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("probing.py", PROBE)
    client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=client.get_function(FunctionName=request.param)["Configuration"]["Role"],
        Handler="probing.probe",
        Code={"ZipFile": code.getvalue()},
        Timeout=60,
    )

    def probe(calls: dict[str, tuple[str, str, dict[str, Any]]]) -> dict[str, str]:
        answer = client.invoke(FunctionName=name, Payload=json.dumps(calls))
        return json.loads(answer["Payload"].read())

    yield probe
    client.delete_function(FunctionName=name)


def job_request(site: Site, **changed: str) -> dict[str, Any]:
    """Return a CreateTransformJob request that the role allows, save what is *changed*."""
    function = site.client("lambda").get_function(FunctionName="batch-transform-lambda")
    model = function["Configuration"]["Environment"]["Variables"]["MODEL_NAME"]
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/input/"}
    return {
        "TransformJobName": changed.get("name", site.job_name(f"p-{uuid.uuid4().hex[:8]}")),
        "ModelName": changed.get("model", model),
        "TransformInput": {"DataSource": {"S3DataSource": source}},
        "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/output/probe/"},
        "TransformResources": {
            "InstanceType": changed.get("instance_type", "ml.m5.xlarge"),
            "InstanceCount": 1,
        },
    }


def message_to(queue_url: str) -> dict[str, str]:
    """Return a SendMessage request."""
    return {"QueueUrl": queue_url, "MessageBody": "x"}


@pytest.mark.parametrize("probe", ["batch-transform-lambda"], indirect=True)
def test_the_request_function_may_do_its_work_and_no_more(site: Site, probe: Probe) -> None:
    """No other names, machines, models or places; no Model made, no role passed, no job stopped."""
    site.put_input(a=b"contract one\n")
    create = ("sagemaker", "create_transform_job")
    model = {
        "ModelName": "own",
        "ExecutionRoleArn": "arn:aws:iam::000000000000:role/admin",
        "PrimaryContainer": {"Image": site.environment["CONTAINER_IMAGE"]},
    }
    s3_object = {"Bucket": BUCKET, "Key": "models/tiny/model.tar.gz"}
    new_input = {"Bucket": BUCKET, "Key": "input/x", "Body": "x"}
    started_job = {"TransformJobName": site.job_name("x")}
    answers = probe(
        {
            "a job": (*create, job_request(site)),
            "a foreign name": (*create, job_request(site, name="somebody-elses-job")),
            "another machine": (*create, job_request(site, instance_type="ml.g5.48xlarge")),
            "another model": (*create, job_request(site, model="own")),
            "a model": ("sagemaker", "create_model", model),
            "stopping": ("sagemaker", "stop_transform_job", started_job),
            "reading elsewhere": ("s3", "get_object", s3_object),
            "writing input": ("s3", "put_object", new_input),
            "writing output": ("s3", "put_object", RESULTS | {"Body": "x"}),
            "writing over another's": ("s3", "put_object", OTHER_RESULTS | {"Body": "x"}),
            "deleting another's": ("s3", "delete_object", OTHER_RESULTS),
            "emptying a folder": ("s3", "delete_objects", DELETE_SHARD),
            "listing all": ("s3", "list_objects_v2", {"Bucket": BUCKET}),
            "listing input": ("s3", "list_objects_v2", {"Bucket": BUCKET, "Prefix": "input/"}),
            "listing output": ("s3", "list_objects_v2", {"Bucket": BUCKET, "Prefix": "output/"}),
            "sending requests": ("sqs", "send_message", message_to(site.queue_url)),
        }
    )
    allowed = {name for name, answer in answers.items() if answer == "allowed"}
    assert allowed == {"a job", "writing output", "emptying a folder", "listing input"}
    assert set(answers.values()) - {"allowed"} <= DENIED


@pytest.mark.parametrize("probe", ["batch-transform-lambda-completion"], indirect=True)
def test_the_completion_function_starts_nothing(site: Site, probe: Probe) -> None:
    """It writes into its jobs' folders and deletes packed texts there, and nothing else."""
    site.client("s3").put_object(Bucket=BUCKET, Key=SHARD, Body=b"x")
    answers = probe(
        {
            "a job": ("sagemaker", "create_transform_job", job_request(site)),
            "deleting results": ("s3", "delete_object", RESULTS),
            "deleting input": ("s3", "delete_object", {"Bucket": BUCKET, "Key": "input/x"}),
            "deleting packed texts": ("s3", "delete_objects", DELETE_SHARD),
            "sending requests": ("sqs", "send_message", message_to(site.queue_url)),
            "keeping a lost event": (
                "sqs",
                "send_message",
                message_to(f"{site.queue_url}-lost-completions"),
            ),
            "reading input": ("s3", "get_object", {"Bucket": BUCKET, "Key": "input/x"}),
            "writing output": ("s3", "put_object", RESULTS | {"Body": "x"}),
            "writing over another's": ("s3", "put_object", OTHER_RESULTS | {"Body": "x"}),
            "reading another's": ("s3", "get_object", OTHER_RESULTS),
        }
    )
    allowed = {name for name, answer in answers.items() if answer == "allowed"}
    assert allowed == {"writing output", "deleting packed texts", "keeping a lost event"}
    assert not site.exists(SHARD)
    assert set(answers.values()) - {"allowed"} <= DENIED
