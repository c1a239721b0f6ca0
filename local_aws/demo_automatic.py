"""
`make demo-automatic`: the stack deployed, three requests sent, two results and one dead letter.

Knows which commands to run and what must come of them; the scripts, the queue and the functions do
the rest. Roles are enforced meanwhile: the functions may do what the template grants, no more.
"""

import json
import shlex
import signal
import subprocess
import sys
import time
from typing import Any

from local_aws.background import LocalAws, running
from local_aws.demo import console, exit_cleanly, push_image, upload_samples
from local_aws.demo_environment import (
    BUCKET,
    ROOT,
    command_environment,
    forget_other_accounts,
)

SEND = "python send_batch_transform_request.py --input-path"
REQUESTS = (
    f"{SEND} s3://{BUCKET}/input/ --output-path s3://{BUCKET}/output/everything/",
    f"{SEND} s3://{BUCKET}/input/2026-06-web-form.txt",
)
BAD_REQUEST = f"{SEND} s3://{BUCKET}/models/"
RESULTS_WANTED = len(REQUESTS)
DEADLINE_IN_SECONDS = 100.0
POLL_IN_SECONDS = 0.5


def run_automatic_demo() -> None:
    """Start a local AWS, show the automatic deployment on it and stop it, whatever happens."""
    signal.signal(signal.SIGTERM, exit_cleanly)
    forget_other_accounts()
    console.print("Starting an AWS on this machine, its roles enforced …")
    options = ["--enforce-policies", "--concurrent-jobs", str(len(REQUESTS))]
    with running(ROOT / "custom_container", options) as local_aws:
        push_image(local_aws)
        upload_samples(local_aws)
        environment = command_environment(local_aws)
        _run("python package_model.py", environment)
        deployed = _run("python deploy_lambda.py", environment)
        name, _, queue_url = deployed.strip().partition("=")
        environment[name] = queue_url
        for command in REQUESTS:
            _run(command, environment)
        console.print("\nOne more, which the deployment must refuse: that is no input of its own.")
        _run(BAD_REQUEST, environment)
        _await_results(local_aws, f"{queue_url}-dead-letters")
        _run("python check_batch_transform_status.py --queue", environment)
        _run("python deploy_lambda.py --delete --yes", environment)


def _run(command: str, environment: dict[str, str]) -> str:
    """Run a command of the README as it is typed; return and show what it prints."""
    console.print(f"\n[bold]$ {command}[/]", soft_wrap=True)
    words = [sys.executable, *shlex.split(command)[1:]]
    finished = subprocess.run(  # noqa: S603
        words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    sys.stdout.write(finished.stdout)
    sys.stdout.flush()
    if finished.returncode:
        sys.exit(finished.returncode)
    return finished.stdout


def _await_results(local_aws: LocalAws, dead_letter_url: str) -> None:
    """Watch until every good request has its results and the bad one lies aside."""
    console.print("\nWaiting for the results …")
    s3, sqs = local_aws.client("s3"), local_aws.client("sqs")
    deadline = time.monotonic() + DEADLINE_IN_SECONDS
    seen: set[str] = set()
    while time.monotonic() < deadline:
        for key in sorted(_summary_keys(s3) - seen):
            summary = json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
            console.print(outcome_of(summary), soft_wrap=True)
            seen.add(key)
        if len(seen) == RESULTS_WANTED and _count_messages(sqs, dead_letter_url) == 1:
            return
        time.sleep(POLL_IN_SECONDS)
    sys.exit(f"after {DEADLINE_IN_SECONDS:.0f} seconds there are {len(seen)} results")


def outcome_of(summary: dict[str, Any]) -> str:
    """Say what a job's summary tells of its results; end the demonstration where it has none."""
    if summary["status"] != "Completed":
        sys.exit(f"the job {summary['job_name']} is {summary['status']}: {summary['reason']}")
    return f"consolidated: {summary['predictions']}, {summary['documents']} documents"


def _summary_keys(s3: Any) -> set[str]:
    # summary.json is written last: once it is there, predictions.json is whole and verified.
    entries = s3.list_objects_v2(Bucket=BUCKET, Prefix="output/").get("Contents", [])
    return {entry["Key"] for entry in entries if entry["Key"].endswith("/summary.json")}


def _count_messages(sqs: Any, queue_url: str) -> int:
    name = "ApproximateNumberOfMessages"
    answer = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=[name])
    return int(answer["Attributes"][name])
