"""A local AWS with roles enforced, a quota of two machines, and the real stack deployed on it."""

import io
import json
import os
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from batch_transform.naming import S3Uri, requested_job_prefix
from batch_transform.transform_message import AcceptedRequests
from local_aws import LocalAws, running

ROOT = Path(__file__).parents[2]
CONTAINER = ROOT / "tests" / "quick_container"
BUCKET = "legal-documents"
MODEL_KEY = "models/tiny/model.tar.gz"
QUOTA = 2
DEADLINE_IN_SECONDS = 60


def until(reached: Callable[[], Any], what: str, seconds: float = DEADLINE_IN_SECONDS) -> Any:
    """Return the first true answer; fail when none has come in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := reached():
            return answer
        time.sleep(0.1)
    pytest.fail(f"waited {seconds} seconds in vain until {what}")


@dataclass
class Site:
    """The deployed stack, as someone with the scripts and the console sees it."""

    client: Callable[[str], Any]
    environment: dict[str, str]
    cwd: Path

    queue_name = "batch-transform-queue"

    def run(self, *command: str, answer: str = "") -> subprocess.CompletedProcess:
        """Run a script to its end, typing *answer* where it asks."""
        script, *arguments = command
        return subprocess.run(
            [sys.executable, str(ROOT / script), *arguments],
            cwd=self.cwd,
            env=self.environment,
            input=answer,
            capture_output=True,
            text=True,
            timeout=DEADLINE_IN_SECONDS,
            check=False,
        )

    @property
    def queue_url(self) -> str:
        """The request queue."""
        return self.environment["SQS_QUEUE_URL"]

    def put_input(self, **files: bytes) -> str:
        """Put `name=b"…"` as name.txt (a suffix stays) below a new prefix and return that."""
        prefix = f"input/{uuid.uuid4().hex}/"
        for name, body in files.items():
            key = prefix + (name if "." in name else f"{name}.txt")
            self.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{prefix}"

    def send(self, body: str | dict[str, Any]) -> str:
        """Send a message and return its id."""
        text = body if isinstance(body, str) else json.dumps(body)
        return self.client("sqs").send_message(QueueUrl=self.queue_url, MessageBody=text)[
            "MessageId"
        ]

    def job_name(self, request_id: str) -> str:
        """Return the name that the job of a request gets."""
        return requested_job_prefix(self.queue_name) + request_id

    def await_object(self, job_name: str, file: str) -> Any:
        """Return a JSON file of a job's folder once it is there."""
        key = f"output/{job_name}/{file}"
        until(lambda: self.exists(key), f"there is {key}")
        return json.loads(self.read(key))

    def exists(self, key: str) -> bool:
        """Tell whether there is an object."""
        return self.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=key)["KeyCount"] > 0

    def read(self, key: str) -> bytes:
        """Return an object."""
        return self.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def jobs(self, name_contains: str) -> list[dict[str, Any]]:
        """List transform jobs."""
        pages = self.client("sagemaker").get_paginator("list_transform_jobs")
        found = pages.paginate(NameContains=name_contains)
        return [job for page in found for job in page["TransformJobSummaries"]]

    def drain_dead_letters(self) -> dict[str, str | None]:
        """Take all dead letters away; return body and reason of each."""
        url = f"{self.queue_url}-dead-letters"
        sqs = self.client("sqs")
        found = {}
        while messages := sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            for message in messages:
                attributes = message.get("MessageAttributes", {})
                found[message["Body"]] = attributes.get("reason", {}).get("StringValue")
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture(scope="session")
def strict_aws() -> Iterator[LocalAws]:
    """A local AWS that lets every role do what it may and no more."""
    options = ["--enforce-policies", "--quota", f"ml.g5.xlarge={QUOTA}"]
    with running(CONTAINER, [*options, "--concurrent-jobs", str(QUOTA)]) as started:
        yield started


@pytest.fixture(scope="session")
def bare_site(strict_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A bucket with a model artefact, and everything in the environment that deploying takes."""
    client = cache(strict_aws.client)
    client("s3").create_bucket(Bucket=BUCKET)
    artifact = io.BytesIO()
    with tarfile.open(fileobj=artifact, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("config.json"))
    client("s3").put_object(Bucket=BUCKET, Key=MODEL_KEY, Body=artifact.getvalue())
    own = {
        "PATH": os.environ["PATH"],
        "S3_BUCKET_NAME": BUCKET,
        "S3_MODEL_PATH": MODEL_KEY,
        "CONTAINER_IMAGE": "000000000000.dkr.ecr.us-east-1.amazonaws.com/classifier:latest",
        "SAGEMAKER_ROLE_ARN": "arn:aws:iam::000000000000:role/classifier-execution",
    }
    cwd = tmp_path_factory.mktemp("operator")
    return Site(client, own | strict_aws.environment(), cwd)


@pytest.fixture(scope="session")
def site(bare_site: Site) -> Site:
    """The stack, deployed by the real script."""
    deployed = bare_site.run("deploy_lambda.py")
    assert deployed.returncode == 0, deployed.stderr
    name, _, queue_url = deployed.stdout.strip().partition("=")
    bare_site.environment[name] = queue_url
    return bare_site


@pytest.fixture
def clients(bare_site: Site) -> SimpleNamespace:
    """Clients as the core takes them, with all rights."""
    names = ("s3", "sagemaker", "sqs", "ecr", "cloudformation")
    return SimpleNamespace(**{name: bare_site.client(name) for name in names})


@pytest.fixture
def accepted() -> AcceptedRequests:
    """What a stack over the bucket accepts."""
    return AcceptedRequests(
        queue_name="requests",
        input_folder=S3Uri(BUCKET, "input/"),
        output_folder=S3Uri(BUCKET, "output/"),
        instance_types=("ml.g5.xlarge", "ml.m5.xlarge"),
    )
