"""The texts are confidential: what a job writes and says holds none of them unless asked to."""

import json
from typing import Any

from tests.scripts.test_interrupted_runs import SETUP, STATUS

MARKER = "Zyklopenauge"
"""A word that stands in every document and nowhere else."""
DOCUMENTS = b"".join(
    f"{text} {MARKER} {number}\n".encode()
    for number, text in enumerate(["My landlord keeps my deposit.", "=cmd()", "", '{"text": "'] * 3)
)
UNREADABLE = MARKER.encode() + b" \xe9\n"


def everything_said(operator: Any, done: Any, name: str) -> dict[str, str]:
    """Return all that a job left in S3, on this machine and in the log, and what a script said."""
    keys = [key for key in operator.object_keys() if not key.startswith(("input/", "models/"))]
    logs = operator.aws("logs")
    group = "/aws/sagemaker/TransformJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")
    events = [
        event["message"]
        for stream in streams["logStreams"]
        for event in logs.get_log_events(
            logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
        )["events"]
    ]
    assert events
    files = (operator.cwd / "results").iterdir()
    return {
        "stdout": done.stdout,
        "stderr": done.stderr,
        "log": "\n".join(events),
        **{key: operator.read(key).decode("utf-8", "replace") for key in keys},
        **{path.name: path.read_text() for path in files},
    }


def test_no_text_is_left_or_said(ready_operator: Any) -> None:
    """Files of the job, report, errors, review list, logs, both streams; names alone are told."""
    ready_operator.upload(a=DOCUMENTS, b=UNREADABLE)
    name = f"private-{ready_operator.bucket}"
    arguments = ("--job-name", name, "--download-to", "results", "--logs", "--review-below", "1")
    done = ready_operator.run(SETUP, *arguments)
    assert done.returncode == 0, done.stderr
    said = everything_said(ready_operator, done, name)
    results = {"predictions.json", "errors.jsonl", "review.csv", "report.html", "summary.json"}
    assert results <= said.keys()
    assert [place for place, text in said.items() if MARKER in text] == []


def test_texts_stand_in_the_results_only_where_they_are_asked_for(ready_operator: Any) -> None:
    """Asked for, they stand in the answers, the review list and the report, and nowhere else."""
    ready_operator.upload(a=DOCUMENTS)
    name = f"private-{ready_operator.bucket}"
    arguments = ("--download-to", "results", "--with-text", "--review-below", "1")
    done = ready_operator.run(SETUP, "--job-name", name, *arguments)
    assert done.returncode == 0, done.stderr
    said = everything_said(ready_operator, done, name)
    with_text = {place.rsplit("/", 1)[-1] for place, text in said.items() if MARKER in text}
    assert with_text == {"predictions.json", "review.csv", "report.html"}


def test_a_job_bears_its_tags_and_so_do_its_files(ready_operator: Any) -> None:
    """Model, job, what was packed before it ran and what was consolidated elsewhere after."""
    operator = ready_operator
    operator.upload(a=DOCUMENTS)
    name = f"tagged-{operator.bucket}"
    s3, sagemaker = map(operator.aws, ("s3", "sagemaker"))
    tag = {"Key": "matter", "Value": "4711"}
    typed = ("--job-name", name, "--tag", "matter=4711", "--keep-shards", "--no-wait")
    started = operator.run(SETUP, *typed)
    assert started.returncode == 0, started.stderr
    watched = operator.run(STATUS, "--job-name", name, "--watch", "--json")
    assert watched.returncode == 0, watched.stderr
    job = sagemaker.describe_transform_job(TransformJobName=name)
    model = sagemaker.describe_model(ModelName=json.loads(watched.stdout)["model_name"])
    for arn in (job["TransformJobArn"], model["ModelArn"]):
        assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [tag]
    ours = [key for key in operator.object_keys("output/") if not key.endswith(".out")]
    assert len(ours) >= 6
    for key in (*ours, *operator.object_keys("models/")):
        assert s3.get_object_tagging(Bucket=operator.bucket, Key=key)["TagSet"] == [tag], key
