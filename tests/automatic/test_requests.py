"""From a message to its results, or to the dead letters with a reason, on the deployed stack."""

import json
import uuid
from typing import Any

import pytest

from .conftest import BUCKET, Site, until


def new_id() -> str:
    """Return a request id that no other test draws."""
    return uuid.uuid4().hex[:12]


def complete(site: Site, job_name: str, times: int = 1, **detail: str) -> list[dict[str, Any]]:
    """Invoke the completion function with an event of the job; return its answers."""
    event = {"detail": {"TransformJobName": job_name, "TransformJobStatus": "Completed"} | detail}
    return [
        site.client("lambda").invoke(
            FunctionName="batch-transform-lambda-completion", Payload=json.dumps(event)
        )
        for _ in range(times)
    ]


def written_at(site: Site, job_name: str) -> list[tuple[str, Any]]:
    """Return when each object of a job's folder was written."""
    found = site.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"output/{job_name}/")
    return [(entry["Key"], entry["LastModified"]) for entry in found["Contents"]]


def test_a_request_is_followed_to_its_consolidated_results(site: Site) -> None:
    """The job's name is told before the job exists; every document is answered at its place."""
    path = site.put_input(a=b"contract one\nlabour two\n", b=b"contract three\n")
    request_id = new_id()

    sent = site.run(
        "send_batch_transform_request.py",
        "--input-path",
        path,
        "--request-id",
        request_id,
        "--wait",
    )

    assert sent.returncode == 0, sent.stderr
    job_name = site.job_name(request_id)
    assert f"waiting for the job {job_name}" in sent.stderr
    answers = json.loads(site.read(f"output/{job_name}/predictions.json"))
    assert [(a["source"], a["line"], a["predictions"]["predicted_class"]) for a in answers] == [
        ("a.txt", 1, "contract"),
        ("a.txt", 2, "labour"),
        ("b.txt", 1, "contract"),
    ]
    assert f"output/{job_name}/predictions.json" in sent.stdout


def test_a_message_with_nothing_but_its_input_is_enough(site: Site) -> None:
    """Its job bears the id that SQS gave the message."""
    message_id = site.send({"input_path": site.put_input(a=b"contract one\n")})
    summary = site.await_object(site.job_name(message_id), "summary.json")
    assert (summary["status"], summary["documents"]) == ("Completed", 1)


def test_a_standard_request_leaves_one_output_a_file(site: Site) -> None:
    """And a summary that says so."""
    request_id = new_id()
    site.send(
        {
            "input_path": site.put_input(a=b"contract one\n", b=b"labour two\n"),
            "profile": "standard",
            "request_id": request_id,
        }
    )
    job_name = site.job_name(request_id)
    summary = site.await_object(job_name, "summary.json")
    assert summary["saved"]["outputs"] == summary["saved"]["outputs_expected"] == 2
    assert json.loads(site.read(f"output/{job_name}/a.txt.out"))["predictions"]


def test_a_failed_job_leaves_its_reason_and_what_was_saved(site: Site) -> None:
    """The sender gets exit code 1 and SageMaker's own words."""
    path = site.put_input(a=b"contract one\n", b=b"refuse two\n")
    request_id = new_id()
    sent = site.run(
        "send_batch_transform_request.py",
        *("--input-path", path, "--profile", "standard", "--request-id", request_id, "--wait"),
    )
    assert sent.returncode == 1
    summary = site.await_object(site.job_name(request_id), "summary.json")
    assert summary["status"] == "Failed"
    assert summary["reason"] in " ".join(sent.stderr.split())
    assert (summary["saved"]["outputs"], summary["saved"]["outputs_expected"]) == (1, 2)


def test_a_failed_optimized_job_keeps_what_resuming_needs(site: Site) -> None:
    """Its summary tells the reason, and the shard that was not answered can be run by itself."""
    request_id = new_id()
    path = site.put_input(a=b"contract one\nrefuse two\n")
    site.send({"input_path": path, "request_id": request_id})
    job_name = site.job_name(request_id)
    summary = site.await_object(job_name, "summary.json")
    assert summary["status"] == "Failed"
    assert summary["reason"]
    assert summary["saved"]["outputs"] == 0

    resumed = site.run("setup_optimized_batch_transform.py", "--resume", job_name, "--dry-run")
    assert resumed.returncode == 0, resumed.stderr
    shards = f"s3://{BUCKET}/output/{job_name}/input/"
    assert json.loads(resumed.stdout)["Manifest"] == [{"prefix": shards}, "shard-00000.jsonl"]


