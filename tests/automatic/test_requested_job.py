"""A request becomes one job, whatever is killed, repeated or missing on the way."""

import gzip
import hashlib
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from batch_transform.errors import InputChanged, InvalidInput, NotYet, RefusedRequest
from batch_transform.job_outcome import settle_job
from batch_transform.naming import S3Uri
from batch_transform.requested_job import JobStarter
from batch_transform.s3_objects import delete_objects, list_objects
from batch_transform.sagemaker_model import ensure_model
from batch_transform.transform_job import TransformJob, describe_job
from batch_transform.transform_message import AcceptedRequests, RequestedJob, TransformMessage
from batch_transform.transform_profiles import STANDARD
from batch_transform.transform_request import create_model_request
from tests.automatic.conftest import BUCKET, MODEL_KEY, Site, until

S3_URI = f"s3://{BUCKET}/{MODEL_KEY}"


@pytest.fixture(scope="session")
def model_name(bare_site: Site) -> str:
    """A SageMaker Model."""
    request = create_model_request(
        image_uri=bare_site.environment["CONTAINER_IMAGE"],
        model_data_url=S3Uri.parse(S3_URI),
        execution_role_arn=bare_site.environment["SAGEMAKER_ROLE_ARN"],
    )
    ensure_model(bare_site.client("sagemaker"), request)
    return request["ModelName"]


@pytest.fixture
def starter(clients: SimpleNamespace, model_name: str) -> JobStarter:
    """What the request function uses, with five minutes' time."""
    return JobStarter(clients, model_name, time_limit_in_seconds=300)


@pytest.fixture
def request_job(
    bare_site: Site, accepted: AcceptedRequests, request: pytest.FixtureRequest
) -> Callable[..., RequestedJob]:
    """Return the job that a request over given input asks for; ids are of this test alone."""

    def request_job(input_path: str, request_id: str = "one", **fields: Any) -> RequestedJob:
        unique = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]
        fields = {"instance_type": "ml.m5.xlarge"} | fields
        return accepted.job(TransformMessage(input_path, **fields), f"{unique}-{request_id}")

    return request_job


def over(starter: JobStarter, s3: Any) -> JobStarter:
    """Return the starter as it works over another S3."""
    return replace(starter, clients=SimpleNamespace(s3=s3, sagemaker=starter.clients.sagemaker))


class Interrupted:
    """A client that dies right after, or right before, one of its calls."""

    def __init__(self, client: Any, operation: str, *, after: bool) -> None:
        self._client = client
        self._operation = operation
        self._after = after

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        return self._dying(call) if name == self._operation else call

    def _dying(self, call: Callable) -> Callable:
        def die(**arguments: Any) -> None:
            if self._after:
                call(**arguments)
            raise Killed

        return die


class Killed(BaseException):
    """What the platform does to a function: no code of ours runs any more."""


def test_a_request_is_packed_started_and_recorded(
    bare_site: Site, starter: JobStarter, request_job: Callable
) -> None:
    """The job reads shards in its own folder, and its folder tells what was asked."""
    job = request_job(bare_site.put_input(a=b"contract one\ncontract two\n"))

    assert starter.start(job)

    started = describe_job(starter.clients.sagemaker, job.job_name)
    assert started.input_uri == job.folder.shards
    assert started.request_digest == job.message.digest
    asked = json.loads(bare_site.read(job.folder.request.key))
    assert {name: asked[name] for name in job.message.given} == job.message.given
    assert json.loads(bare_site.read(job.folder.record.key))["packed"]["documents"] == 2


def test_five_deliveries_start_one_job(
    bare_site: Site, starter: JobStarter, request_job: Callable
) -> None:
    """SQS may deliver a message as often as it likes."""
    job = request_job(bare_site.put_input(a=b"contract one\n"))

    assert [starter.start(job) for _ in range(5)] == [True, False, False, False, False]
    assert len(bare_site.jobs(job.job_name)) == 1


