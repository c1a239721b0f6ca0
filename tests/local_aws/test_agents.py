"""A lease says who runs a job; its end lets another agent take over, and no job is run twice."""

import contextlib
import os
import signal
import subprocess
import sys
import threading

import pytest

from local_aws import running
from local_aws.aws_clients import AwsClients
from local_aws.job_control import JobControl
from local_aws.sagemaker_state import LeaseLostError
from local_aws.transform_agent import AgentSettings, TransformAgent
from tests.local_aws.jobs import ECHO_CONTAINER, jobs_in, until


@pytest.fixture
def quiet_jobs():
    """A local AWS without an agent of its own, so that only the test's agents run jobs."""
    with running(ECHO_CONTAINER, ["--concurrent-jobs", "0"]) as local_aws:
        yield local_aws, jobs_in(local_aws)


def children_of(pid):
    """Return the processes that any thread of a process started."""
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with (
            contextlib.suppress(FileNotFoundError),
            open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as children,
        ):
            found += [int(child) for child in children.read().split()]
    return found


@contextlib.contextmanager
def agent_of(local_aws, state_dir):
    """Run one more agent, with a short lease, and kill it at the end."""
    command = [sys.executable, "-m", "local_aws", "agent", "--lease-in-seconds", "1"]
    command += ["--endpoint-url", local_aws.endpoint_url, "--state-dir", str(state_dir)]
    process = subprocess.Popen([*command, "--container-dir", str(ECHO_CONTAINER)])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_job_of_a_dead_agent_is_taken_over(quiet_jobs, tmp_path):
    """
    An agent is killed in the middle of a job; another runs that job to its end.
    """
    local_aws, jobs = quiet_jobs
    jobs.put("in/1.txt", "sleep 600")
    jobs.start()
    with agent_of(local_aws, tmp_path) as agent:
        until(lambda: "TransformStartTime" in jobs.describe())
        until(lambda: list(tmp_path.glob("logs/*/*.log")))
        agent.kill()
    started = jobs.describe()["TransformStartTime"]
    jobs.put("in/1.txt", "say one")

    with agent_of(local_aws, tmp_path):
        done = jobs.wait()

    assert done["TransformJobStatus"] == "Completed"
    assert done["TransformStartTime"] == started
    assert jobs.answers("out/1.txt.out")[0]["record"] == "say one"


def test_server_of_a_killed_agent_is_gone(quiet_jobs, tmp_path):
    """
    SIGKILL of an agent takes the server of its job along.
    """
    local_aws, jobs = quiet_jobs
    jobs.put("in/1.txt", "sleep 600")
    jobs.start()
    with agent_of(local_aws, tmp_path) as agent:
        (server,) = until(lambda: children_of(agent.pid))
        agent.kill()
        agent.wait()

    until(lambda: not os.path.exists(f"/proc/{server}"))


def test_stopped_before_any_agent_took_it(quiet_jobs, tmp_path):
    """
    A job that is stopped while it waits for an agent becomes Stopped, and nothing of it is run.
    """
    local_aws, jobs = quiet_jobs
    jobs.put("in/1.txt", "say one")
    name = jobs.start()
    jobs.client("sagemaker").stop_transform_job(TransformJobName=name)

    with agent_of(local_aws, tmp_path):
        done = jobs.wait()

    assert done["TransformJobStatus"] == "Stopped"
    assert jobs.outputs() == []


def test_job_has_one_holder_at_a_time(quiet_jobs):
    """
    A claimed job is nobody else's; once its lease ran out, the late holder can do nothing.
    """
    local_aws, jobs = quiet_jobs
    jobs.put("in/1.txt", "say one")
    jobs.start()
    short, long = (JobControl(local_aws.endpoint_url, seconds) for seconds in (0.5, 600))

    late = short.claim()
    assert late is not None
    assert short.renew(late) == "InProgress"
    holder = until(long.claim)

    assert holder.name == late.name
    assert long.claim() is None
    with pytest.raises(LeaseLostError):
        short.renew(late)
    with pytest.raises(LeaseLostError):
        short.finish(late, "Completed", None)
    long.finish(holder, "Failed", "x" * 2000)
    assert jobs.describe()["FailureReason"] == "x" * 1024
    with pytest.raises(LeaseLostError):
        long.finish(holder, "Completed", None)


def test_killed_agent_is_replaced(tmp_path):
    """
    The emulator starts its own agent anew when that dies.
    """
    with running(ECHO_CONTAINER) as local_aws:
        jobs = jobs_in(local_aws)
        (agent,) = until(lambda: children_of(local_aws.pid))
        os.kill(agent, signal.SIGKILL)
        jobs.put("in/1.txt", "say one")

        assert jobs.run()["TransformJobStatus"] == "Completed"


def test_server_that_never_gets_ready(quiet_jobs, tmp_path):
    """
    A server whose /ping never answers 200 fails the job once the agent's patience is over.
    """
    local_aws, jobs = quiet_jobs
    jobs.create_model({"never_ready": ""})
    jobs.put("in/1.txt", "say one")
    jobs.start()
    settings = AgentSettings(ECHO_CONTAINER, tmp_path, ready_timeout_in_seconds=0.5)
    control = JobControl(local_aws.endpoint_url, settings.lease_in_seconds)
    agent = TransformAgent(control, AwsClients(local_aws.endpoint_url), settings)
    stop = threading.Event()
    thread = threading.Thread(target=agent.run_until, args=[stop])
    thread.start()

    try:
        reason = jobs.wait()["FailureReason"]
    finally:
        stop.set()
        thread.join()

    assert reason.startswith("AlgorithmError: the container did not pass the ping health check.")
