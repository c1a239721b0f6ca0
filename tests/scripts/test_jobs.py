"""The main road: real scripts and requests; the real server wherever answers are looked at."""

import json
import signal
from typing import Any

import pytest

DOCUMENT = b"My landlord keeps my deposit.\n"
ODD_FILES = {
    "one": b"My landlord keeps my deposit.",
    "windows": b"The roof leaks since March.\r\n\r\nMy wages were never paid.\r\n",
    "unicode": "Sie schulden mir \U0001f4b6 500.\u2028Seit Mai.\x85Nichts.\x0bEnde\n".encode(),
}
LINES_WITH_TEXT = {("one.txt", 1), ("windows.txt", 1), ("windows.txt", 3), ("unicode.txt", 1)}


def answered(predictions: list[dict[str, Any]]) -> set[tuple[str, int]]:
    """Return the identities that have a prediction."""
    return {(p["source"], p["line"]) for p in predictions if "predictions" in p}


def test_the_optimized_job_answers_every_line_with_text_once(ready_operator: Any) -> None:
    """One consolidated file, copied home, and nothing but the job's own folder written."""
    ready_operator.upload(**ODD_FILES)
    done = ready_operator.run("setup_optimized_batch_transform.py", "--download-to", "results")
    assert done.returncode == 0, done.stderr
    predictions = json.loads((ready_operator.cwd / "results" / "predictions.json").read_text())
    summary = json.loads((ready_operator.cwd / "results" / "summary.json").read_text())
    assert len(predictions) == len(LINES_WITH_TEXT)
    assert answered(predictions) == LINES_WITH_TEXT
    assert (summary["documents"], summary["left_out"]) == (4, {"EmptyDocument": 1})
    job_name = summary["job_name"]
    written = {
        key for key in ready_operator.object_keys() if not key.startswith(("input/", "models/"))
    }
    names = {key.removeprefix(f"output/{job_name}/") for key in written} - {"review.csv"}
    assert names == {
        "request.json",
        "job.json",
        "left_out.jsonl",
        "output/shard-00000.jsonl.out",
        "predictions.json",
        "report.html",
        "summary.json",
    }


