"""Going on with a job: what is taken over from it, what is asked anew, and what it may cost."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from batch_transform.aws import AwsClients
from batch_transform.errors import AwsRefused, IncompleteOutput, InvalidSettings
from batch_transform.input_documents import find_input
from batch_transform.job_heirs import add_heir
from batch_transform.job_record import JobRecord, write_job_record
from batch_transform.job_resumption import Resumption, plan_resumption, resume
from batch_transform.naming import JobFolder
from batch_transform.packed_input import pack
from batch_transform.s3_objects import delete_objects, list_objects, put_object, read_object
from batch_transform.settings import TransformSettings
from batch_transform.transform_profiles import OPTIMIZED

KEY = "arn:aws:kms:us-east-1:111122223333:key/mrk-1"
EARLIER = {
    "TransformJobName": "job-1",
    "TransformJobStatus": "Failed",
    "ModelName": "model-1",
    "CreationTime": None,
    "TransformInput": {"DataSource": {"S3DataSource": {"S3Uri": "s3://b/output/job-1/input/"}}},
    "TransformResources": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
}


class SageMaker:
    """A SageMaker that knows one job that failed, and notes what it is asked to start."""

    def __init__(self, folder: JobFolder) -> None:
        output = {"S3OutputPath": str(folder.shard_outputs), "KmsKeyId": KEY}
        self.jobs = {"job-1": EARLIER | {"TransformOutput": output}}
        self.started: list[dict[str, Any]] = []

    def describe_transform_job(self, *, TransformJobName: str) -> dict[str, Any]:  # noqa: N803
        if TransformJobName not in self.jobs:
            error = {"Code": "ValidationException", "Message": "Could not find requested job"}
            raise ClientError({"Error": error}, "DescribeTransformJob")
        return self.jobs[TransformJobName]

    def describe_model(self, **_request: Any) -> None:
        """Know every Model."""

    def list_transform_jobs(self, **_request: Any) -> dict[str, Any]:
        return {"TransformJobSummaries": []}

    def create_transform_job(self, **request: Any) -> None:
        self.started.append(request)


@pytest.fixture
def failed_job(clients: AwsClients, documents: Any, folder: JobFolder) -> Any:
    """Clients of an account with a job of 50 documents, all of whose outputs are missing."""
    found = find_input(clients.s3, documents.put(a=b"debt\n" * 50))
    packed = pack(
        clients.s3, found, folder, instance_count=1, max_payload_in_mb=6, on_file=lambda _: None
    )
    record = JobRecord(
        "job-1", "optimized", "model-1", str(found.uri), "", packed, tags={"team": "legal"}
    )
    write_job_record(clients.s3, folder, record)
    return SimpleNamespace(
        s3=clients.s3,
        sagemaker=SageMaker(folder),
        pricing=None,
        region="us-east-1",
        writing_with=lambda *_: clients,
    )


def plan(account: Any, folder: JobFolder, **changes: Any) -> Resumption:
    """Plan to go on with the job."""
    values = {
        "profile": OPTIMIZED,
        "bucket": folder.root.bucket,
        "model_path": "model.tar.gz",
        "model_prefix": "models/",
        "input_prefix": "input/",
        "output_prefix": "output/",
        "image_uri": None,
        "role_arn": None,
        "instance_type": "ml.g5.xlarge",
        "instance_count": 1,
        "job_name": "job-2",
    }
    return plan_resumption(account, TransformSettings(**values | changes), "job-1")


def test_key_and_tags_are_taken_over_unless_others_are_named(
    failed_job: Any, folder: JobFolder
) -> None:
    """What was encrypted stays so, though nobody said it again."""
    request = plan(failed_job, folder).create_transform_job
    assert request["TransformOutput"]["KmsKeyId"] == KEY
    assert request["Tags"] == [{"Key": "team", "Value": "legal"}]
    other = KEY.replace("mrk-1", "mrk-2")
    asked = plan(failed_job, folder, kms_key_id=other, tags={"team": "tax"})
    assert asked.create_transform_job["TransformOutput"]["KmsKeyId"] == other
    assert asked.packed_job.record.tags == {"team": "tax"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"instance_type": "ml.inf1.xlarge"}, "--instance-type: ml.inf1.xlarge has a Neuron"),
        ({"tags": {str(number): "" for number in range(11)}}, "--tag: 11 tags"),
    ],
)
def test_machine_and_tags_are_checked_as_those_of_a_first_job(
    failed_job: Any, folder: JobFolder, changes: dict[str, Any], told: str
) -> None:
    """They can be named anew, and the job must not fail over them when it is paid for."""
    with pytest.raises(InvalidSettings, match=told):
        plan(failed_job, folder, **changes)


@pytest.mark.parametrize(
    ("heirs", "told"),
    [([], "run the whole input again"), (["job-9"], "job-9 went on with job-1 and has all")],
)
def test_shards_that_are_gone_are_told_with_the_job_that_has_their_answers(
    failed_job: Any, folder: JobFolder, heirs: list[str], told: str
) -> None:
    """Nothing needs to run again where another job answered the rest and removed them."""
    delete_objects(failed_job.s3, folder.shards)
    for heir in heirs:
        add_heir(failed_job.s3, folder, heir)
        summary = folder.beside(heir).summary
        put_object(failed_job.s3, summary, b'{"is_complete": true}', "application/json")
    with pytest.raises(IncompleteOutput, match=told):
        plan(failed_job, folder)


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("output/job-1/", "job-1 packed nothing"),
        ("other/job-1/output/", "lies in .*other/job-1/"),
    ],
)
def test_a_job_that_cannot_be_resumed_from_here_is_told(
    failed_job: Any, folder: JobFolder, output: str, told: str
) -> None:
    """A standard job keeps no record, and another prefix holds another job's or none."""
    place = {"S3OutputPath": f"s3://{folder.root.bucket}/{output}"}
    failed_job.sagemaker.jobs["job-1"] = EARLIER | {"TransformOutput": place}
    with pytest.raises(InvalidSettings, match=told):
        plan(failed_job, folder)


