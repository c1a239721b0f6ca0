"""
One run of a transform job, from its model artifact to its last ``.out`` object.

Knows SageMaker's order of things: unpack the model, start a server an instance, share the objects
out, keep MaxConcurrentTransforms requests in flight on each, let a failed object fail alone.
Knows nothing of leases; it is told to end by an event.
"""

import contextlib
import tarfile
import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from local_aws.container_image import ContainerImage, ContainerImageError
from local_aws.job_control import ClaimedJob
from local_aws.job_log import JobLog
from local_aws.mini_batches import BYTES_IN_MB, MiniBatchRule, RecordTooLargeError
from local_aws.model_server import (
    STRATEGY_IN_ENVIRONMENT,
    InvocationError,
    InvocationRule,
    ModelServer,
    ServerGoneError,
    server_environment,
)
from local_aws.output_object import OutputObject
from local_aws.request_rules import DEFAULT_MAX_PAYLOAD_IN_MB
from local_aws.s3_objects import InputObject, S3Object, input_objects

# Answers that wait for an earlier one of their object take up to this many turns each.
MINI_BATCHES_AHEAD_FOR_EACH_REQUEST = 2
POLL_INTERVAL_IN_SECONDS = 0.1


class JobFailedError(Exception):
    """The job is Failed; the message is its FailureReason."""


class JobEndedError(Exception):
    """The job was told to end before it was done."""


@dataclass(frozen=True)
class ExecutionParameters:
    """What SageMaker logs first: the job's own values, else the container's, else the defaults."""

    max_concurrent_transforms: int
    max_payload_in_mb: int
    batch_strategy: str

    @classmethod
    def resolve(cls, job: dict[str, Any], server: ModelServer) -> "ExecutionParameters":
        """Ask the container only for what the job leaves open; 0 concurrent counts as open."""
        is_open = not job.get("MaxConcurrentTransforms")
        is_open |= "MaxPayloadInMB" not in job or "BatchStrategy" not in job
        asked = server.execution_parameters() if is_open else {}
        strategy = job.get("BatchStrategy") or asked.get("BatchStrategy", "MULTI_RECORD")
        return cls(
            job.get("MaxConcurrentTransforms") or int(asked.get("MaxConcurrentTransforms", 1)),
            job.get("MaxPayloadInMB", int(asked.get("MaxPayloadInMB", DEFAULT_MAX_PAYLOAD_IN_MB))),
            STRATEGY_IN_ENVIRONMENT.get(strategy, strategy),
        )

    def __str__(self) -> str:
        return (
            f"MaxConcurrentTransforms={self.max_concurrent_transforms}, "
            f"MaxPayloadInMB={self.max_payload_in_mb}, BatchStrategy={self.batch_strategy}"
        )

    def mini_batch_rule(self, split_type: str) -> MiniBatchRule:
        """How the job's objects are cut."""
        return MiniBatchRule(
            is_split_by_line=split_type == "Line",
            is_single_record=self.batch_strategy == "SINGLE_RECORD",
            max_payload_in_bytes=self.max_payload_in_mb * BYTES_IN_MB or None,
        )


