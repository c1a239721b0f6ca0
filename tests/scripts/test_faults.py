"""S3 that fails, a script that dies over its results, servers that die over their documents."""

import itertools
import json
import os
import signal
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local_aws import LocalAws
from tests.scripts.faulty_gateway import FaultyGateway, faulty_gateway
from tests.scripts.test_interrupted_runs import (
    SETUP,
    STATUS,
    finished_job,
    run_well,
    until,
)

PADDING = b" " * 1500
DOCUMENTS = 300


@pytest.fixture
def gateway(quick_aws: LocalAws) -> Iterator[FaultyGateway]:
    """A way to the local AWS that the test can make fail."""
    with faulty_gateway(quick_aws.endpoint_url) as opened:
        yield opened


@pytest.fixture
def operator_of_shards(ready_operator: Any) -> Any:
    """An operator with documents enough for several shards, which take a server some time."""
    line = b"My landlord keeps my deposit and has " + b"not answered " * 115 + b"yet.\n"
    ready_operator.upload(a=line * DOCUMENTS)
    return ready_operator


def predictions_of(operator: Any, name: str) -> list[dict[str, Any]]:
    """Return the consolidated answers of a job."""
    return json.loads(operator.read(f"output/{name}/predictions.json"))


def test_a_job_comes_through_an_s3_that_fails_now_and_then(
    quick_operator: Any, gateway: FaultyGateway
) -> None:
    """Internal errors and throttling, from the first listing to the summary; nothing is lost."""
    quick_operator.upload(**{f"file{number:02d}": b"My landlord.\n" for number in range(12)})
    name = f"shaken-{quick_operator.bucket}"
    turns = defaultdict(lambda: itertools.cycle([500, *[None] * 8, 503, *[None] * 8]))

    def now_and_then(method: str, path: str) -> int | None:
        return next(turns[method]) if path.startswith(f"/{quick_operator.bucket}") else None

    gateway.fault = now_and_then
    done = quick_operator.run(SETUP, "--job-name", name, AWS_ENDPOINT_URL=gateway.endpoint_url)
    assert done.returncode == 0, done.stderr
    sources = [answer["source"] for answer in predictions_of(quick_operator, name)]
    assert sources == [f"file{number:02d}.txt" for number in range(12)]
    failed = "\n".join(gateway.failed)
    assert "GET" in failed
    assert "PUT" in failed


@pytest.mark.parametrize("result", ["predictions.json", "summary.json"])
def test_a_script_killed_over_its_results_is_taken_up(
    operator_of_two_shards: Any, gateway: FaultyGateway, result: str
) -> None:
    """Killed before a result is written, or between two; consolidating again is all it takes."""
    operator = operator_of_two_shards
    name = finished_job(operator)
    is_writing, is_over = threading.Event(), threading.Event()

    def hold(method: str, path: str) -> int | None:
        if method != "PUT" or not path.partition("?")[0].endswith(result):
            return None
        is_writing.set()
        is_over.wait()
        return 503

    gateway.fault = hold
    watch = (STATUS, "--job-name", name, "--watch")
    process = operator.start(*watch, AWS_ENDPOINT_URL=gateway.endpoint_url)
    until(is_writing.is_set)
    process.send_signal(signal.SIGKILL)
    operator.finish(process)
    is_over.set()
    assert operator.object_keys(f"output/{name}/{result}") == []
    assert operator.object_keys(f"output/{name}/input/") != []
    run_well(operator, *watch)
    lines = [answer["line"] for answer in predictions_of(operator, name)]
    assert lines == 2 * list(range(1, 31))


def test_ctrl_c_is_obeyed_though_s3_has_stopped_answering(
    quick_operator: Any, gateway: FaultyGateway
) -> None:
    """What hangs is not waited for, neither before the folder is emptied nor at the end."""
    operator, name = quick_operator, f"hanging-{quick_operator.bucket}"
    operator.upload(a=b"My landlord.\n", b=b"My wages.\n")
    is_reading, is_over = threading.Event(), threading.Event()

    def hang(method: str, path: str) -> int | None:
        if method != "GET" or not path.endswith("b.txt") or not is_planned():
            return None
        is_reading.set()
        is_over.wait()
        return 503

    def is_planned() -> bool:
        return operator.object_keys(f"output/{name}/request.json") != []

    gateway.fault = hang
    process = operator.start(SETUP, "--job-name", name, AWS_ENDPOINT_URL=gateway.endpoint_url)
    until(is_reading.is_set)
    process.send_signal(signal.SIGINT)
    try:
        interrupted = process.wait(timeout=20)
    finally:
        is_over.set()
    assert (interrupted, operator.finish(process).stderr[-12:]) == (1, "interrupted\n")
    assert operator.object_keys("output/") == []