def test_a_function_killed_after_creating_the_job_starts_no_second_one(
    bare_site: Site, starter: JobStarter, request_job: Callable
) -> None:
    """The message comes again, because nobody deleted it, and finds its job running."""
    job = request_job(bare_site.put_input(a=b"contract one\n"))
    clients = starter.clients
    dying = SimpleNamespace(
        s3=clients.s3, sagemaker=Interrupted(clients.sagemaker, "create_transform_job", after=True)
    )
    with pytest.raises(Killed):
        JobStarter(dying, starter.model_name, 300).start(job)

    assert not starter.start(job)
    assert len(bare_site.jobs(job.job_name)) == 1


def test_a_function_killed_before_creating_the_job_has_packed_for_the_next(
    bare_site: Site, starter: JobStarter, request_job: Callable
) -> None:
    """The packed input is used as it is, even when the user's own files are gone by then."""
    path = bare_site.put_input(a=b"contract one\n")
    job = request_job(path)
    clients = starter.clients
    dying = SimpleNamespace(
        s3=clients.s3,
        sagemaker=Interrupted(clients.sagemaker, "create_transform_job", after=False),
    )
    with pytest.raises(Killed):
        JobStarter(dying, starter.model_name, 300).start(job)
    clients.s3.delete_object(Bucket=BUCKET, Key=f"{job.input_uri.key}a.txt")

    assert starter.start(job)
    assert describe_job(clients.sagemaker, job.job_name).input_uri == job.folder.shards


def read_anew(job: RequestedJob, accepted: AcceptedRequests, **deployed: Any) -> RequestedJob:
    """Return the same request as the stack reads it after it was deployed with other settings."""
    request_id = job.job_name.split("-", 2)[2]
    return replace(accepted, **deployed).job(job.message, request_id)


def test_a_request_whose_job_runs_is_known_though_the_stacks_defaults_changed(
    bare_site: Site, starter: JobStarter, request_job: Callable, accepted: AcceptedRequests
) -> None:
    """It is delivered again after another output folder was deployed: the job is still its own."""
    job = request_job(
        bare_site.put_input(a=b"contract one\n"), profile="standard", instance_type=None
    )
    assert starter.start(job)
    again = read_anew(job, accepted, output_folder=S3Uri(BUCKET, "output/newly-deployed/"))
    assert again.job_name == job.job_name
    assert not starter.start(again)
    assert not bare_site.exists(again.folder.root.key)


def test_a_request_that_waits_takes_the_machine_that_is_the_default_by_then(
    bare_site: Site, starter: JobStarter, request_job: Callable, accepted: AcceptedRequests
) -> None:
    """Another machine is deployed because there was no capacity for the first."""
    path = bare_site.put_input(a=b"contract one\n")
    job = request_job(path, instance_type=None, instance_count=3)
    with pytest.raises(ClientError, match="ResourceLimitExceeded"):
        starter.start(job)
    assert starter.start(read_anew(job, accepted, instance_types=("ml.m5.xlarge",)))
    started = describe_job(starter.clients.sagemaker, job.job_name)
    assert (started.instance_type, started.input_uri) == ("ml.m5.xlarge", job.folder.shards)


def test_a_job_whose_folder_was_removed_is_still_its_requests_own(
    bare_site: Site, starter: JobStarter, request_job: Callable
) -> None:
    """Sent again it starts nothing and leaves nothing; another request of its id is refused."""
    path = bare_site.put_input(a=b"contract one\n")
    job, other = request_job(path), request_job(path, instance_count=2)
    assert starter.start(job)
    delete_objects(starter.clients.s3, job.folder.root)
    assert not starter.start(job)
    with pytest.raises(RefusedRequest, match="used before"):
        starter.start(other)
    assert not bare_site.exists(job.folder.request.key)