@dataclass(frozen=True)
class TransformJobRun:
    """
    Everything one run needs.

    Attributes
    ----------
    open_log
        Opens a log stream of the job by its name below the job's.
    ready_timeout_in_seconds
        How long the servers may take to answer /ping.
    end
        Set from outside to end the run, and by the run itself once it is lost.
    """

    job: ClaimedJob
    s3: BaseClient
    read_image: Callable[[], ContainerImage]
    open_log: Callable[[str], JobLog]
    ready_timeout_in_seconds: float
    end: threading.Event

    def run(self) -> None:
        """Run the job to its end; raise JobFailedError or JobEndedError."""
        with contextlib.ExitStack() as stack:
            instances = [_instance_id() for _ in range(self._instance_count)]
            streams = [*instances, f"{instances[0]}/data-log"]
            opened = (self.open_log(stream) for stream in streams)
            *logs, data_log = [stack.enter_context(contextlib.closing(log)) for log in opened]
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="transform-job-")))
            try:
                model_dir = self._unpack_model(folder)
                image = self._image()
                environment = server_environment(image, self._container, self._description)
                servers = [ModelServer(image, environment, model_dir, log) for log in logs]
                for server in servers:
                    stack.callback(server.kill)
                self._transform(servers, data_log)
            except ServerGoneError as error:
                raise JobFailedError(str(error)) from error
            except (BotoCoreError, ClientError) as error:
                message = f"ClientError: {error}"
                raise JobFailedError(message) from error

    @property
    def _description(self) -> dict[str, Any]:
        return self.job.description

    @property
    def _container(self) -> dict[str, Any]:
        if self.job.model is None:
            model_name = self._description["ModelName"]
            arn = self.job.home.arn("model", model_name)
            message = f'ClientError: Could not find model "{arn}".'
            raise JobFailedError(message)
        return self.job.model["PrimaryContainer"]

    @property
    def _instance_count(self) -> int:
        return self._description["TransformResources"]["InstanceCount"]

    def _image(self) -> ContainerImage:
        try:
            return self.read_image()
        except ContainerImageError as error:
            message = f"ClientError: cannot start {self._container.get('Image')}: {error}"
            raise JobFailedError(message) from error

    def _unpack_model(self, folder: Path) -> Path:
        model_dir = folder / "model"
        model_dir.mkdir()
        model_data_url = self._container.get("ModelDataUrl")
        if not model_data_url:
            return model_dir
        where = S3Object.from_uri(model_data_url)
        archive = folder / "model.tar.gz"
        self.s3.download_file(where.bucket, where.key, str(archive))
        try:
            with tarfile.open(archive) as tar:
                tar.extractall(model_dir, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            message = f"ClientError: Failed to extract model data {model_data_url}: {error}"
            raise JobFailedError(message) from error
        archive.unlink()
        return model_dir

    def _transform(self, servers: list[ModelServer], data_log: JobLog) -> None:
        deadline = time.monotonic() + self.ready_timeout_in_seconds
        for server in servers:
            server.wait_until_ready(deadline, self.end)
        self._check_end()
        parameters = ExecutionParameters.resolve(self._description, servers[0])
        data_log.write(f"[sagemaker logs]: {parameters}")
        with ThreadPoolExecutor(len(servers)) as pool:
            shares = [
                pool.submit(self._transform_share, server, parameters, self._share(index), data_log)
                for index, server in enumerate(servers)
            ]
        lost = [error for share in shares if (error := share.exception())]
        if lost:
            # The instance that was lost first made the others end.
            raise min(lost, key=lambda error: isinstance(error, JobEndedError))
        failed = [output for share in shares for output in share.result()]
        if failed:
            raise JobFailedError(_failure_reason(failed))

    def _share(self, index: int) -> Iterator[InputObject]:
        """The objects of one instance: every n-th key as S3 lists them."""
        data_source = self._description["TransformInput"]["DataSource"]["S3DataSource"]
        return islice(input_objects(self.s3, data_source), index, None, self._instance_count)

    def _transform_share(
        self,
        server: ModelServer,
        parameters: ExecutionParameters,
        objects: Iterator[InputObject],
        data_log: JobLog,
    ) -> list[OutputObject]:
        """Transform one instance's objects and return those that failed."""
        rule = InvocationRule.of_job(self._description)
        concurrent = parameters.max_concurrent_transforms
        turns: deque[_Turn] = deque()
        failed: list[OutputObject] = []
        pool = ThreadPoolExecutor(concurrent)
        try:
            for output, body in self._mini_batches(objects, parameters):
                answer = pool.submit(server.invoke, body, rule) if body is not None else None
                turns.append(_Turn(output, answer))
                if len(turns) >= concurrent * MINI_BATCHES_AHEAD_FOR_EACH_REQUEST:
                    failed += self._take(turns.popleft(), data_log)
            while turns:
                failed += self._take(turns.popleft(), data_log)
        except BaseException:
            # One instance that is lost ends the job, and requests in flight end with the server.
            self.end.set()
            server.kill()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        return failed

    def _mini_batches(
        self, objects: Iterator[InputObject], parameters: ExecutionParameters
    ) -> Iterator[tuple[OutputObject, bytes | None]]:
        """Yield each object's mini-batches, then None for its end."""
        rule = parameters.mini_batch_rule(self._description["TransformInput"].get("SplitType", ""))
        is_joined = self._description["TransformOutput"].get("AssembleWith") == "Line"
        for found in objects:
            output = OutputObject(found, separator=b"\n" if is_joined else b"")
            with tempfile.TemporaryFile() as content:
                self.s3.download_fileobj(found.source.bucket, found.source.key, content)
                content.seek(0)
                try:
                    for body in rule.cut(content):
                        if output.failure:
                            break
                        yield output, body
                except RecordTooLargeError as error:
                    output.failure = InvocationError(f"ClientError: {error}", is_client_error=True)
            yield output, None

    def _take(self, turn: "_Turn", data_log: JobLog) -> list[OutputObject]:
        """Wait for one turn; at an object's end, store its output or return it as failed."""
        output = turn.output
        if turn.answer:
            try:
                answer = self._wait_for(turn.answer)
                if not output.failure:
                    output.add(answer)
            except InvocationError as error:
                output.failure = output.failure or error
            return []
        if not output.failure:
            output.upload(self.s3, S3Object.from_uri(self._output_path))
        else:
            data_log.write(f"[sagemaker logs]: {output.source.source}: {output.failure}")
        output.close()
        return [output] if output.failure else []

    @property
    def _output_path(self) -> str:
        return self._description["TransformOutput"]["S3OutputPath"]

    def _wait_for(self, answer: "Future[bytes]") -> bytes:
        while True:
            self._check_end()
            try:
                return answer.result(timeout=POLL_INTERVAL_IN_SECONDS)
            except FutureTimeoutError:
                continue

    def _check_end(self) -> None:
        if self.end.is_set():
            raise JobEndedError


@dataclass(frozen=True)
class _Turn:
    """One place in the order of a share: a mini-batch's answer to come, or an object's end."""

    output: OutputObject
    answer: "Future[bytes] | None"


def _failure_reason(failed: list[OutputObject]) -> str:
    first = failed[0]
    is_client_error = getattr(first.failure, "is_client_error", False)
    kind = "ClientError" if is_client_error else "AlgorithmError"
    others = f"; {len(failed) - 1} more failed" if len(failed) > 1 else ""
    said = f"{first.source.source}: {first.failure}{others}"
    return f"{kind}: See job logs for more information. {said}"


def _instance_id() -> str:
    return f"i-{uuid.uuid4().hex[:17]}-{int(time.time())}"
