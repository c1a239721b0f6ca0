"""
A local AWS that runs beside the caller: start it, wait for it, find it again, stop it.

Knows the file by which one process finds another: it holds the address and is locked for as
long as that process lives, so a crash leaves nothing that looks alive.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import boto3
from botocore.client import BaseClient

from local_aws.parent_bound import parent_bound

REGION = "us-east-1"
ACCESS_KEY = "test"
START_TIMEOUT_IN_SECONDS = 60.0
STOP_TIMEOUT_IN_SECONDS = 20.0
POLL_INTERVAL_IN_SECONDS = 0.02
FILE_NAME = "local_aws.json"
LOG_NAME = "local_aws.log"


class LocalAwsError(Exception):
    """The local AWS could not be started, found or stopped."""


@dataclass(frozen=True)
class LocalAws:
    """A running local AWS: where it answers and which process it is."""

    endpoint_url: str
    pid: int

    def environment(self) -> dict[str, str]:
        """What to set so that boto3, the AWS CLI and the scripts reach it, and nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service_name: str) -> BaseClient:
        """Return a new boto3 client of it, whatever the caller's own environment says."""
        return boto3.client(
            service_name,
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=ACCESS_KEY,
        )


@contextlib.contextmanager
def running(
    container_dir: Path | str = "custom_container", options: Sequence[str] = ()
) -> Iterator[LocalAws]:
    """
    Run a local AWS of one's own on a free port, for as long as the block lasts.

    *options* are those of ``python -m local_aws start``, with absolute paths. It dies with the
    caller, even one that is killed; enter the block from a thread that lives as long.
    """
    with tempfile.TemporaryDirectory(prefix="local-aws-") as folder:
        state_dir = Path(folder)
        own = ["--port", "0", "--container-dir", str(Path(container_dir).absolute())]
        try:
            yield start(state_dir, [*own, *options], dies_with_caller=True)
        finally:
            stop(state_dir)


def start(
    state_dir: Path, options: Sequence[str] = (), *, dies_with_caller: bool = False
) -> LocalAws:
    """
    Start one in the background and wait until it answers; its output goes to a log file.

    *options* are those of ``python -m local_aws start``, with absolute paths. Raises LocalAwsError
    with what it said if it does not come up.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    log_path = state_dir / LOG_NAME
    command = [sys.executable, "-m", "local_aws", "start", "--state-dir", str(state_dir.absolute())]
    command += options
    if dies_with_caller:
        command = parent_bound(command, dies_by=signal.SIGTERM)
    with log_path.open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - our own module
            command,
            cwd=Path(__file__).parents[1],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_TIMEOUT_IN_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        local_aws = find(state_dir)
        if local_aws and local_aws.pid == process.pid:
            return local_aws
        time.sleep(POLL_INTERVAL_IN_SECONDS)
    process.kill()
    process.wait()
    message = f"The local AWS did not start. It said: {log_path.read_text().strip() or 'nothing'}"
    raise LocalAwsError(message)


def find(state_dir: Path) -> LocalAws | None:
    """Return the local AWS that runs from *state_dir* and is ready, or None."""
    try:
        with (state_dir / FILE_NAME).open() as file:
            if _lock(file.fileno(), fcntl.LOCK_SH):
                return None
            return LocalAws(**json.load(file))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def stop(state_dir: Path) -> bool:
    """Stop the local AWS of *state_dir* and wait for its end; return whether one was running."""
    local_aws = find(state_dir)
    if local_aws is None:
        return False
    os.kill(local_aws.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_IN_SECONDS
    while find(state_dir):
        if time.monotonic() > deadline:
            os.kill(local_aws.pid, signal.SIGKILL)
            message = f"process {local_aws.pid} did not stop in time and was killed"
            raise LocalAwsError(message)
        time.sleep(POLL_INTERVAL_IN_SECONDS)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(local_aws.pid, 0)
    return True


class Registration:
    """The caller's own entry in *state_dir*; taken at once, filled in when it is ready."""

    def __init__(self, state_dir: Path) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        # A bare descriptor: nothing but the end of the process closes it, and so the lock.
        self._descriptor = os.open(state_dir / FILE_NAME, os.O_RDWR | os.O_CREAT)
        if not _lock(self._descriptor, fcntl.LOCK_EX):
            message = (
                f"A local AWS already runs from {state_dir}. Stop it: python -m local_aws stop"
            )
            raise LocalAwsError(message)
        os.ftruncate(self._descriptor, 0)

    def fill_in(self, local_aws: LocalAws) -> None:
        """Let others find it."""
        os.write(self._descriptor, json.dumps(asdict(local_aws)).encode())


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