class KilledWhileReading:
    """S3 for a function that dies at the file which would have told that the input was read."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self._is_dead = False

    def __getattr__(self, name: str) -> Any:
        if self._is_dead:
            raise Killed
        return getattr(self._s3, name)

    def put_object(self, **arguments: Any) -> Any:
        self._is_dead = self._is_dead or arguments["Key"].endswith(("/job.json", "/checked.json"))
        return self.__getattr__("put_object")(**arguments)


class PrefixRoleS3:
    """S3 for who may list some prefixes only: a missing object is forbidden, not missing."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def head_object(self, **request: Any) -> Any:
        return self._forbidding(self._s3.head_object, request)

    def get_object(self, **request: Any) -> Any:
        return self._forbidding(self._s3.get_object, request)

    def _forbidding(self, call: Callable, request: dict[str, Any]) -> Any:
        try:
            return call(**request)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            forbidden = {"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}
            raise ClientError(forbidden, error.operation_name) from None


@pytest.mark.parametrize("profile", ["optimized", "standard"])
def test_a_role_that_may_list_prefixes_only_starts_and_settles_jobs(
    bare_site: Site, starter: JobStarter, request_job: Callable, profile: str
) -> None:
    """The condition on ListBucket names a prefix, which a request for one object does not bear."""
    job = request_job(bare_site.put_input(a=b"contract one\n"), profile=profile)
    s3 = PrefixRoleS3(starter.clients.s3)
    assert over(starter, s3).start(job)

    def ended() -> TransformJob | None:
        found = describe_job(starter.clients.sagemaker, job.job_name)
        return found if found.is_final else None

    done = until(ended, "the job has ended")
    settled = settle_job(s3, done)
    assert settled["status"] == "Completed"
    assert settle_job(s3, done) == settled


class LostAnswerS3:
    """S3 whose answer to the first claim is lost, so that botocore's own repeat is told 412."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def put_object(self, **arguments: Any) -> Any:
        if "IfNoneMatch" in arguments:
            self._s3.put_object(**arguments)
        return self._s3.put_object(**arguments)


def test_a_claim_whose_answer_was_lost_is_known_for_ones_own(
    bare_site: Site, starter: JobStarter, request_job: Callable
) -> None:
    """Taken for another's, the input would wait for a reader that does not exist."""
    job = request_job(bare_site.put_input(a=b"contract one\n"))
    assert over(starter, LostAnswerS3(starter.clients.s3)).start(job)
    assert describe_job(starter.clients.sagemaker, job.job_name).input_uri == job.folder.shards


@pytest.mark.parametrize("profile", ["optimized", "standard"])
def test_while_one_call_reads_another_waits(
    bare_site: Site, starter: JobStarter, request_job: Callable, profile: str
) -> None:
    """Two deliveries at once never pack into one folder, nor start what is still being checked."""
    job = request_job(bare_site.put_input(a=b"contract one\n"), profile=profile)
    with pytest.raises(Killed):
        over(starter, KilledWhileReading(starter.clients.s3)).start(job)

    with pytest.raises(NotYet, match="being read"):
        starter.start(job)
    assert bare_site.jobs(job.job_name) == []


def test_a_call_that_could_not_look_for_the_job_holds_nobody_up(
    bare_site: Site, starter: JobStarter, request_job: Callable
) -> None:
    """SageMaker was throttling: the next try packs, instead of waiting for the one that gave up."""
    job = request_job(bare_site.put_input(a=b"contract one\n"))

    def throttle(**_request: Any) -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "DescribeTransformJob")

    throttled = SimpleNamespace(
        s3=starter.clients.s3, sagemaker=SimpleNamespace(describe_transform_job=throttle)
    )
    with pytest.raises(ClientError, match="Throttling"):
        JobStarter(throttled, starter.model_name, 300).start(job)

    assert starter.start(job)
    assert describe_job(starter.clients.sagemaker, job.job_name).input_uri == job.folder.shards


