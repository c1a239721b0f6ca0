"""
The transform agent: takes jobs from the control plane, runs them and reports how they ended.

Knows leases: one renewed while its job runs, and the end of the job when it cannot be. Runs in a
process of its own; any number of agents may share a control plane.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import urllib3

from local_aws.aws_clients import AwsClients
from local_aws.container_image import ContainerImage
from local_aws.instance_share import JobEndedError
from local_aws.job_control import ClaimedJob, JobControl
from local_aws.job_log import JobLog
from local_aws.sagemaker_state import LeaseLostError
from local_aws.transform_job_run import JobFailedError, TransformJobRun

RENEWALS_A_LEASE = 10
CLAIM_INTERVAL_IN_SECONDS = 0.1

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AgentSettings:
    """
    How an agent works.

    Attributes
    ----------
    container_dir
        The folder of the container every job runs, whatever its Image says.
    log_dir
        Where each job's logs are written as files.
    concurrent_jobs
        How many jobs it runs at once.
    lease_in_seconds
        How long a job stays its own without a word from it; a stop is seen within a tenth.
    ready_timeout_in_seconds
        How long a container may take to answer /ping; SageMaker gives up after some 30 minutes.
    """

    container_dir: Path
    log_dir: Path
    concurrent_jobs: int = 1
    lease_in_seconds: float = 5.0
    ready_timeout_in_seconds: float = 300.0


class LeaseKeeper:
    """Renews a job's lease until *end*; sets *end* when the job is stopped or no longer held."""

    def __init__(self, renew: Callable[[], str], interval: float, end: threading.Event) -> None:
        self.is_stopping = False
        self._renew = renew
        self._interval = interval
        self._end = end
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until the last renewal is over; *end* must be set."""
        self._thread.join()

    def _keep(self) -> None:
        while not self._end.wait(self._interval):
            try:
                self.is_stopping = self._renew() == "Stopping"
            except LeaseLostError:
                self._end.set()
            except (urllib3.exceptions.HTTPError, RuntimeError) as error:
                logger.warning("a lease was not renewed: %s", error)
            if self.is_stopping:
                self._end.set()


class TransformAgent:
    """Claims jobs until told to stop."""

    def __init__(self, control: JobControl, clients: AwsClients, settings: AgentSettings) -> None:
        self._control = control
        self._clients = clients
        self._settings = settings
        self._ends: set[threading.Event] = set()

    def run_until(self, stop: threading.Event) -> None:
        """Run jobs until *stop* is set; the ones still running are left to another agent."""
        free = threading.Semaphore(self._settings.concurrent_jobs)
        with ThreadPoolExecutor(self._settings.concurrent_jobs) as pool:
            while not stop.is_set():
                if not free.acquire(timeout=CLAIM_INTERVAL_IN_SECONDS):
                    continue
                job = self._claim()
                if job is None:
                    free.release()
                    stop.wait(CLAIM_INTERVAL_IN_SECONDS)
                    continue
                pool.submit(self._run, job).add_done_callback(lambda _: free.release())
            for end in tuple(self._ends):
                end.set()

    def _claim(self) -> ClaimedJob | None:
        try:
            return self._control.claim()
        except (urllib3.exceptions.HTTPError, RuntimeError) as error:
            logger.warning("no job could be claimed: %s", error)
            return None

    def _run(self, job: ClaimedJob) -> None:
        end = threading.Event()
        self._ends.add(end)
        interval = self._settings.lease_in_seconds / RENEWALS_A_LEASE
        keeper = LeaseKeeper(lambda: self._control.renew(job), interval, end)
        try:
            status, failure_reason = self._outcome(job, end)
        finally:
            end.set()
            keeper.join()
            self._ends.discard(end)
        if status == "Stopped" and not keeper.is_stopping:
            return  # the job is another agent's now, or will be
        try:
            self._control.finish(job, status, failure_reason)
        except (LeaseLostError, urllib3.exceptions.HTTPError, RuntimeError) as error:
            logger.warning("job %s was run but not closed: %s", job.name, error)

    def _outcome(self, job: ClaimedJob, end: threading.Event) -> tuple[str, str | None]:
        run = TransformJobRun(
            job=job,
            s3=self._clients.s3(job.home),
            read_image=lambda: ContainerImage.of_folder(self._settings.container_dir),
            open_log=lambda stream: self._open_log(job, stream),
            ready_timeout_in_seconds=self._settings.ready_timeout_in_seconds,
            end=end,
        )
        try:
            run.run()
        except JobEndedError:
            return "Stopped", None
        except JobFailedError as error:
            return "Failed", str(error)
        except Exception as error:
            logger.exception("job %s broke the agent", job.name)
            return "Failed", f"InternalServerError: We encountered an internal error: {error!r}"
        return "Completed", None

    def _open_log(self, job: ClaimedJob, stream: str) -> JobLog:
        path = self._settings.log_dir / job.name / f"{stream.replace('/', '.')}.log"
        return JobLog(self._clients.logs(job.home), f"{job.name}/{stream}", path)
