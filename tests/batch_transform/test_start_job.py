"""Starting a job over a bad line: what may run is kept, what does not run is taken back."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import Stubber

from batch_transform.aws import AwsClients
from batch_transform.errors import AwsRefused, BatchTransformError, JobMayRun, WatchInterrupted
from batch_transform.folder_claim import claimed_folder
from batch_transform.naming import JobFolder, S3Uri
from batch_transform.s3_objects import delete_objects, list_objects, put_object
from batch_transform.sagemaker_model import ensure_model
from batch_transform.transform_job import start_job
from batch_transform.transform_profiles import OPTIMIZED
from batch_transform.transform_request import create_transform_job_request

REQUEST = create_transform_job_request(
    profile=OPTIMIZED,
    job_name="job-1",
    model_name="model-1",
    input_uri=S3Uri("b", "out/job-1/input/"),
    output_uri=S3Uri("b", "out/job-1/output/"),
    instance_type="ml.g5.xlarge",
    instance_count=1,
)
NO_NETWORK = EndpointConnectionError(endpoint_url="https://sagemaker")


def refusal(code: str, message: str) -> ClientError:
    """Return an error as SageMaker answers it."""
    return ClientError({"Error": {"Code": code, "Message": message}}, "CreateTransformJob")


NAME_TAKEN = refusal("ResourceInUse", "Job name must be unique")
NO_SUCH_JOB = refusal("ValidationException", "Could not find requested job")
NO_CAPACITY = refusal("ResourceLimitExceeded", "The account-level limit is 0")


class FaultySageMaker:
    """A SageMaker whose answers get lost: one outcome for creating, another for describing."""

    def __init__(self, creating: BaseException, describing: BaseException | dict) -> None:
        self._creating, self._describing = creating, describing

    def create_transform_job(self, **_request: Any) -> None:
        raise self._creating

    def describe_transform_job(self, **_request: Any) -> dict:
        if isinstance(self._describing, BaseException):
            raise self._describing
        return self._describing


def described(**changes: Any) -> dict:
    """Return what SageMaker says of the job that REQUEST asks for."""
    return {**REQUEST, "TransformJobStatus": "InProgress", "CreationTime": None} | changes


@pytest.mark.parametrize("lost", [NO_NETWORK, NAME_TAKEN])
def test_an_answer_lost_on_its_way_is_no_failure(lost: Exception) -> None:
    """The call is repeated by botocore, and the name is taken by our own first try."""
    start_job(FaultySageMaker(lost, described()), REQUEST)


def test_a_name_taken_by_another_job_is_refused() -> None:
    """Another model or another output: it is not the job that was asked for."""
    with pytest.raises(AwsRefused, match="the job name 'job-1' is taken"):
        start_job(FaultySageMaker(NAME_TAKEN, described(ModelName="other")), REQUEST)


def test_ctrl_c_after_the_start_says_that_the_job_runs() -> None:
    """The operator learns how to watch and how to stop what is billed."""
    with pytest.raises(WatchInterrupted, match="goes on and is billed") as told:
        start_job(FaultySageMaker(KeyboardInterrupt(), described()), REQUEST)
    assert "--job-name job-1 --stop" in str(told.value)


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), NO_CAPACITY, NO_NETWORK])
def test_what_did_not_start_fails_as_it_did(failure: BaseException) -> None:
    """SageMaker has no such job: the first failure is the one to be told."""
    with pytest.raises(type(failure)):
        start_job(FaultySageMaker(failure, NO_SUCH_JOB), REQUEST)


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), NO_NETWORK])
@pytest.mark.parametrize("second", [KeyboardInterrupt(), NO_NETWORK])
def test_what_nobody_can_tell_is_told_as_that(
    failure: BaseException, second: BaseException
) -> None:
    """Neither call was answered, or waited for; the operator is told to look, and how."""
    with pytest.raises(JobMayRun, match="nobody can tell"):
        start_job(FaultySageMaker(failure, second), REQUEST)


def keys(s3: Any, folder: JobFolder) -> list[str]:
    """Return what lies in the folder."""
    return [found.uri.key for found in list_objects(s3, folder.root)]


def fill_and_fail(s3: Any, folder: JobFolder, failure: BaseException) -> Callable[[], None]:
    """Return a run that claims the folder, writes a shard and fails."""

    def run() -> None:
        with claimed_folder(s3, folder, {"CreateTransformJob": REQUEST}):
            put_object(s3, folder.shards.child("shard-00000.jsonl"), b"{}", "application/json")
            raise failure

    return run


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), NO_CAPACITY])
def test_a_failed_run_empties_its_folder(
    clients: AwsClients, folder: JobFolder, failure: BaseException
) -> None:
    """Neither shards nor the claim are left behind."""
    with pytest.raises(type(failure)):
        fill_and_fail(clients.s3, folder, failure)()
    assert keys(clients.s3, folder) == []


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), NO_NETWORK])
@pytest.mark.parametrize("second", [KeyboardInterrupt(), NO_NETWORK])
def test_a_folder_that_cannot_be_emptied_is_named(
    clients: AwsClients, folder: JobFolder, failure: BaseException, second: BaseException
) -> None:
    """The network is gone, or Ctrl-C pressed again: packed texts are left, and that is told."""
    events = clients.s3.meta.events

    def lose_network(**_: Any) -> None:
        raise second

    def run() -> None:
        with claimed_folder(clients.s3, folder, {"CreateTransformJob": REQUEST}):
            events.register("before-call.s3", lose_network)
            raise failure

    try:
        with pytest.raises(BatchTransformError, match="--clean job-1") as told:
            run()
    finally:
        events.unregister("before-call.s3", lose_network)
    assert ("interrupted" in str(told.value)) == isinstance(failure, KeyboardInterrupt)
    assert f"{folder.root} could not be emptied" in str(told.value)


def test_the_folder_of_a_job_that_may_run_is_kept(clients: AwsClients, folder: JobFolder) -> None:
    """A job that runs reads its shards."""
    with pytest.raises(JobMayRun):
        fill_and_fail(clients.s3, folder, JobMayRun("it runs"))()
    assert len(keys(clients.s3, folder)) == 2


def test_a_second_run_of_the_name_touches_nothing(clients: AwsClients, folder: JobFolder) -> None:
    """It is refused, and what the first one wrote stays."""

    def second_run() -> None:
        with claimed_folder(clients.s3, folder, {"CreateTransformJob": REQUEST}):
            pytest.fail("the folder was claimed twice")

    with claimed_folder(clients.s3, folder, {"CreateTransformJob": REQUEST}):
        with pytest.raises(AwsRefused, match="in use by another run"):
            second_run()
        assert len(keys(clients.s3, folder)) == 1


def test_a_folder_that_was_emptied_meanwhile_starts_no_job(
    clients: AwsClients, folder: JobFolder
) -> None:
    """What was packed after that goes too: it is the run's own, though no claim says so."""
    place = folder.shards.child("shard-00002.jsonl")

    def run() -> None:
        with claimed_folder(clients.s3, folder, {"CreateTransformJob": REQUEST}) as check_is_held:
            check_is_held()
            delete_objects(clients.s3, folder.root)
            clients.s3.put_object(Bucket=place.bucket, Key=place.key, Body=b"{}")
            check_is_held()

    with pytest.raises(AwsRefused, match="was emptied while its documents were packed"):
        run()
    assert keys(clients.s3, folder) == []


