"""Cleaning up takes what nobody needs, and nothing that a running job reads."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from batch_transform.aws import AwsClients
from batch_transform.errors import AwsRefused
from batch_transform.folder_claim import new_claim
from batch_transform.job_clean_up import clean_up, find_leftovers
from batch_transform.job_console import clean
from batch_transform.job_heirs import add_heir, check_unread
from batch_transform.naming import JobFolder, S3Uri
from batch_transform.s3_objects import delete_objects, list_objects, unfinished_uploads
from batch_transform.transform_job import TransformJob

JOB = TransformJob(
    name="job-1",
    status="Failed",
    failure_reason=None,
    model_name="model-1",
    input_uri=S3Uri("b", "in/"),
    output_uri=S3Uri("b", "out/"),
    instance_type="ml.g5.xlarge",
    instance_count=1,
    created_at=datetime(2026, 11, 20, tzinfo=UTC),
    started_at=None,
    ended_at=None,
)
KEYS = ("job.json", "input/shard-00000.jsonl", "output/shard-00000.jsonl.out", "request.json")


@pytest.fixture
def used_folder(clients: AwsClients, folder: JobFolder) -> JobFolder:
    """A folder with a shard, an output and an unfinished upload."""
    for key in KEYS:
        place = folder.root.child(key)
        clients.s3.put_object(Bucket=place.bucket, Key=place.key, Body=new_claim({}))
    place = folder.predictions()
    clients.s3.create_multipart_upload(Bucket=place.bucket, Key=place.key)
    return folder


def left(clients: AwsClients, folder: JobFolder) -> list[str]:
    """Return what is left of the folder."""
    found = list_objects(clients.s3, folder.root)
    return [item.uri.key.removeprefix(folder.root.key) for item in found]


def test_a_job_that_ended_loses_its_packed_texts_alone(
    clients: AwsClients, used_folder: JobFolder
) -> None:
    """Answers and the record stay; the parts of an upload that was cut off go."""
    leftovers = find_leftovers(clients, used_folder, JOB)
    assert str(leftovers) == (
        f"1 packed shard ({len(new_claim({}))} bytes) under {used_folder.shards} and "
        "1 unfinished upload"
    )
    clean_up(clients.s3, leftovers)
    assert unfinished_uploads(clients.s3, used_folder.root) == []
    assert left(clients, used_folder) == [
        "job.json",
        "output/shard-00000.jsonl.out",
        "request.json",
    ]


def test_a_run_that_never_became_a_job_goes_whole(
    clients: AwsClients, used_folder: JobFolder
) -> None:
    """Then its name is free again."""
    clean_up(clients.s3, find_leftovers(clients, used_folder, None))
    assert left(clients, used_folder) == []


@pytest.mark.parametrize("job", [None, JOB])
def test_files_that_are_no_jobs_stay(
    clients: AwsClients, used_folder: JobFolder, job: TransformJob | None
) -> None:
    """A folder of anybody may bear the name that was typed, and a request.json of its own."""
    clients.s3.delete_object(Bucket=used_folder.request.bucket, Key=used_folder.request.key)
    with pytest.raises(AwsRefused, match=r"no request.json of a job: they are somebody else's"):
        find_leftovers(clients, used_folder, job)
    place = used_folder.request
    clients.s3.put_object(Bucket=place.bucket, Key=place.key, Body=b"{}")
    with pytest.raises(AwsRefused, match="somebody else's"):
        find_leftovers(clients, used_folder, job)


def test_a_name_that_nothing_bears_is_told(clients: AwsClients, used_folder: JobFolder) -> None:
    """A mistyped one would else be told as cleaned; parts of an upload alone can be cleaned."""
    with pytest.raises(AwsRefused, match=r"no job job-l .* no run left a folder s3://.*job-l/"):
        find_leftovers(clients, used_folder.beside("job-l"), None)
    delete_objects(clients.s3, used_folder.root)
    assert find_leftovers(clients, used_folder, None).uploads == 1


def test_nothing_is_asked_where_nothing_is_left(
    clients: AwsClients, used_folder: JobFolder, capsys: pytest.CaptureFixture
) -> None:
    """A job whose answers were verified has no packed texts any more."""
    clean_up(clients.s3, find_leftovers(clients, used_folder, JOB))
    output = {"S3OutputPath": str(used_folder.shard_outputs)}
    ended = SimpleNamespace(s3=clients.s3, sagemaker=Jobs(output, **{"job-1": "Completed"}))
    clean(ended, "job-1", None, confirm=pytest.fail)
    assert "nothing to remove: job-1 has left no packed texts" in capsys.readouterr().err


class Jobs:
    """A SageMaker that knows these jobs and their states."""

    def __init__(self, output: dict[str, str] | None = None, **statuses: str) -> None:
        self._statuses = statuses
        self._output = output or {"S3OutputPath": "s3://b/out/"}

    def describe_transform_job(self, *, TransformJobName: str) -> dict[str, Any]:  # noqa: N803
        if TransformJobName not in self._statuses:
            error = {"Code": "ValidationException", "Message": "Could not find requested job"}
            raise ClientError({"Error": error}, "DescribeTransformJob")
        return {
            "TransformJobName": TransformJobName,
            "TransformJobStatus": self._statuses[TransformJobName],
            "ModelName": "model-1",
            "CreationTime": JOB.created_at,
            "TransformInput": {"DataSource": {"S3DataSource": {"S3Uri": "s3://b/m.json"}}},
            "TransformOutput": self._output,
            "TransformResources": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
        }


@pytest.mark.parametrize("status", ["InProgress", "Stopping"])
def test_shards_that_another_job_reads_are_kept(
    clients: AwsClients, used_folder: JobFolder, status: str
) -> None:
    """A job that goes on with this one needs them until it has ended."""
    add_heir(clients.s3, used_folder, "heir")
    running = SimpleNamespace(s3=clients.s3, sagemaker=Jobs(heir=status))
    with pytest.raises(AwsRefused, match=f"heir goes on with the shards in .* is {status}"):
        find_leftovers(running, used_folder, JOB)
    check_unread(running, used_folder, besides="heir")
    ended = SimpleNamespace(s3=clients.s3, sagemaker=Jobs(heir="Failed"))
    assert find_leftovers(ended, used_folder, JOB).objects == 1


def test_shards_are_kept_for_a_job_that_is_being_started(
    clients: AwsClients, used_folder: JobFolder
) -> None:
    """Its folder is claimed, though SageMaker knows nothing of it yet; given up, it needs none."""
    add_heir(clients.s3, used_folder, "heir")
    nobody = SimpleNamespace(s3=clients.s3, sagemaker=Jobs())
    check_unread(nobody, used_folder)
    claim = used_folder.beside("heir").request
    clients.s3.put_object(Bucket=claim.bucket, Key=claim.key, Body=b"{}")
    with pytest.raises(AwsRefused, match="is being started, or was killed then"):
        check_unread(nobody, used_folder)


@pytest.mark.parametrize("status", ["InProgress", "Stopping"])
def test_a_running_job_keeps_its_input(
    clients: AwsClients, used_folder: JobFolder, status: str
) -> None:
    """Nothing is even offered for removal."""
    with pytest.raises(AwsRefused, match=status):
        find_leftovers(clients, used_folder, replace(JOB, status=status))
    assert len(left(clients, used_folder)) == len(KEYS)