class LaterS3:
    """S3 some seconds later."""

    def __init__(self, s3: Any, seconds: float) -> None:
        self._s3 = s3
        self._seconds = timedelta(seconds=seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def head_object(self, **request: Any) -> dict[str, Any]:
        answer = self._s3.head_object(**request)
        headers = {"date": format_datetime(answer["LastModified"] + self._seconds)}
        return answer | {"ResponseMetadata": {"HTTPHeaders": headers}}


def test_a_reader_is_not_given_up_in_its_last_second(
    bare_site: Site, starter: JobStarter, request_job: Callable
) -> None:
    """S3 tells whole seconds: what seems as old as a function can be may still be at work."""
    job = request_job(bare_site.put_input(a=b"contract one\n"))
    with pytest.raises(Killed):
        over(starter, KilledWhileReading(starter.clients.s3)).start(job)
    with pytest.raises(NotYet, match="being read"):
        over(starter, LaterS3(starter.clients.s3, seconds=301)).start(job)


@pytest.mark.parametrize("profile", ["optimized", "standard"])
def test_an_input_whose_reading_was_killed_runs_as_it_is(
    bare_site: Site, starter: JobStarter, request_job: Callable, profile: str
) -> None:
    """After the time that a function has, nobody reads any more: no second try, no loss."""
    job = request_job(bare_site.put_input(a=b"contract one\n"), profile=profile)
    with pytest.raises(Killed):
        over(starter, KilledWhileReading(starter.clients.s3)).start(job)

    # Long enough to read a line, so only the age of request.json can tell that nobody does.
    late = JobStarter(starter.clients, starter.model_name, time_limit_in_seconds=1)

    def starts() -> bool:
        try:
            return late.start(job)
        except NotYet:
            return False

    until(starts, "the reading is given up for dead")
    assert describe_job(starter.clients.sagemaker, job.job_name).input_uri == job.input_uri
    assert not bare_site.exists(job.folder.shards.key)


def test_an_input_too_large_to_pack_runs_as_it_is(
    bare_site: Site, clients: SimpleNamespace, model_name: str, request_job: Callable
) -> None:
    """With no time to pack, the job reads the user's own files as text."""
    job = request_job(bare_site.put_input(a=b"contract one\n"))

    assert JobStarter(clients, model_name, time_limit_in_seconds=0.01).start(job)

    description = clients.sagemaker.describe_transform_job(TransformJobName=job.job_name)
    assert description["TransformInput"]["ContentType"] == "text/plain"
    assert description["BatchStrategy"] == "MultiRecord"
    assert description["TransformOutput"]["S3OutputPath"] == str(job.folder.root)


@pytest.mark.parametrize(
    ("named", "beside"), [("", "_SUCCESS"), ("a.txt", "a.txt.bak")], ids=["prefix", "file"]
)
def test_what_lies_beside_the_input_is_not_read_with_it(
    bare_site: Site, starter: JobStarter, request_job: Callable, named: str, beside: str
) -> None:
    """A marker file is no document, and one file's name is the beginning of another's."""
    path = bare_site.put_input(a=b"contract one\n")
    beside_key = S3Uri.parse(path).child(beside).key
    starter.clients.s3.put_object(Bucket=BUCKET, Key=beside_key, Body=b"labour two\n")
    job = request_job(path + named, profile="standard")

    assert starter.start(job)

    description = starter.clients.sagemaker.describe_transform_job(TransformJobName=job.job_name)
    source = description["TransformInput"]["DataSource"]["S3DataSource"]
    assert source == {"S3DataType": "ManifestFile", "S3Uri": str(job.folder.manifest)}
    manifest = json.loads(bare_site.read(job.folder.manifest.key))
    assert manifest == [{"prefix": path}, "a.txt"]


def test_input_that_is_no_text_leaves_nothing_behind(
    bare_site: Site, starter: JobStarter, request_job: Callable
) -> None:
    """The line is named, the folder is empty again, and the mended input can be sent again."""
    path = bare_site.put_input(a=b"\xff\xfe\n")
    job = request_job(path)
    with pytest.raises(InvalidInput, match=r"a\.txt line 1"):
        starter.start(job)
    assert not bare_site.exists(job.folder.root.key)

    starter.clients.s3.put_object(Bucket=BUCKET, Key=f"{job.input_uri.key}a.txt", Body=b"good\n")
    assert starter.start(job)


class KilledWhileTakingBack:
    """S3 whose answer to the record is lost, and the function killed as it deletes the shards."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def put_object(self, **arguments: Any) -> Any:
        answer = self._s3.put_object(**arguments)
        if arguments["Key"].endswith("/job.json"):
            raise EndpointConnectionError(endpoint_url="https://s3")
        return answer

    def delete_objects(self, **arguments: Any) -> None:
        self._s3.delete_objects(**arguments)
        raise Killed


def test_shards_that_were_taken_back_are_not_taken_for_packed_input(
    bare_site: Site, starter: JobStarter, request_job: Callable
) -> None:
    """The record goes before them, or the next try would start a job over nothing."""
    job = request_job(bare_site.put_input(a=b"contract one\n"))
    with pytest.raises(Killed):
        over(starter, KilledWhileTakingBack(starter.clients.s3)).start(job)
    with pytest.raises(NotYet, match="being read"):
        starter.start(job)
    assert bare_site.jobs(job.job_name) == []


@pytest.mark.parametrize("below", ["", "input/"])
def test_a_failure_leaves_alone_what_another_job_keeps_below_the_folder(
    bare_site: Site, starter: JobStarter, request_job: Callable, below: str
) -> None:
    """An output path may name any place, another request's folder among them."""
    failing = request_job(bare_site.put_input(a=b"\xff\xfe\n"))
    path = str(failing.folder.root.child(below))
    running = request_job(bare_site.put_input(a=b"contract one\n"), "two", output_path=path)
    assert starter.start(running)
    kept = {found.uri for found in list_objects(starter.clients.s3, running.folder.root)}

    with pytest.raises(InvalidInput, match="UTF-8"):
        starter.start(failing)

    left = {found.uri for found in list_objects(starter.clients.s3, failing.folder.root)}
    assert kept <= left
    assert failing.folder.request not in left


def test_a_standard_request_is_checked_as_the_script_checks_it(
    bare_site: Site, starter: JobStarter, request_job: Callable
) -> None:
    """A document over the payload would cost its file all answers; other lines are told."""
    path = bare_site.put_input(a=b"contract one\n" + b"x" * (STANDARD.max_payload_in_mb << 20))
    job = request_job(path, profile="standard")
    with pytest.raises(InvalidInput, match=r"a\.txt line 2: .* does not fit into a request"):
        starter.start(job)
    assert not bare_site.exists(job.folder.root.key)

    mended = {"Bucket": BUCKET, "Key": f"{job.input_uri.key}a.txt", "Body": b"contract one\n\n"}
    starter.clients.s3.put_object(**mended)
    assert starter.start(job)
    assert json.loads(bare_site.read(job.folder.checked.key)) == {"left_out": {"EmptyDocument": 1}}
    assert b'"a.txt", "line": 2' in bare_site.read(job.folder.left_out.key)


def test_gzipped_input_is_refused_where_nothing_is_packed(
    bare_site: Site, starter: JobStarter, request_job: Callable
) -> None:
    """SageMaker would hand the compressed bytes to the container as if they were text."""
    job = request_job(bare_site.put_input(**{"a.txt.gz": b"\x1f\x8b"}), profile="standard")
    with pytest.raises(InvalidInput, match="gzipped"):
        starter.start(job)
    assert bare_site.jobs(job.job_name) == []


def test_gzipped_input_is_measured_by_what_it_holds(
    bare_site: Site, clients: SimpleNamespace, model_name: str, request_job: Callable
) -> None:
    """150 KB as stored could be packed in the time there is; the text they hold could not."""
    text = secrets.token_hex(150_000).encode() + b"\n"
    job = request_job(bare_site.put_input(**{"a.txt.gz": gzip.compress(text)}))
    with pytest.raises(InvalidInput, match="too large to pack"):
        JobStarter(clients, model_name, time_limit_in_seconds=0.3).start(job)
    assert not bare_site.exists(job.folder.root.key)

    assert JobStarter(clients, model_name, time_limit_in_seconds=300).start(job)
    assert describe_job(clients.sagemaker, job.job_name).input_uri == job.folder.shards


class ChangingS3:
    """S3 in which somebody replaces the input's file as soon as it has been listed."""

    def __init__(self, s3: Any, key: str, new_body: bytes) -> None:
        self._s3 = s3
        self._new_object = {"Bucket": BUCKET, "Key": key, "Body": new_body}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def get_paginator(self, _operation: str) -> "ChangingS3":
        return self

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        yield from self._s3.get_paginator("list_objects_v2").paginate(**request)
        if self._new_object["Key"].startswith(request["Prefix"]):
            self._s3.put_object(**self._new_object)


def test_input_changed_while_it_is_packed_is_packed_anew_by_the_next_try(
    bare_site: Site, clients: SimpleNamespace, starter: JobStarter, request_job: Callable
) -> None:
    """Nothing of the first try is left, and the second takes the input as it is then."""
    job = request_job(bare_site.put_input(a=b"contract one\n"))
    changing_s3 = ChangingS3(clients.s3, f"{job.input_uri.key}a.txt", b"labour one\nlabour two\n")
    changing = SimpleNamespace(s3=changing_s3, sagemaker=clients.sagemaker)
    with pytest.raises(InputChanged, match=r"a\.txt was changed"):
        JobStarter(changing, starter.model_name, 300).start(job)
    assert not bare_site.exists(job.folder.root.key)

    assert starter.start(job)
    assert b"labour two" in bare_site.read(job.folder.shards.child("shard-00000.jsonl").key)


def test_one_id_for_two_requests_is_refused(
    bare_site: Site, starter: JobStarter, request_job: Callable
) -> None:
    """The second request would otherwise be taken for a repetition, and silently dropped."""
    first = request_job(bare_site.put_input(a=b"contract one\n"))
    second = request_job(bare_site.put_input(b=b"contract two\n"))
    assert first.job_name == second.job_name
    starter.start(first)

    with pytest.raises(RefusedRequest, match="used before for another request"):
        starter.start(second)


@pytest.mark.parametrize(
    ("profile", "kept"), [("optimized", "job.json"), ("standard", "checked.json")]
)
def test_a_full_quota_is_left_to_the_caller_and_the_input_read_once(
    bare_site: Site, starter: JobStarter, request_job: Callable, profile: str, kept: str
) -> None:
    """It may wait for days: the next try finds in the folder that all was read, and goes on."""
    path = bare_site.put_input(a=b"contract one\n")
    job = request_job(path, profile=profile, instance_type="ml.g5.xlarge", instance_count=3)
    for _ in range(2):
        with pytest.raises(ClientError, match="ResourceLimitExceeded"):
            starter.start(job)
        assert bare_site.exists(job.folder.root.child(kept).key)


def test_a_model_deployed_while_a_request_waits_is_the_one_on_record(
    bare_site: Site, clients: SimpleNamespace, starter: JobStarter, request_job: Callable
) -> None:
    """Packed under one Model and started on the next: resuming must go on with the next."""
    job = request_job(bare_site.put_input(a=b"contract one\n"))
    dying = SimpleNamespace(
        s3=clients.s3,
        sagemaker=Interrupted(clients.sagemaker, "create_transform_job", after=False),
    )
    with pytest.raises(Killed):
        JobStarter(dying, starter.model_name, 300).start(job)
    model = clients.sagemaker.describe_model(ModelName=starter.model_name)
    newer = {"ModelName": "dispute-classifier-newer"} | {
        name: model[name] for name in ("PrimaryContainer", "ExecutionRoleArn")
    }
    ensure_model(clients.sagemaker, newer)

    assert JobStarter(clients, newer["ModelName"], 300).start(job)
    assert describe_job(clients.sagemaker, job.job_name).model_name == newer["ModelName"]
    assert json.loads(bare_site.read(job.folder.record.key))["model_name"] == newer["ModelName"]


class TakenName:
    """SageMaker where another call creates the job just before this one does."""

    def __init__(self, sagemaker: Any, *, writes_to: str | None = None, hidden: bool) -> None:
        self._sagemaker = sagemaker
        self._writes_to = writes_to
        self._hidden = hidden
        self._is_taken = False

    def create_transform_job(self, **request: Any) -> None:
        changes = {}
        if self._writes_to:
            changes["TransformOutput"] = request["TransformOutput"] | {
                "S3OutputPath": self._writes_to
            }
            changes["Environment"] = {"REQUEST_DIGEST": "another's"}
        self._sagemaker.create_transform_job(**request | changes)
        self._is_taken = True
        self._sagemaker.create_transform_job(**request)

    def describe_transform_job(self, **request: Any) -> dict[str, Any]:
        if self._is_taken and self._hidden:
            error = {"Code": "ValidationException", "Message": "Could not find requested job"}
            raise ClientError({"Error": error}, "DescribeTransformJob")
        return self._sagemaker.describe_transform_job(**request)


def start_beside(starter: JobStarter, sagemaker: TakenName, job: RequestedJob) -> bool:
    """Start a job whose name is taken between the look for it and its creation."""
    clients = SimpleNamespace(s3=starter.clients.s3, sagemaker=sagemaker)
    return JobStarter(clients, starter.model_name, 300).start(job)


def test_a_job_that_another_call_has_just_started_is_this_requests_own(
    bare_site: Site, starter: JobStarter, request_job: Callable
) -> None:
    """Nothing is started twice, and what the job reads stays."""
    job = request_job(bare_site.put_input(a=b"contract one\n"))
    sagemaker = TakenName(starter.clients.sagemaker, hidden=False)
    assert not start_beside(starter, sagemaker, job)
    assert bare_site.exists(job.folder.shards.key)


def test_a_name_that_another_requests_job_has_just_taken_is_refused(
    bare_site: Site, starter: JobStarter, request_job: Callable
) -> None:
    """It would never get its job; what was prepared for it goes."""
    job = request_job(bare_site.put_input(a=b"contract one\n"))
    elsewhere = f"s3://{BUCKET}/output/elsewhere/{job.job_name}/output/"
    sagemaker = TakenName(starter.clients.sagemaker, writes_to=elsewhere, hidden=False)
    with pytest.raises(RefusedRequest, match=r"its job wrote to s3:.*elsewhere"):
        start_beside(starter, sagemaker, job)
    assert not bare_site.exists(job.folder.root.key)


def test_a_job_that_is_not_shown_yet_is_waited_for(
    bare_site: Site, starter: JobStarter, request_job: Callable
) -> None:
    """SageMaker says that the name is in use before it tells whose job has it."""
    job = request_job(bare_site.put_input(a=b"contract one\n"))
    sagemaker = TakenName(starter.clients.sagemaker, hidden=True)
    with pytest.raises(NotYet, match="does not show it"):
        start_beside(starter, sagemaker, job)
    assert not starter.start(job)


def test_a_deleted_model_is_an_error_of_its_own(
    bare_site: Site, clients: SimpleNamespace, request_job: Callable
) -> None:
    """SageMaker's own words reach the caller, who tries again and then sets the message aside."""
    job = request_job(bare_site.put_input(a=b"contract one\n"))
    with pytest.raises(ClientError, match="Could not find model"):
        JobStarter(clients, "dispute-classifier-gone", 300).start(job)
