"""The scripts as an operator runs them: processes of their own, in a folder of their own."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from local_aws import LocalAws, running

ROOT = Path(__file__).parents[2]
QUICK_CONTAINER = ROOT / "tests" / "quick_container"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/dispute-classifier:latest"
ROLE = "arn:aws:iam::000000000000:role/dispute-classifier-execution"
DEADLINE_IN_SECONDS = 300


@pytest.fixture(scope="session", autouse=True)
def signals_reach_scripts() -> None:
    """What nohup or `&` lets these tests ignore, the scripts that they start would ignore, too."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)  # a handler is not inherited


@dataclass
class Operator:
    """Someone at a terminal, with a bucket and a folder."""

    cwd: Path
    bucket: str
    aws: Callable[[str], Any]
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, script: str, *arguments: str, **variables: str | None) -> subprocess.Popen:
        """Start a script; a variable given as None is taken away."""
        environment = self.environment | variables
        return subprocess.Popen(
            [sys.executable, str(ROOT / script), *arguments],
            cwd=self.cwd,
            env={name: value for name, value in environment.items() if value is not None},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, script: str, *arguments: str, **variables: str | None
    ) -> subprocess.CompletedProcess:
        """Run a script to its end."""
        process = self.start(script, *arguments, **variables)
        return self.finish(process)

    def interrupt(
        self, process: subprocess.Popen, number: int = signal.SIGINT
    ) -> subprocess.CompletedProcess:
        """Press Ctrl-C, or send another signal."""
        process.send_signal(number)
        return self.finish(process)

    def finish(self, process: subprocess.Popen) -> subprocess.CompletedProcess:
        """Wait for a script's end."""
        stdout, stderr = process.communicate(timeout=DEADLINE_IN_SECONDS)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def upload(self, **files: bytes) -> None:
        """Put `name=b"…"` into the bucket as `input/name.txt`."""
        for name, body in files.items():
            self.aws("s3").put_object(Bucket=self.bucket, Key=f"input/{name}.txt", Body=body)

    def object_keys(self, prefix: str = "") -> list[str]:
        """List the bucket."""
        pages = self.aws("s3").get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for page in found for entry in page.get("Contents", [])]

    def read(self, key: str) -> bytes:
        """Return an object."""
        return self.aws("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()


@contextlib.contextmanager
def operator_at(aws: LocalAws, cwd: Path) -> Iterator[Operator]:
    """An operator whose environment names everything a job needs but the model artifact."""
    client = cache(aws.client)
    bucket = f"legal-{uuid.uuid4().hex[:12]}"
    client("s3").create_bucket(Bucket=bucket)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(cwd),
        "PYTHONDONTWRITEBYTECODE": "1",
        "S3_BUCKET_NAME": bucket,
        "CONTAINER_IMAGE": IMAGE,
        "SAGEMAKER_ROLE_ARN": ROLE,
        **aws.environment(),
    }
    yield Operator(cwd, bucket, client, environment)
    stop_all_jobs(client("sagemaker"))


def stop_all_jobs(sagemaker: Any) -> None:
    """Stop what a test left running, so that the next one need not wait for it."""
    running = sagemaker.list_transform_jobs(StatusEquals="InProgress", MaxResults=100)
    for job in running["TransformJobSummaries"]:
        with contextlib.suppress(sagemaker.exceptions.ClientError):  # it may end just now
            sagemaker.stop_transform_job(TransformJobName=job["TransformJobName"])


@pytest.fixture(scope="session")
def packaged_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration model, packed once by the real script."""
    path = tmp_path_factory.mktemp("model") / "model.tar.gz"
    command = [sys.executable, "package_model.py", "--output-path", str(path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return path


@pytest.fixture
def operator(local_aws: LocalAws, tmp_path: Path) -> Iterator[Operator]:
    """An operator before package_model.py."""
    with operator_at(local_aws, tmp_path) as operator:
        yield operator


@pytest.fixture
def ready_operator(operator: Operator, packaged_model: Path) -> Operator:
    """An operator who has run package_model.py."""
    shutil.copy(packaged_model, operator.cwd / "model.tar.gz")
    return operator


@pytest.fixture(scope="session")
def quick_aws() -> Iterator[LocalAws]:
    """A local AWS whose container loads no model: for what becomes of jobs, not of texts."""
    with running(QUICK_CONTAINER) as started:
        yield started


@pytest.fixture
def quick_operator(quick_aws: LocalAws, packaged_model: Path, tmp_path: Path) -> Iterator[Operator]:
    """An operator at that one, who has run package_model.py."""
    with operator_at(quick_aws, tmp_path) as operator:
        shutil.copy(packaged_model, operator.cwd / "model.tar.gz")
        yield operator


@pytest.fixture
def operator_of_two_shards(quick_operator: Operator) -> Operator:
    """An operator with documents enough for two shards, long enough to be worth packing."""
    line = b"My landlord keeps my deposit." + b" confidentiality" * 94 + b".\n"
    quick_operator.upload(a=line * 30, b=line * 30)
    return quick_operator
