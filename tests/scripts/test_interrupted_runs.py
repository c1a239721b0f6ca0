"""Whatever is killed, nothing that was paid for is lost, and no result claims more than it is."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

SETUP = "setup_optimized_batch_transform.py"
STATUS = "check_batch_transform_status.py"
DOCUMENTS = b"My landlord keeps my deposit.\n" * 4
DEADLINE_IN_SECONDS = 60


def until(condition: Callable[[], Any]) -> Any:
    """Return what *condition* gives as soon as that is true."""
    deadline = time.monotonic() + DEADLINE_IN_SECONDS
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    return pytest.fail("it did not come about in time")


def run_well(operator: Any, *arguments: str) -> str:
    """Run a script that must succeed and return its answer."""
    done = operator.run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def lose_shard(operator: Any, name: str) -> None:
    """Take away the output of the second shard, as if SageMaker had failed it."""
    key = f"output/{name}/output/shard-00001.jsonl.out"
    operator.aws("s3").delete_object(Bucket=operator.bucket, Key=key)


@contextmanager
def heir_being_started(operator: Any, name: str) -> Iterator[str]:
    """Act as a run on another machine that is about to go on with a job."""
    heir = f"{name}-elsewhere"
    s3, bucket = operator.aws("s3"), operator.bucket
    claim = f"output/{heir}/request.json"
    s3.put_object(Bucket=bucket, Key=f"output/{name}/resumed-by/{heir}")
    s3.put_object(Bucket=bucket, Key=claim, Body=b"{}")
    yield heir
    s3.delete_object(Bucket=bucket, Key=claim)


def finished_job(operator: Any) -> str:
    """Return the name of a job that has ended and was not consolidated."""
    name = f"first-{operator.bucket}"
    run_well(operator, SETUP, "--job-name", name, "--no-wait")
    sagemaker = operator.aws("sagemaker")

    def status() -> str:
        return sagemaker.describe_transform_job(TransformJobName=name)["TransformJobStatus"]

    until(lambda: status() == "Completed")
    return name


def test_a_lost_shard_is_run_again_alone(operator_of_two_shards: Any) -> None:
    """Partial results say so; the resumed job reads one shard and consolidates old and new."""
    operator = operator_of_two_shards
    name = finished_job(operator)
    lose_shard(operator, name)
    watch = (STATUS, "--job-name", name, "--watch")
    refused = operator.run(*watch)
    assert refused.returncode == 1
    assert "shard-00001.jsonl" in refused.stderr
    assert operator.object_keys(f"output/{name}/predictions") == []
    partial = operator.run(*watch, "--partial", "--json")
    assert partial.returncode == 1
    assert f"--resume {name}" in partial.stderr
    assert json.loads(partial.stdout)["is_complete"] is False
    with heir_being_started(operator, name) as heir:
        for task in ((STATUS, "--clean", name, "--yes"), (SETUP, "--resume", name)):
            refused = operator.run(*task)
            assert (refused.returncode, f"{heir} goes on with" in refused.stderr) == (1, True)
    answer = run_well(operator, SETUP, "--resume", name, "--job-name", f"{name}-2", "--json")
    summary = json.loads(answer)
    assert (summary["documents"], summary["resumes"]) == (60, [name])
    assert len(operator.object_keys(f"output/{name}-2/output/")) == 1
    predictions = json.loads(operator.read(f"output/{name}-2/predictions.json"))
    identities = [(answer["source"], answer["line"]) for answer in predictions]
    assert identities == [(f"{file}.txt", line) for file in "ab" for line in range(1, 31)]
    assert operator.object_keys(f"output/{name}/input/") == []


def test_a_complete_job_is_not_resumed(operator_of_two_shards: Any) -> None:
    """There is nothing to run, and nothing is paid for."""
    name = finished_job(operator_of_two_shards)
    refused = operator_of_two_shards.run(SETUP, "--resume", name)
    assert refused.returncode == 2
    assert f"every shard of {name} is answered" in refused.stderr


def test_a_run_killed_while_packing_is_cleaned_up(operator_of_two_shards: Any) -> None:
    """Its name is refused as long as something of it is left, and free again afterwards."""
    operator = operator_of_two_shards
    operator.upload(**{f"file{i:03d}": b"some words\n" * 20_000 for i in range(40)})
    name = f"killed-{operator.bucket}"
    process = operator.start(SETUP, "--job-name", name)
    until(lambda: operator.object_keys(f"output/{name}/input/"))
    process.send_signal(signal.SIGKILL)
    operator.finish(process)
    again = operator.run(SETUP, "--job-name", name)
    assert again.returncode == 1
    assert "--clean" in again.stderr
    assert operator.object_keys(f"output/{name}/input/") != []
    run_well(operator, STATUS, "--clean", name, "--yes")
    assert operator.object_keys("output/") == []


def test_a_run_killed_while_waiting_is_watched_on(operator_of_two_shards: Any) -> None:
    """The job goes on at SageMaker, and its folder holds all that is needed."""
    operator = operator_of_two_shards
    name = f"killed-{operator.bucket}"
    process = operator.start(SETUP, "--job-name", name)
    for line in process.stderr:
        if "InProgress" in line:
            break
    process.send_signal(signal.SIGKILL)
    operator.finish(process)
    summary = json.loads(run_well(operator, STATUS, "--job-name", name, "--watch", "--json"))
    assert summary["documents"] == 60


def test_two_runs_at_once_on_one_input_do_not_meet(quick_operator: Any) -> None:
    """Each has a folder of its own; of two runs of one name, one is refused and harms nothing."""
    quick_operator.upload(a=DOCUMENTS)
    name = f"twice-{quick_operator.bucket}"
    both = [quick_operator.start(SETUP, "--job-name", name) for _ in range(2)]
    others = [quick_operator.start(SETUP) for _ in range(2)]
    codes = sorted(quick_operator.finish(process).returncode for process in both)
    assert codes == [0, 1]
    assert [quick_operator.finish(process).returncode for process in others] == [0, 0]
    assert len(json.loads(quick_operator.read(f"output/{name}/predictions.json"))) == 4


def test_the_log_of_a_job_can_be_seen(ready_operator: Any) -> None:
    """The container's own lines, which hold no text of a document."""
    ready_operator.upload(a=DOCUMENTS)
    name = f"logged-{ready_operator.bucket}"
    run_well(ready_operator, SETUP, "--job-name", name)
    shown = ready_operator.run(STATUS, "--job-name", name, "--logs")
    assert '"micro_batches"' in shown.stderr
    assert "landlord" not in shown.stderr
    summary = json.loads(ready_operator.read(f"output/{name}/summary.json"))
    assert summary["tokens"] > 0