@pytest.mark.parametrize(("status", "flags"), [("Completed", ""), ("Stopped", " --partial")])
def test_a_job_that_is_all_answered_is_to_be_consolidated(
    failed_job: Any, folder: JobFolder, status: str, flags: str
) -> None:
    """As a whole; answers of a job that did not complete are taken only if that is said."""
    shard = "shard-00000.jsonl"
    error = {"code": "InternalError", "message": "x"}
    body = "".join(
        json.dumps({"source": "a.txt", "line": line, "error": error}) + "\n"
        for line in range(1, 51)
    )
    output = folder.shard_outputs.child(f"{shard}.out")
    put_object(failed_job.s3, output, body.encode(), "application/jsonlines")
    failed_job.sagemaker.jobs["job-1"]["TransformJobStatus"] = status
    with pytest.raises(InvalidSettings, match=f"--job-name job-1 --watch{flags}$"):
        plan(failed_job, folder)


def test_what_is_run_again_is_estimated(failed_job: Any, folder: JobFolder) -> None:
    """Documents, minutes and dollars of the rest, before it is paid for."""
    estimate = plan(failed_job, folder).estimate
    assert estimate.documents == 50
    assert estimate.dollars > 0
    assert str(estimate.minutes)[:2] == "4.", "the start of a machine alone takes four"


def test_a_second_job_does_not_go_on_beside_the_first(failed_job: Any, folder: JobFolder) -> None:
    """Whoever has planned before the other started is refused in the end, and leaves no folder."""
    late = plan(failed_job, folder, job_name="job-3")
    resume(failed_job, plan(failed_job, folder))
    assert [job["TransformJobName"] for job in failed_job.sagemaker.started] == ["job-2"]
    with pytest.raises(AwsRefused, match="job-2 goes on with the shards"):
        resume(failed_job, late)
    assert len(failed_job.sagemaker.started) == 1
    assert list(list_objects(failed_job.s3, folder.beside("job-3").root)) == []
    with pytest.raises(AwsRefused, match="job-2 goes on with the shards"):
        plan(failed_job, folder, job_name="job-4")
    jobs = failed_job.sagemaker.jobs
    jobs["job-2"] = jobs["job-1"] | {"TransformJobName": "job-2"}
    resume(failed_job, plan(failed_job, folder, job_name="job-4"))
    assert read_object(failed_job.s3, folder.heirs.child("job-4")) == b""


def test_of_two_that_resume_at_once_one_starts_at_most(failed_job: Any, folder: JobFolder) -> None:
    """Both have noted themselves before either asks; whoever is refused leaves no folder."""
    plans = {name: plan(failed_job, folder, job_name=name) for name in ("job-2", "job-3")}
    both_noted = threading.Barrier(len(plans), timeout=30)
    events = failed_job.s3.meta.events

    def wait_for_the_other(params: dict[str, Any], **_: Any) -> None:
        if params["Prefix"] == folder.heirs.key:
            both_noted.wait()

    def run(name: str) -> bool:
        try:
            resume(failed_job, plans[name])
        except AwsRefused:
            return False
        return True

    events.register("provide-client-params.s3.ListObjectsV2", wait_for_the_other)
    try:
        with ThreadPoolExecutor(len(plans)) as pool:
            is_started = dict(zip(plans, pool.map(run, plans), strict=True))
    finally:
        events.unregister("provide-client-params.s3.ListObjectsV2", wait_for_the_other)
    started = [job["TransformJobName"] for job in failed_job.sagemaker.started]
    assert started == [name for name in plans if is_started[name]]
    assert len(started) <= 1
    for name in plans.keys() - started:
        assert list(list_objects(failed_job.s3, folder.beside(name).root)) == []
    if not started:
        resume(failed_job, plan(failed_job, folder, job_name="job-4"))


def test_what_a_run_has_noted_and_not_claimed_stops_nobody(
    failed_job: Any, folder: JobFolder
) -> None:
    """It failed, and took its folder back."""
    add_heir(failed_job.s3, folder, "given-up")
    assert plan(failed_job, folder).shard_names == ["shard-00000.jsonl"]