def test_the_standard_job_answers_each_file_with_a_file(ready_operator: Any) -> None:
    """One `.out` for each file, one line for each line, in order."""
    ready_operator.upload(**ODD_FILES)
    name = f"standard-{ready_operator.bucket}"
    done = ready_operator.run("setup_batch_transform.py", "--job-name", name, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "Completed"
    assert f".out files under s3://{ready_operator.bucket}/output/{name}/" in done.stderr
    outputs = {
        key.removeprefix(f"output/{name}/"): ready_operator.read(key).decode()
        for key in ready_operator.object_keys(f"output/{name}/")
    }
    request = outputs.pop("request.json")
    assert json.loads(request)["CreateTransformJob"]["TransformJobName"] == name
    assert json.loads(outputs.pop("left_out.jsonl"))["source"] == "windows.txt"
    assert outputs.keys() == {"one.txt.out", "windows.txt.out", "unicode.txt.out"}
    assert all(
        "predictions" in json.loads(line) for line in outputs["unicode.txt.out"].splitlines()
    )
    assert [text.count("\n") for text in outputs.values()] == [1, 1, 3]


def test_a_standard_job_reads_what_was_planned_and_nothing_beside_it(quick_operator: Any) -> None:
    """Markers, earlier outputs and namesakes of a prefix are not sent to the model."""
    quick_operator.upload(one=DOCUMENT, two=DOCUMENT, three=DOCUMENT)
    s3 = quick_operator.aws("s3")
    for key in ("input/_SUCCESS", "input/old.txt.out", "input/one.txt.bak", "input/empty.txt"):
        body = b"" if "empty" in key else b"not a document\n"
        s3.put_object(Bucket=quick_operator.bucket, Key=key, Body=body)
    for prefix, answered in (
        ("input/", {"one.txt", "two.txt", "three.txt", "one.txt.bak"}),
        ("input/one.txt", {"one.txt"}),
    ):
        name = f"exact-{len(answered)}-{quick_operator.bucket}"
        done = quick_operator.run(
            "setup_batch_transform.py", "--job-name", name, "--s3-input-prefix", prefix
        )
        assert done.returncode == 0, done.stderr
        outputs = [key for key in quick_operator.object_keys("output/") if name in key]
        named = {key.rsplit("/", 1)[-1].removesuffix(".out") for key in outputs if ".out" in key}
        assert named == answered


def test_a_job_is_watched_and_consolidated_from_anywhere(
    quick_operator: Any, tmp_path: Any
) -> None:
    """`--no-wait` prints the name; whoever has it can follow the job and gets the same results."""
    quick_operator.upload(**ODD_FILES)
    started = quick_operator.run("setup_optimized_batch_transform.py", "--no-wait")
    assert started.returncode == 0, started.stderr
    job_name = started.stdout.strip()
    quick_operator.cwd = tmp_path / "elsewhere"
    quick_operator.cwd.mkdir()
    for _ in range(2):  # the second time the job is over already
        watched = quick_operator.run(
            "check_batch_transform_status.py", "--job-name", job_name, "--watch", "--json"
        )
        assert watched.returncode == 0, watched.stderr
        assert json.loads(watched.stdout)["documents"] == len(LINES_WITH_TEXT)
    (tmp_path / "results" / "predictions.json").mkdir(parents=True)
    not_copied = quick_operator.run(
        "check_batch_transform_status.py",
        *("--job-name", job_name, "--watch", "--download-to", str(tmp_path / "results")),
    )
    assert not_copied.returncode == 1
    assert f"{job_name} is done, but its results cannot be copied" in not_copied.stderr


@pytest.mark.parametrize("is_all_documents", [True, False])
def test_large_files_are_read_where_they_lie_if_every_line_is_a_document(
    ready_operator: Any, is_all_documents: bool
) -> None:
    """
    One blank line where the plan did not look, and they are packed, without it.

    So the number of answers never rests on what SageMaker does with blank lines.
    """
    line = b"x" * ((1 << 20) - 1) + b"\n"
    half = line * 17
    blank = b"" if is_all_documents else b"\n"
    ready_operator.upload(big=half + blank + half)
    name = f"large-{is_all_documents}-{ready_operator.bucket}".lower()
    started = ready_operator.run(
        "setup_optimized_batch_transform.py", "--job-name", name, "--no-wait"
    )
    assert started.returncode == 0, started.stderr
    assert "read where they lie, not packed, unless" in started.stderr
    packed = json.loads(ready_operator.read(f"output/{name}/job.json"))["packed"]
    assert packed["is_by_manifest"] is is_all_documents
    assert packed["documents"] == 34
    assert packed["left_out"] == ({} if is_all_documents else {"EmptyDocument": 1})
    sagemaker = ready_operator.aws("sagemaker")
    job = sagemaker.describe_transform_job(TransformJobName=name)
    of_text, of_shards = ("text/plain", "ManifestFile"), ("application/jsonlines", "S3Prefix")
    read = job["TransformInput"]
    kind = (read["ContentType"], read["DataSource"]["S3DataSource"]["S3DataType"])
    assert kind == (of_text if is_all_documents else of_shards)
    asked = json.loads(ready_operator.read(f"output/{name}/request.json"))["CreateTransformJob"]
    assert asked["TransformInput"] == read


def test_a_dry_run_shows_what_a_real_run_sends(ready_operator: Any) -> None:
    """The printed request is the one SageMaker then describes; the dry run itself left nothing."""
    ready_operator.upload(**ODD_FILES)
    arguments = ["setup_batch_transform.py", "--job-name", f"dry-{ready_operator.bucket}"]
    before = ready_operator.object_keys()
    shown = json.loads(ready_operator.run(*arguments, "--dry-run").stdout)
    assert ready_operator.object_keys() == before
    assert ready_operator.run(*arguments, "--no-wait").returncode == 0
    request = shown["CreateTransformJob"]
    sagemaker = ready_operator.aws("sagemaker")
    described = sagemaker.describe_transform_job(TransformJobName=request["TransformJobName"])
    assert request.items() <= described.items()
    model = sagemaker.describe_model(ModelName=shown["CreateModel"]["ModelName"])
    assert shown["CreateModel"].items() <= model.items()


def test_ctrl_c_leaves_the_job_running_and_says_what_to_do(ready_operator: Any) -> None:
    """The commands to watch and to stop it are shown, and the second one works."""
    ready_operator.upload(**ODD_FILES)
    name = f"interrupted-{ready_operator.bucket}"
    process = ready_operator.start("setup_optimized_batch_transform.py", "--job-name", name)
    for line in process.stderr:
        if "InProgress" in line:
            break
    interrupted = ready_operator.interrupt(process)
    assert interrupted.returncode == 1
    assert f"--job-name {name} --watch" in interrupted.stderr
    assert f"--job-name {name} --stop" in interrupted.stderr
    assert "Traceback" not in interrupted.stderr
    stopped = ready_operator.run(
        "check_batch_transform_status.py", "--job-name", name, "--stop", "--watch"
    )
    assert stopped.returncode == 1
    assert f"the job {name} is Stopped" in stopped.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_while_packing_leaves_nothing(ready_operator: Any, number: int) -> None:
    """Nor does another end: the shards written until then are taken back, and no job is started."""
    ready_operator.upload(**{f"file{i:03d}": b"some words\n" * 20_000 for i in range(60)})
    name = f"packing-{ready_operator.bucket}"
    process = ready_operator.start("setup_optimized_batch_transform.py", "--job-name", name)
    while process.poll() is None and not ready_operator.object_keys(f"output/{name}/input/"):
        pass
    interrupted = ready_operator.interrupt(process, number)
    assert interrupted.returncode == 1
    assert "interrupted" in interrupted.stderr
    assert ready_operator.object_keys("output/") == []
    found = ready_operator.aws("sagemaker").list_transform_jobs(NameContains=name)
    assert found["TransformJobSummaries"] == []


def test_the_same_model_is_uploaded_and_created_once(ready_operator: Any) -> None:
    """A second job reuses both; both are named by content."""
    ready_operator.upload(**ODD_FILES)
    for _ in range(2):
        done = ready_operator.run("setup_batch_transform.py", "--no-wait")
        assert done.returncode == 0, done.stderr
    assert len(ready_operator.object_keys("models/")) == 1
    sagemaker = ready_operator.aws("sagemaker")
    jobs = sagemaker.list_transform_jobs(MaxResults=2)["TransformJobSummaries"]
    names = {
        sagemaker.describe_transform_job(TransformJobName=job["TransformJobName"])["ModelName"]
        for job in jobs
    }
    assert len(names) == 1


def test_settings_come_from_flag_then_environment_then_file(ready_operator: Any) -> None:
    """Each beats the next; the dry run shows which one won."""
    ready_operator.upload(**ODD_FILES)
    (ready_operator.cwd / ".env").write_text("SAGEMAKER_INSTANCE_TYPE=ml.c5.xlarge\n")

    def instance_type(*arguments: str, **variables: str) -> str:
        done = ready_operator.run("setup_batch_transform.py", "--dry-run", *arguments, **variables)
        request = json.loads(done.stdout)["CreateTransformJob"]
        return request["TransformResources"]["InstanceType"]

    variable = {"SAGEMAKER_INSTANCE_TYPE": "ml.m6i.xlarge"}
    assert instance_type() == "ml.c5.xlarge"
    assert instance_type(**variable) == "ml.m6i.xlarge"
    assert instance_type("--instance-type", "ml.c7i.xlarge", **variable) == "ml.c7i.xlarge"


@pytest.mark.parametrize("as_json", [False, True])
def test_jobs_are_listed_the_newest_first(ready_operator: Any, as_json: bool) -> None:
    """A table for people, a document for programs; no more than asked for, names in full."""
    ready_operator.upload(**ODD_FILES)
    names = [f"listed-{number}-{ready_operator.bucket}" for number in range(2)]
    for name in names:
        ready_operator.run("setup_batch_transform.py", "--no-wait", "--job-name", name)
    listing = ["check_batch_transform_status.py", "--list-jobs", "--max-results", "1"]
    done = ready_operator.run(*listing, *(["--json"] if as_json else []))
    assert names[1] in done.stdout
    assert names[0] not in done.stdout
    if as_json:
        assert [job["TransformJobName"] for job in json.loads(done.stdout)] == [names[1]]