def test_a_double_send_starts_one_job(site: Site) -> None:
    """The same request five times over is one job, and none of it is a dead letter."""
    body = {"input_path": site.put_input(a=b"contract one\n"), "request_id": new_id()}
    for _ in range(5):
        site.send(body)
    job_name = site.job_name(body["request_id"])
    site.await_object(job_name, "summary.json")
    until(lambda: not waiting(site), "the queue is empty")
    assert len(site.jobs(job_name)) == 1
    assert json.dumps(body) not in site.drain_dead_letters()


def waiting(site: Site) -> int:
    """Return how many messages are in the request queue, hidden ones included."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = site.client("sqs").get_queue_attributes(QueueUrl=site.queue_url, AttributeNames=names)
    return sum(int(answer["Attributes"][name]) for name in names)


def test_an_id_that_was_used_is_refused_wherever_its_output_goes(site: Site) -> None:
    """Another input and another output under one id would be dropped without a word."""
    site.drain_dead_letters()
    request_id = new_id()
    site.send({"input_path": site.put_input(a=b"contract one\n"), "request_id": request_id})
    job_name = site.job_name(request_id)
    site.await_object(job_name, "summary.json")
    before = written_at(site, job_name)
    elsewhere = f"s3://{BUCKET}/output/elsewhere/"
    second = {"input_path": site.put_input(b=b"contract two\n"), "output_path": elsewhere}

    site.send(second | {"request_id": request_id})
    dead = until(site.drain_dead_letters, "the second request is set aside")

    [reason] = dead.values()
    assert "this request_id was used before" in reason
    assert written_at(site, job_name) == before
    assert not site.exists(f"output/elsewhere/{job_name}/request.json")


def test_a_bad_request_is_shown_with_its_reason_and_sent_again_when_asked(site: Site) -> None:
    """--queue shows it, --redrive asks, sends it once more, and it comes back with its reason."""
    site.drain_dead_letters()
    sent = site.run(
        "send_batch_transform_request.py", "--input-path", f"s3://{BUCKET}/models/", "--wait"
    )
    assert sent.returncode == 1
    assert "does not lie below" in sent.stderr

    def shown() -> dict[str, Any]:
        answer = site.run("check_batch_transform_status.py", "--queue", "--json")
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    [letter] = shown()["dead_letters"]
    assert "does not lie below" in letter["reason"]
    redrive = ("check_batch_transform_status.py", "--redrive", letter["message_id"])
    assert site.run(*redrive, answer="n\n").returncode == 1
    assert [each["message_id"] for each in shown()["dead_letters"]] == [letter["message_id"]]
    assert site.run(*redrive, answer="y\n").returncode == 0
    [again] = until(lambda: shown()["dead_letters"], "it is set aside again")
    assert (again["body"], again["message_id"] != letter["message_id"]) == (letter["body"], True)
    gone = site.run(*redrive, "--yes")
    assert (gone.returncode, "there is no dead letter" in gone.stderr) == (1, True)
    site.drain_dead_letters()


def test_a_request_without_an_id_has_one_job_though_it_is_redriven(site: Site) -> None:
    """SQS gives what is sent again a new id; the job's name is made of the first one."""
    site.drain_dead_letters()
    path = site.put_input(a=b" \n")
    message_id = site.send({"input_path": path})

    def letters() -> list[dict[str, Any]]:
        shown = site.run("check_batch_transform_status.py", "--queue", "--json")
        return json.loads(shown.stdout)["dead_letters"]

    [letter] = until(letters, "the blank input is set aside")
    assert letter["original_message_id"] == message_id
    key = path.removeprefix(f"s3://{BUCKET}/") + "a.txt"
    site.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"contract one\n")
    redrive = ("check_batch_transform_status.py", "--redrive", letter["message_id"], "--yes")
    assert site.run(*redrive).returncode == 0

    summary = site.await_object(site.job_name(message_id), "summary.json")
    assert summary["documents"] == 1