def servers_of(local_aws: LocalAws) -> list[list[int]]:
    """Return the processes of each model server of a local AWS, the parent before its workers."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_text()
        except OSError:  # it ended just now
            continue
        parents[int(entry.name)] = (int(words[1]), "gunicorn" in command)

    def descends(pid: int) -> bool:
        return pid == local_aws.pid or (pid in parents and descends(parents[pid][0]))

    ours = {pid for pid, (_, is_server) in parents.items() if is_server and descends(pid)}
    heads = [pid for pid in ours if parents[pid][0] not in ours]
    return [[head, *(pid for pid in ours if parents[pid][0] == head)] for head in heads]


def strike_in_mid_job(
    operator: Any, local_aws: LocalAws, strike: Callable[[list[int]], None]
) -> str:
    """Start a job, strike its server once it has answered a shard; return the job's name."""
    name = f"struck-{operator.bucket}"
    run_well(operator, SETUP, "--job-name", name, "--no-wait")
    until(lambda: operator.object_keys(f"output/{name}/output/"))
    (server,) = servers_of(local_aws)
    strike(server)
    answered = len(operator.object_keys(f"output/{name}/output/"))
    assert answered < len(operator.object_keys(f"output/{name}/input/")), "struck too late"
    return name


def take_away(server: list[int]) -> None:
    """Kill these processes of a server: all of them, as when its instance fails, or one."""
    for pid in server:
        os.kill(pid, signal.SIGKILL)


def test_a_server_killed_in_mid_shard_costs_the_shards_it_had_not_answered(
    operator_of_shards: Any, local_aws: LocalAws
) -> None:
    """The job fails, what was answered stays, and a resumed job answers the rest."""
    operator = operator_of_shards
    name = strike_in_mid_job(operator, local_aws, take_away)
    failed = operator.run(STATUS, "--job-name", name, "--watch")
    assert failed.returncode == 1
    answered = len(operator.object_keys(f"output/{name}/output/"))
    shards = len(operator.object_keys(f"output/{name}/input/"))
    assert f"answered and kept: {answered} of {shards} shards" in failed.stderr
    assert f"--resume {name}" in failed.stderr
    answer = run_well(operator, SETUP, "--resume", name, "--job-name", f"{name}-2", "--json")
    assert json.loads(answer)["documents"] == DOCUMENTS
    assert len(operator.object_keys(f"output/{name}-2/output/")) == shards - answered


def test_a_worker_killed_in_mid_shard_costs_nothing(
    operator_of_shards: Any, local_aws: LocalAws
) -> None:
    """The server starts another one, and SageMaker sends again what was not answered."""
    operator = operator_of_shards
    name = strike_in_mid_job(
        operator, local_aws, lambda server: os.kill(server[-1], signal.SIGKILL)
    )
    run_well(operator, STATUS, "--job-name", name, "--watch")
    lines = [answer["line"] for answer in predictions_of(operator, name)]
    assert lines == list(range(1, DOCUMENTS + 1))


@pytest.fixture
def operator_of_poison(quick_operator: Any) -> Any:
    """An operator who has two files; the second one holds a document that fails."""
    line = b"Debt" + PADDING + b"\n"
    quick_operator.upload(a=line * 43, b=line * 20 + b"fail\n" + line * 20)
    return quick_operator


def test_a_shard_that_fails_every_time_is_named_and_the_rest_is_kept(
    operator_of_poison: Any,
) -> None:
    """
    Shard, first and last document, and where to look for more; `--partial` takes the rest.

    Which of its documents is at fault nobody can tell: the container failed the request whole.
    """
    operator = operator_of_poison
    name = f"poisoned-{operator.bucket}"
    failed = operator.run(SETUP, "--job-name", name, "--logs")
    assert failed.returncode == 1
    assert "shard-00001.jsonl (b.txt line 1 to b.txt line 41)" in failed.stderr
    assert f"--job-name {name} --logs" in failed.stderr
    assert failed.stderr.count('{"status": 500}') == 4, "three more tries"
    partial = operator.run(STATUS, "--job-name", name, "--watch", "--partial")
    assert partial.returncode == 1
    kept = [(answer["source"], answer["line"]) for answer in predictions_of(operator, name)]
    assert kept == [("a.txt", line) for line in range(1, 44)]
