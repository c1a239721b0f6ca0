"""The local AWS starts, is found, stops, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local_aws import background
from local_aws.background import LocalAwsError
from tests.local_aws.jobs import ECHO_CONTAINER, jobs_in, until

ROOT = Path(__file__).parents[2]


def command_line(*words):
    """Run ``python -m local_aws`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "local_aws", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def processes_that_name(text):
    """Return the processes in whose command line a text stands."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if text in command:
            found.append(int(folder.name))
    return found


def test_shell_starts_and_stops_it(tmp_path):
    """
    start --detach returns when it answers, status finds it, stop leaves no process and no port.
    """
    state = ["--state-dir", str(tmp_path)]

    started = command_line("start", "--detach", "--port", "0", *state)
    assert started.returncode == 0, started.stderr
    url = started.stdout.strip().rpartition("=")[2]
    assert command_line("status", *state).stdout == started.stdout
    assert command_line("start", "--detach", "--port", "0", *state).returncode == 1
    stopped = command_line("stop", *state)

    assert stopped.returncode == 0
    assert command_line("status", *state).returncode == 1
    assert processes_that_name(str(tmp_path)) == []
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) != 0
    assert command_line("stop", *state).stdout == "No local AWS was running.\n"


def test_taken_port_is_said_plainly(tmp_path):
    """
    A port in use is one sentence on stderr and exit status 1.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = command_line("start", "--port", port, "--state-dir", str(tmp_path))

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"Cannot listen on 127.0.0.1:{port}: Address already in use.")
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT]])
def test_signals_stop_it_with_all_it_started(tmp_path, signals):
    """
    SIGTERM, or Ctrl-C twice, in the middle of a job: exit 0, and no process is left.
    """
    local_aws = background.start(
        tmp_path, ["--port", "0", "--container-dir", str(ECHO_CONTAINER)], dies_with_caller=True
    )
    jobs = jobs_in(local_aws)
    jobs.put("in/1.txt", "sleep 600")
    jobs.start()
    until(lambda: list(tmp_path.glob("logs/*/*.log")))

    for number in signals:
        os.kill(local_aws.pid, number)
    _, status = os.waitpid(local_aws.pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert "Traceback" not in (tmp_path / background.LOG_NAME).read_text()
    until(lambda: not processes_that_name(str(tmp_path)))


def test_kill_leaves_no_orphan(tmp_path):
    """
    SIGKILL of the emulator takes its agent along, and the state folder can be used again.
    """
    options = ["--port", "0", "--container-dir", str(ECHO_CONTAINER)]
    local_aws = background.start(tmp_path, options, dies_with_caller=True)
    until(lambda: len(processes_that_name(str(tmp_path))) == 2)

    os.kill(local_aws.pid, signal.SIGKILL)
    os.waitpid(local_aws.pid, 0)

    until(lambda: not processes_that_name(str(tmp_path)))
    assert background.find(tmp_path) is None
    background.start(tmp_path, options, dies_with_caller=True)
    assert background.stop(tmp_path)


def test_start_that_fails_tells_why(tmp_path):
    """
    A local AWS that cannot start in the background is an error that holds its last words.
    """
    with pytest.raises(LocalAwsError, match="is not TYPE=COUNT"):
        background.start(tmp_path, ["--quota", "many"])


def test_ministack_sees_no_account_of_the_user(tmp_path, monkeypatch):
    """
    The user's own AWS profile and keys do not reach the emulator.
    """
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    options = ["--port", "0", "--container-dir", str(ECHO_CONTAINER)]

    local_aws = background.start(tmp_path, options, dies_with_caller=True)

    monkeypatch.undo()
    jobs = jobs_in(local_aws)
    jobs.put("in/1.txt", "say one")
    assert jobs.run()["TransformJobStatus"] == "Completed"
    background.stop(tmp_path)