@pytest.mark.parametrize(
    ("flags", "code", "named"),
    [
        (("--input-path", "input/"), 2, "expected s3://bucket/prefix"),
        (("--input-path", f"s3://{BUCKET}/input/nothing/"), 1, "no documents under"),
        (("--input-path", f"s3://{BUCKET}/input/", "--request-id", "a_b"), 2, "request_id"),
        (("--input-path", f"s3://{BUCKET}/", "--queue-url", "http://127.0.0.1:9/q"), 2, "s3://"),
    ],
)
def test_a_bad_call_sends_nothing(
    site: Site, flags: tuple[str, ...], code: int, named: str
) -> None:
    """What can be told here need not travel to be refused."""
    refused = site.run("send_batch_transform_request.py", *flags)
    assert refused.returncode == code
    assert named in refused.stderr
    assert "Traceback" not in refused.stderr


def test_repeated_and_late_events_change_nothing(site: Site) -> None:
    """Delivered five times more, an event leaves every object as it was."""
    request_id = new_id()
    site.send({"input_path": site.put_input(a=b"contract one\n"), "request_id": request_id})
    job_name = site.job_name(request_id)
    site.await_object(job_name, "summary.json")
    before = written_at(site, job_name)

    answers = complete(site, job_name, times=5, TransformJobStatus="InProgress")

    assert [answer.get("FunctionError") for answer in answers] == [None] * 5
    assert written_at(site, job_name) == before


def test_an_early_event_is_not_believed_and_a_stopped_job_leaves_its_summary(site: Site) -> None:
    """While the job runs, its end is left to Lambda's next try; its stop is told."""
    request_id = new_id()
    site.send({"input_path": site.put_input(a=b"linger here\n"), "request_id": request_id})
    job_name = site.job_name(request_id)
    until(lambda: site.jobs(job_name), "the job is started")

    [early] = complete(site, job_name)
    assert early["FunctionError"] == "Unhandled"
    assert "SageMaker still says InProgress" in json.load(early["Payload"])["errorMessage"]
    assert not site.exists(f"output/{job_name}/summary.json")

    stopped = site.run("check_batch_transform_status.py", "--job-name", job_name, "--stop")
    assert stopped.returncode == 0, stopped.stderr
    summary = site.await_object(job_name, "summary.json")
    assert summary["status"] == "Stopped"
    assert summary["saved"]["outputs"] == 0


def test_an_event_that_never_came_is_mended_by_consolidating(site: Site) -> None:
    """The job's folder holds all that consolidating takes, on any machine."""
    request_id = new_id()
    events = site.client("events")
    [rule] = [r["Name"] for r in events.list_rules()["Rules"] if "CompletionRule" in r["Name"]]
    events.disable_rule(Name=rule)
    try:
        site.send({"input_path": site.put_input(a=b"contract one\n"), "request_id": request_id})
        job_name = site.job_name(request_id)
        until(
            lambda: [j for j in site.jobs(job_name) if j["TransformJobStatus"] == "Completed"],
            "the job is completed",
        )
        assert not site.exists(f"output/{job_name}/summary.json")
        mended = site.run(
            "check_batch_transform_status.py", "--job-name", job_name, "--consolidate"
        )
    finally:
        events.enable_rule(Name=rule)
    assert mended.returncode == 0, mended.stderr
    assert site.await_object(job_name, "summary.json")["documents"] == 1


def test_input_that_may_not_be_read_is_set_aside_with_the_reason(site: Site) -> None:
    """A bucket policy that denies the function is tried some times and then told."""
    s3 = site.client("s3")
    path = site.put_input(a=b"contract one\n")
    denied = f"arn:aws:s3:::{BUCKET}/{path.removeprefix(f's3://{BUCKET}/')}*"
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": denied}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
    body = {"input_path": path, "request_id": new_id()}
    try:
        site.send(body)
        reasons = until(site.drain_dead_letters, "it is set aside")
    finally:
        s3.delete_bucket_policy(Bucket=BUCKET)
    assert "AccessDenied" in (reasons[json.dumps(body)] or "")
    assert not site.exists(f"output/{site.job_name(body['request_id'])}/")
