"""`launch` with the real SageMaker SDK, against a server that records what is asked of AWS."""

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from batch_transform.service_contract import violations

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-sagemaker-sdk" / "bin" / "python"
pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason="the SageMaker SDK is not installed: make sdk-test"
)
BUCKETS = (
    "<ListAllMyBucketsResult><Buckets><Bucket><Name>bucket</Name>"
    "<CreationDate>2026-01-01T00:00:00Z</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>"
)
DENIED = (
    "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
)
TELEMETRY_OFF = """\
SchemaVersion: "1.0"
SageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}
"""
ARN = "arn:aws:sagemaker:us-east-1:000000000000:training-job/job"
TRAINING_JOB = {
    "TrainingJobName": "job",
    "TrainingJobArn": ARN,
    "TrainingJobStatus": "InProgress",
    "SecondaryStatus": "Starting",
    "ModelArtifacts": {"S3ModelArtifacts": "s3://bucket/models/model.tar.gz"},
    "AlgorithmSpecification": {"TrainingInputMode": "File"},
    "ResourceConfig": {"VolumeSizeInGB": 30},
    "StoppingCondition": {},
    "CreationTime": 1,
}


class Recorder(BaseHTTPRequestHandler):
    """As much of AWS as the SDK asks before it creates a training job."""

    # An HTTP/1.0 server sends no 100 Continue, for which botocore waits a second with each file.
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        self.server.uploaded.append(self.path)
        self._answer(200, "")

    def do_GET(self):
        self._answer(200, BUCKETS)

    def do_POST(self):
        operation = self.headers.get("X-Amz-Target", "")
        if not operation:  # IAM and STS: the SDK goes on where it may not ask
            self._answer(403, DENIED)
        elif operation.endswith("CreateTrainingJob"):
            self.server.asked.append(json.loads(self._body))
            self._answer(200, json.dumps({"TrainingJobArn": ARN}))
        else:
            self._answer(200, json.dumps(TRAINING_JOB))

    def parse_request(self):
        """Read the body with the head, whatever the method."""
        read = super().parse_request()
        self._body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) if read else b""
        return read

    def log_message(self, *_):
        """Say nothing."""

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())


@pytest.fixture
def recorder() -> Iterator[ThreadingHTTPServer]:
    """The server, with what was `uploaded` and `asked`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    server.uploaded, server.asked = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_the_sdk_sends_the_code_and_asks_for_the_job(recorder, tmp_path):
    """A spot job with checkpoints and metrics, and the code in the bucket of the output."""
    options = {
        "--train": "s3://bucket/train.csv",
        "--s3-output": "s3://bucket/models",
        "--s3-checkpoints": "s3://bucket/checkpoints",
        "--training-image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/pytorch:2",
        "--role-arn": "arn:aws:iam::000000000000:role/training",
        "--base-model": "s3://bucket/base/",
        "--hyperparameter": "epochs=2",
        "--region": "us-east-1",
    }
    without_telemetry = tmp_path / "config.yaml"
    without_telemetry.write_text(TELEMETRY_OFF)
    done = subprocess.run(
        [PYTHON, "-m", "fine_tuning", "launch", "--no-wait", *sum(options.items(), ())],
        cwd=ROOT,
        env={
            "HOME": str(tmp_path),
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(without_telemetry),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{recorder.server_port}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
        },
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (job,) = recorder.asked
    assert list(violations("sagemaker", "CreateTrainingJob", job)) == []
    assert job["HyperParameters"] == {"epochs": "2"}
    assert job["EnableManagedSpotTraining"] is True
    assert job["CheckpointConfig"]["S3Uri"] == "s3://bucket/checkpoints"
    assert {"train", "base_model", "code"} <= {
        channel["ChannelName"] for channel in job["InputDataConfig"]
    }
    assert "macro_f1" in {one["Name"] for one in job["AlgorithmSpecification"]["MetricDefinitions"]}
    assert any(
        path.endswith("/code/fine_tuning/sagemaker_training_job.py") for path in recorder.uploaded
    )
