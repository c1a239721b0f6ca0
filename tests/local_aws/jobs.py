"""Jobs of a test's own on a local AWS whose server does what each record says."""

import io
import itertools
import json
import tarfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient

from local_aws import LocalAws

ECHO_CONTAINER = Path(__file__).parent / "echo_container"
ROLE = "arn:aws:iam::000000000000:role/transform"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/echo:1"
TIMEOUT_IN_SECONDS = 30


def until(condition: Callable[[], Any]) -> Any:
    """Return what *condition* gives as soon as that is true."""
    deadline = time.monotonic() + TIMEOUT_IN_SECONDS
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    pytest.fail(f"{condition} was not true within {TIMEOUT_IN_SECONDS} s")


def model_artifact(files: Mapping[str, str]) -> bytes:
    """Return a model.tar.gz that holds *files*."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return archive.getvalue()


@dataclass(frozen=True)
class Jobs:
    """A bucket of one's own, and jobs that read and write there."""

    client: Callable[[str], BaseClient]
    bucket: str

    def put(self, key: str, body: str | bytes) -> None:
        """Store an object."""
        self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)

    def get(self, key: str) -> str:
        """Return an object's text."""
        return self.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read().decode()

    def outputs(self) -> list[str]:
        """Return the keys of the output objects."""
        page = self.client("s3").list_objects_v2(Bucket=self.bucket, Prefix="out/")
        return [found["Key"] for found in page.get("Contents", [])]

    def answers(self, key: str) -> list[dict[str, Any]]:
        """Return the answers in an output object."""
        return [json.loads(line) for line in self.get(key).splitlines()]

    def create_model(self, files: Mapping[str, str] | None = None) -> str:
        """Make a model of a name of its own and return the name."""
        self.put("model.tar.gz", model_artifact(files or {"weights": "1"}))
        self.client("sagemaker").create_model(
            ModelName=self.bucket,
            ExecutionRoleArn=ROLE,
            PrimaryContainer={"Image": IMAGE, "ModelDataUrl": f"s3://{self.bucket}/model.tar.gz"},
        )
        return self.bucket

    def request(self, **changes: Any) -> dict[str, Any]:
        """Return a sound CreateTransformJob request with some members changed."""
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{self.bucket}/in/"}
        return {
            "TransformJobName": self.bucket,
            "ModelName": self.bucket,
            "TransformInput": {
                "DataSource": {"S3DataSource": source},
                "SplitType": "Line",
                "ContentType": "text/plain",
            },
            "TransformOutput": {
                "S3OutputPath": f"s3://{self.bucket}/out/",
                "AssembleWith": "Line",
                "Accept": "application/jsonlines",
            },
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            "ModelClientConfig": {"InvocationsMaxRetries": 1},
        } | changes

    def start(self, **changes: Any) -> str:
        """Start a job, with a model if there is none, and return its name."""
        models = self.client("sagemaker").list_models(NameContains=self.bucket)["Models"]
        if not models:
            self.create_model()
        request = self.request(**changes)
        self.client("sagemaker").create_transform_job(**request)
        return request["TransformJobName"]

    def describe(self, name: str | None = None) -> dict[str, Any]:
        """Describe a job."""
        return self.client("sagemaker").describe_transform_job(TransformJobName=name or self.bucket)

    def wait(self, name: str | None = None) -> dict[str, Any]:
        """Return a job's description once it is final."""
        unfinished = ("InProgress", "Stopping")
        until(lambda: self.describe(name)["TransformJobStatus"] not in unfinished)
        return self.describe(name)

    def run(self, **changes: Any) -> dict[str, Any]:
        """Start a job and return its description once it is final."""
        return self.wait(self.start(**changes))


_numbers = itertools.count(1)


def jobs_in(local_aws: LocalAws) -> Jobs:
    """Return a new bucket of a local AWS."""
    jobs = Jobs(cache(local_aws.client), f"bucket-{next(_numbers):03}")
    jobs.client("s3").create_bucket(Bucket=jobs.bucket)
    return jobs
