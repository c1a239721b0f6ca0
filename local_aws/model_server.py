"""
The container's own server as a subprocess: how it is started, asked and ended.

Knows the container's protocol: ``serve``, /ping, /execution-parameters, /invocations and the
environment SageMaker sets. Knows neither S3 nor how a job is cut into mini-batches.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from local_aws.container_image import ContainerImage
from local_aws.job_log import JobLog
from local_aws.parent_bound import parent_bound

USER_AGENT = "Go-http-client/1.1"
PING_TIMEOUT_IN_SECONDS = 2.0
PING_INTERVAL_IN_SECONDS = 0.1
RETRY_INTERVAL_IN_SECONDS = 0.2
STRATEGY_IN_ENVIRONMENT = {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}


class ServerGoneError(Exception):
    """The server's process has ended, so no request of the job can be answered any more."""


class InvocationError(Exception):
    """One mini-batch got no usable answer; the message is what SageMaker writes in its data log."""

    def __init__(self, message: str, *, is_client_error: bool) -> None:
        super().__init__(message)
        self.is_client_error = is_client_error


@dataclass(frozen=True)
class InvocationRule:
    """What a job says about its requests: ContentType, Accept and ModelClientConfig."""

    headers: dict[str, str]
    timeout_in_seconds: float
    max_retries: int

    @classmethod
    def of_job(cls, job: Mapping[str, Any]) -> "InvocationRule":
        """Read it from what DescribeTransformJob answers; AWS's defaults where it is silent."""
        client_config = job.get("ModelClientConfig", {})
        headers = {
            "User-Agent": USER_AGENT,
            "Content-Type": job["TransformInput"].get("ContentType"),
            "Accept": job["TransformOutput"].get("Accept"),
        }
        return cls(
            headers={name: value for name, value in headers.items() if value},
            timeout_in_seconds=client_config.get("InvocationsTimeoutInSeconds", 600),
            max_retries=client_config.get("InvocationsMaxRetries", 3),
        )


def server_environment(
    image: ContainerImage, container: Mapping[str, Any], job: Mapping[str, Any]
) -> dict[str, str]:
    """
    Return what the image, the Model and the job set, the later over the earlier.

    SageMaker tells the container of a limit only where the API call set it. Nothing of the
    agent's own environment comes along: no credentials, no proxies, no Python paths.
    """
    settings = {
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": job.get("MaxPayloadInMB"),
        "SAGEMAKER_BATCH_STRATEGY": STRATEGY_IN_ENVIRONMENT.get(job.get("BatchStrategy", "")),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": job.get("MaxConcurrentTransforms"),
    }
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
        **image.environment,
        **container.get("Environment", {}),
        **job.get("Environment", {}),
        **{name: str(value) for name, value in settings.items() if value is not None},
        "SAGEMAKER_BATCH": "true",
    }


class ModelServer:
    """One running server; start it from the thread that outlives it."""

    def __init__(
        self, image: ContainerImage, environment: Mapping[str, str], model_dir: Path, log: JobLog
    ) -> None:
        port = _free_port()
        self._log = log
        self._http = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=100, retries=False)
        self._process = subprocess.Popen(  # noqa: S603 - the image's own ENTRYPOINT
            parent_bound([*image.entrypoint, "serve"], dies_by=signal.SIGKILL),
            cwd=image.folder,
            env={
                **environment,
                "HOME": str(model_dir.parent),
                "SM_MODEL_DIR": str(model_dir),
                "SAGEMAKER_BIND_TO_PORT": str(port),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # so that its workers can be ended with it
        )
        self._log_reader = threading.Thread(target=self._copy_output, daemon=True)
        self._log_reader.start()

    def wait_until_ready(self, deadline: float, end: threading.Event) -> None:
        """
        Wait for /ping to answer 200, each try for at most two seconds.

        Raises ServerGoneError if the process ends or the monotonic clock passes *deadline*.
        """
        while not end.is_set():
            if self._answers_ping():
                return
            self._check_is_alive()
            if time.monotonic() > deadline:
                message = (
                    "AlgorithmError: the container did not pass the ping health check. Its last "
                    f"log line: {self._log.last_line}"
                )
                raise ServerGoneError(message)
            end.wait(PING_INTERVAL_IN_SECONDS)

    def execution_parameters(self) -> dict[str, Any]:
        """What the container itself asks for; nothing where it has no such route."""
        try:
            answer = self._http.request(
                "GET",
                "/execution-parameters",
                headers={"User-Agent": USER_AGENT},
                timeout=PING_TIMEOUT_IN_SECONDS,
            )
            return json.loads(answer.data) if answer.status == 200 else {}
        except (urllib3.exceptions.HTTPError, json.JSONDecodeError):
            return {}

    def invoke(self, body: bytes, rule: InvocationRule) -> bytes:
        """
        Post one mini-batch and return the answer.

        A 4xx is final; a 5xx or no answer is tried again, *max_retries* times. Raises
        InvocationError, or ServerGoneError if the process has ended.
        """
        for retries_left in range(rule.max_retries, -1, -1):
            try:
                return self._post(body, rule)
            except InvocationError as error:
                self._check_is_alive()
                if error.is_client_error or not retries_left:
                    raise
                time.sleep(RETRY_INTERVAL_IN_SECONDS)
        raise AssertionError  # the last turn returns or raises

    def kill(self) -> None:
        """End the process and all it started, at once, as an instance that is taken away."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log_reader.join(timeout=PING_TIMEOUT_IN_SECONDS)

    def _post(self, body: bytes, rule: InvocationRule) -> bytes:
        try:
            answer = self._http.request(
                "POST",
                "/invocations",
                body=body,
                headers=rule.headers,
                timeout=rule.timeout_in_seconds,
            )
        except urllib3.exceptions.HTTPError as error:
            message = "Unable to get response from algorithm"
            raise InvocationError(message, is_client_error=False) from error
        if answer.status == 200:
            return answer.data
        is_client_error = 400 <= answer.status < 500
        kind = "ClientError" if is_client_error else "Bad HTTP status received from algorithm"
        said = answer.data[:300].decode(errors="replace")
        message = f"{kind}: {answer.status} {said}".strip()
        raise InvocationError(message, is_client_error=is_client_error)

    def _answers_ping(self) -> bool:
        try:
            answer = self._http.request(
                "GET",
                "/ping",
                headers={"User-Agent": USER_AGENT},
                timeout=PING_TIMEOUT_IN_SECONDS,
            )
        except urllib3.exceptions.HTTPError:
            return False
        return answer.status == 200

    def _check_is_alive(self) -> None:
        exit_code = self._process.poll()
        if exit_code is not None:
            self._log_reader.join(timeout=PING_TIMEOUT_IN_SECONDS)
            message = f"AlgorithmError: {self._log.last_line}, exit code: {exit_code}"
            raise ServerGoneError(message)

    def _copy_output(self) -> None:
        for line in self._process.stdout or ():
            self._log.write(line.rstrip("\n"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
