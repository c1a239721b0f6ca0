"""One worker for each GPU: gunicorn and its hooks as in the image, the GPUs stand-ins."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.custom_container.container_server import serving, until

THREE_GPUS = Path(__file__).with_name("three_gpus.py")


@pytest.fixture
def serving_three_gpus(container_dir, tmp_path):
    """A server of one of three_gpus.py's apps, on a machine with the device files of three GPUs."""
    device_files = tmp_path / "dev"
    device_files.mkdir()
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidiactl"):
        (device_files / name).touch()
    gunicorn = [sys.executable, THREE_GPUS, device_files, "--config", "gunicorn.conf.py"]
    modules = f"{container_dir}:{THREE_GPUS.parent}"
    return lambda app: serving(
        *(container_dir, tmp_path, tmp_path / "log"),
        entrypoint=[*gunicorn, f"three_gpus:{app}"],
        PYTHONPATH=modules,
    )


@pytest.fixture
def server(serving_three_gpus):
    """Its workers load."""
    with serving_three_gpus("app") as server:
        yield server


def gpu_of_workers(server):
    """The GPU that each worker sees, by process, of those that have begun to load."""
    lines = server.log.read_text().splitlines()
    seen = [json.loads(line) for line in lines if line.startswith('{"pid"')]
    living = server.workers()
    return {one["pid"]: one["gpu"] for one in seen if one["pid"] in living}


def test_each_worker_has_a_gpu_of_its_own_and_a_killed_one_leaves_it_to_the_next(server):
    """Two workers on one GPU would run out of its memory, and a GPU without one is paid for."""
    until(lambda: len(gpu_of_workers(server)) == 3, server.process)
    before = gpu_of_workers(server)
    assert sorted(before.values()) == ["0", "1", "2"]

    killed = next(pid for pid, gpu in before.items() if gpu == "1")
    os.kill(killed, signal.SIGKILL)
    until(lambda: len(gpu_of_workers(server).keys() - before) == 1, server.process)

    after = gpu_of_workers(server)
    (new,) = after.keys() - before
    assert after[new] == "1"
    assert sorted(after.values()) == ["0", "1", "2"]


def test_a_model_that_no_worker_can_load_ends_the_server_with_the_reason_last(serving_three_gpus):
    """All three fail at once, and what is told last is why."""
    with serving_three_gpus("app_of_a_damaged_model") as server:
        assert server.exit_code() != 0

    last_line = server.log.read_text().splitlines()[-1]
    assert last_line == "Cannot serve the model: its weights are damaged."
