"""
One run of a transform job, from its model artifact to its last ``.out`` object.

Knows SageMaker's order of things: unpack the model, start a server an instance, share the objects
out by key, say why the job failed. Knows nothing of leases; it is told to end by an event.
"""

import contextlib
import tarfile
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from local_aws import missing_gpu
from local_aws.container_image import ContainerImage, ContainerImageError
from local_aws.execution_parameters import ExecutionParameters
from local_aws.instance_share import InstanceShare, JobEndedError
from local_aws.job_control import ClaimedJob
from local_aws.job_log import JobLog
from local_aws.model_server import ModelServer, ServerGoneError, server_environment
from local_aws.output_object import OutputObject
from local_aws.s3_objects import InputObject, ManifestError, S3Object, input_objects


class JobFailedError(Exception):
    """The job is Failed; the message is its FailureReason."""


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
                environment = self._environment(image, logs)
                servers = []
                for log in logs:
                    servers.append(ModelServer(image, environment, model_dir, log))
                    stack.callback(servers[-1].kill)
                self._transform(servers, data_log)
            except ServerGoneError as error:
                raise JobFailedError(str(error)) from error
            except (BotoCoreError, ClientError, ManifestError) as error:
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

    def _environment(self, image: ContainerImage, logs: list[JobLog]) -> dict[str, str]:
        environment = server_environment(image, self._container, self._description)
        if not missing_gpu.is_missed(environment):
            return environment
        instance_type = self._description["TransformResources"]["InstanceType"]
        for log in logs:
            log.write(
                f"[local aws]: {instance_type} has a GPU and this machine has none: the container "
                f"gets {missing_gpu.REQUIRE_GPU}=false and computes on the CPU"
            )
        return {**environment, missing_gpu.REQUIRE_GPU: "false"}

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
        if self.end.is_set():
            raise JobEndedError
        parameters = ExecutionParameters.resolve(self._description, servers[0])
        data_log.write(f"[sagemaker logs]: {parameters}")
        with ThreadPoolExecutor(len(servers)) as pool:
            shares = [
                pool.submit(self._share(server, parameters, data_log).transform, objects)
                for server, objects in zip(servers, self._objects(), strict=True)
            ]
        lost = [error for share in shares if (error := share.exception())]
        if lost:
            # The instance that was lost first made the others end.
            raise min(lost, key=lambda error: isinstance(error, JobEndedError))
        failed = [output for share in shares for output in share.result()]
        if failed:
            raise JobFailedError(_failure_reason(failed))

    def _objects(self) -> list[Iterator[InputObject]]:
        """The objects of each instance: every n-th key as S3 lists them."""
        data_source = self._description["TransformInput"]["DataSource"]["S3DataSource"]
        count = self._instance_count
        return [islice(input_objects(self.s3, data_source), n, None, count) for n in range(count)]

    def _share(
        self, server: ModelServer, parameters: ExecutionParameters, data_log: JobLog
    ) -> InstanceShare:
        return InstanceShare(server, parameters, self._description, self.s3, data_log, self.end)


def _failure_reason(failed: list[OutputObject]) -> str:
    first = failed[0]
    kind = "ClientError" if first.failure.is_client_error else "AlgorithmError"
    others = f"; {len(failed) - 1} more failed" if len(failed) > 1 else ""
    said = f"{first.source.source}: {first.failure}{others}"
    return f"{kind}: See job logs for more information. {said}"


def _instance_id() -> str:
    return f"i-{uuid.uuid4().hex[:17]}-{int(time.time())}"