def test_no_folder_is_claimed_inside_another(clients: AwsClients, folder: JobFolder) -> None:
    """Whoever removes the outer one would remove the inner one's results with it."""
    inner = JobFolder.of(folder.root.child("results/"), "job-2")
    with claimed_folder(clients.s3, folder, {"CreateTransformJob": REQUEST}):
        with pytest.raises(AwsRefused, match=f"would lie in {folder.root}"):
            fill_and_fail(clients.s3, inner, NO_CAPACITY)()
        assert keys(clients.s3, folder) == [folder.request.key]


def test_a_file_of_anybody_is_no_claim(clients: AwsClients, folder: JobFolder) -> None:
    """`request.json` is a name that others use as well."""
    above = next(folder.above())
    put_object(clients.s3, above.request, b'{"claim": "of a tenant"}\n', "text/plain")
    with claimed_folder(clients.s3, folder, {"CreateTransformJob": REQUEST}):
        assert keys(clients.s3, folder) == [folder.request.key]


@pytest.mark.parametrize("place", ["precious.txt", "output/shard-00000.jsonl.out"])
def test_a_folder_that_holds_anything_is_not_touched(
    clients: AwsClients, folder: JobFolder, place: str
) -> None:
    """A failed run empties its folder, which must not cost anybody else's files."""
    foreign = folder.root.child(place)
    put_object(clients.s3, foreign, b"mine", "text/plain")
    with pytest.raises(AwsRefused, match="somebody else left there"):
        fill_and_fail(clients.s3, folder, KeyboardInterrupt())()
    assert keys(clients.s3, folder) == [foreign.key]


def test_a_claim_whose_answer_was_lost_is_known_again(
    clients: AwsClients, folder: JobFolder
) -> None:
    """botocore repeats the conditional put and is refused for what it wrote itself."""

    def put_twice(params: dict, **_: Any) -> None:
        clients.s3.meta.events.unregister("before-parameter-build.s3.PutObject", put_twice)
        clients.s3.put_object(**params)

    clients.s3.meta.events.register("before-parameter-build.s3.PutObject", put_twice)
    with claimed_folder(clients.s3, folder, {"CreateTransformJob": REQUEST}):
        assert len(keys(clients.s3, folder)) == 1


def test_a_model_that_another_run_just_made_is_taken() -> None:
    """Two runs find it missing; the slower one is told that it exists, and goes on."""
    sagemaker = boto3.session.Session("key", "secret", region_name="us-east-1").client("sagemaker")
    with Stubber(sagemaker) as stubber:
        missing = 'Could not find model "arn"'
        stubber.add_client_error("describe_model", "ValidationException", missing)
        existing = 'Cannot create already existing model "arn"'
        stubber.add_client_error("create_model", "ValidationException", existing)
        request = {"ModelName": "m", "ExecutionRoleArn": "arn:aws:iam::123456789012:role/r"}
        assert ensure_model(sagemaker, request) is False
