"""
What the local SageMaker remembers: models, transform jobs, tags, and who is running which job.

Knows names, statuses and leases. Knows neither HTTP nor requests, and nothing outlives the
process: a fresh start is an empty account.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

FINAL_STATUSES = frozenset({"Completed", "Failed", "Stopped"})
FAILURE_REASON_LENGTH = 1024


@dataclass(frozen=True)
class Home:
    """The account and region in which a name is unique."""

    account_id: str
    region: str

    @property
    def arn_prefix(self) -> str:
        """What the ARN of each SageMaker resource here starts with."""
        return f"arn:aws:sagemaker:{self.region}:{self.account_id}:"

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a resource: ``model`` or ``transform-job``."""
        return f"{self.arn_prefix}{kind}/{name}"


@dataclass(frozen=True)
class Lease:
    """One agent's right to run a job until *expires_at*, in seconds of the state's clock."""

    lease_id: str
    expires_at: float


@dataclass
class TransformJob:
    """A job as DescribeTransformJob answers it, with what SageMaker keeps to itself."""

    home: Home
    description: dict[str, Any]
    last_modified_at: float
    lease: Lease | None = None

    @property
    def name(self) -> str:
        """The job's name."""
        return self.description["TransformJobName"]

    @property
    def arn(self) -> str:
        """The job's ARN."""
        return self.description["TransformJobArn"]

    @property
    def status(self) -> str:
        """InProgress, Stopping, Completed, Failed or Stopped."""
        return self.description["TransformJobStatus"]

    @property
    def is_final(self) -> bool:
        """Whether nothing more can happen to the job."""
        return self.status in FINAL_STATUSES

    @property
    def instance_type(self) -> str:
        """The type of its instances."""
        return self.description["TransformResources"]["InstanceType"]

    @property
    def instance_count(self) -> int:
        """How many instances it occupies while it is not final."""
        return self.description["TransformResources"]["InstanceCount"]


class LeaseLostError(Exception):
    """The job is finished, gone, or in the hands of another agent."""


@dataclass
class SageMakerState:
    """
    Everything the local SageMaker holds.

    Each method leaves it consistent; *lock* is for callers whose decision spans several.
    """

    now: Callable[[], float] = time.time
    lock: threading.RLock = field(default_factory=threading.RLock)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, TransformJob] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget everything; an agent that runs a job loses its lease."""
        with self.lock:
            self.models.clear()
            self.jobs.clear()
            self.tags.clear()

    def models_of(self, home: Home) -> list[dict[str, Any]]:
        """The models of one account and region, in no order."""
        with self.lock:
            here = home.arn_prefix
            return [model for arn, model in self.models.items() if arn.startswith(here)]

    def jobs_of(self, home: Home) -> list[TransformJob]:
        """The jobs of one account and region, in no order."""
        with self.lock:
            return [job for job in self.jobs.values() if job.home == home]

    def instances_in_use(self, home: Home, instance_type: str) -> int:
        """How many instances of a type the unfinished jobs of an account and region occupy."""
        return sum(
            job.instance_count
            for job in self.jobs_of(home)
            if job.instance_type == instance_type and not job.is_final
        )

    def add_job(self, home: Home, description: dict[str, Any], tags: dict[str, str]) -> None:
        """Take in a new job; *description* names its ARN."""
        with self.lock:
            job = TransformJob(home, description, last_modified_at=self.now())
            self.jobs[job.arn] = job
            self.tags[job.arn] = tags

    def set_status(self, job: TransformJob, status: str, failure_reason: str | None = None) -> None:
        """Move a job to *status*; a final one stamps TransformEndTime and ends its lease."""
        with self.lock:
            job.last_modified_at = self.now()
            job.description["TransformJobStatus"] = status
            if failure_reason:
                job.description["FailureReason"] = failure_reason[:FAILURE_REASON_LENGTH]
            if job.is_final:
                job.description["TransformEndTime"] = self.now()
                job.lease = None

    def claim(self, lease_in_seconds: float) -> TransformJob | None:
        """
        Lease the oldest unfinished job that nobody holds, or return None.

        A job whose lease ran out is nobody's: its agent is taken for dead and the job is run
        again from the start, as SageMaker does when it loses an instance.
        """
        with self.lock:
            job = next(self._claimable(), None)
            if job:
                job.lease = Lease(uuid.uuid4().hex, self.now() + lease_in_seconds)
                job.description.setdefault("TransformStartTime", self.now())
            return job

    def renew(self, job_arn: str, lease_id: str, lease_in_seconds: float) -> str:
        """Extend a lease and return the job's status: InProgress or Stopping."""
        with self.lock:
            job = self._leased(job_arn, lease_id)
            job.lease = Lease(lease_id, self.now() + lease_in_seconds)
            return job.status

    def finish(
        self, job_arn: str, lease_id: str, status: str, failure_reason: str | None
    ) -> TransformJob:
        """Close a job with a final status, in the name of the agent that holds it."""
        with self.lock:
            job = self._leased(job_arn, lease_id)
            self.set_status(job, status, failure_reason)
            return job

    def _claimable(self) -> Iterator[TransformJob]:
        for job in sorted(self.jobs.values(), key=lambda job: job.description["CreationTime"]):
            is_held = job.lease and job.lease.expires_at > self.now()
            if not job.is_final and not is_held:
                yield job

    def _leased(self, job_arn: str, lease_id: str) -> TransformJob:
        job = self.jobs.get(job_arn)
        if job is None or job.lease is None or job.lease.lease_id != lease_id:
            message = f"{job_arn} is not held by lease {lease_id}"
            raise LeaseLostError(message)
        return job
