"""
What one instance does of a job: its objects, cut up, sent, and put together again in order.

Knows that MaxConcurrentTransforms requests are kept in flight across the borders of objects, and
that a failed object fails alone. Holds a bounded number of mini-batches, never a whole object.
"""

import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any

from botocore.client import BaseClient

from local_aws.execution_parameters import ExecutionParameters
from local_aws.job_log import JobLog
from local_aws.mini_batches import RecordTooLargeError
from local_aws.model_server import InvocationError, InvocationRule, ModelServer
from local_aws.output_object import OutputObject
from local_aws.s3_objects import InputObject, S3Object

# A slow answer holds up the ones behind it; this many for each request may wait for their turn.
MINI_BATCHES_FOR_EACH_REQUEST = 2
POLL_INTERVAL_IN_SECONDS = 0.1


class JobEndedError(Exception):
    """The job was told to end before it was done."""


@dataclass(frozen=True)
class _Turn:
    """One place in the order of a share: a mini-batch's answer to come, or an object's end."""

    output: OutputObject
    answer: "Future[bytes] | None"


@dataclass(frozen=True)
class InstanceShare:
    """
    One instance's part in a job.

    Attributes
    ----------
    job
        What DescribeTransformJob answers.
    data_log
        Where SageMaker names each object that failed.
    end
        Ends the share when it is set; the share sets it when its own server is lost.
    """

    server: ModelServer
    parameters: ExecutionParameters
    job: dict[str, Any]
    s3: BaseClient
    data_log: JobLog
    end: threading.Event

    def transform(self, objects: Iterator[InputObject]) -> list[OutputObject]:
        """
        Transform the objects and return those that failed.

        Raises JobEndedError, or ServerGoneError if the server's process ends.
        """
        rule = InvocationRule.of_job(self.job)
        concurrent = self.parameters.max_concurrent_transforms
        turns: deque[_Turn] = deque()
        failed: list[OutputObject] = []
        pool = ThreadPoolExecutor(concurrent)
        try:
            for output, body in self._mini_batches(objects):
                answer = None if body is None else pool.submit(self.server.invoke, body, rule)
                turns.append(_Turn(output, answer))
                if len(turns) >= concurrent * MINI_BATCHES_FOR_EACH_REQUEST:
                    failed += self._take(turns.popleft())
            while turns:
                failed += self._take(turns.popleft())
        except BaseException:
            # One instance that is lost ends the job, and requests in flight end with the server.
            self.end.set()
            self.server.kill()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        return failed

    def _mini_batches(
        self, objects: Iterator[InputObject]
    ) -> Iterator[tuple[OutputObject, bytes | None]]:
        """Yield each object's mini-batches, then None for its end."""
        rule = self.parameters.mini_batch_rule(self.job["TransformInput"].get("SplitType", "None"))
        is_joined = self.job["TransformOutput"].get("AssembleWith") == "Line"
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

    def _take(self, turn: _Turn) -> list[OutputObject]:
        """Wait for one turn; at an object's end, store its output or return it as failed."""
        if turn.answer is None:
            return self._close(turn.output)
        try:
            answer = self._wait_for(turn.answer)
        except InvocationError as error:
            turn.output.failure = turn.output.failure or error
        else:
            turn.output.add(answer)
        return []

    def _close(self, output: OutputObject) -> list[OutputObject]:
        if output.failure:
            self.data_log.write(f"[sagemaker logs]: {output.source.source}: {output.failure}")
        else:
            output_path = self.job["TransformOutput"]["S3OutputPath"]
            output.upload(self.s3, S3Object.from_uri(output_path))
        output.close()
        return [output] if output.failure else []

    def _wait_for(self, answer: "Future[bytes]") -> bytes:
        while not self.end.is_set():
            try:
                return answer.result(timeout=POLL_INTERVAL_IN_SECONDS)
            except FutureTimeoutError:
                continue
        raise JobEndedError
