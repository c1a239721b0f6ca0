"""
Going on with a job that ended early: only the shards without a sound answer run again.

The new job has a name and a folder of its own; its record names the jobs it goes on with, so that
old and new outputs are verified and consolidated together. Packs nothing.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from batch_transform.aws import AwsClients, check_bucket
from batch_transform.errors import AwsRefused, IncompleteOutput, InvalidSettings
from batch_transform.folder_claim import claimed_folder
from batch_transform.input_manifest import Manifest, manifest_of, write_manifest
from batch_transform.job_estimate import InputSize, JobEstimate, estimate_job
from batch_transform.job_heirs import add_heir, check_unread, heir_at_the_end
from batch_transform.job_record import JobRecord, read_job_record, write_job_record
from batch_transform.naming import JobFolder
from batch_transform.packed_input import PackedInput
from batch_transform.prices import hourly_price
from batch_transform.sagemaker_model import model_exists
from batch_transform.settings import TransformSettings, request_problems
from batch_transform.shard_outputs import PackedJob
from batch_transform.throughput import expected_throughput
from batch_transform.transform_job import (
    TransformJob,
    check_name_is_free,
    find_job,
    start_job,
)
from batch_transform.transform_profiles import OPTIMIZED, OPTIMIZED_UNPACKED
from batch_transform.transform_request import Request, create_transform_job_request
from batch_transform.wording import counted


@dataclass(frozen=True)
class Resumption:
    """What would be done: the shards to run again and the exact request."""

    packed_job: PackedJob
    shard_names: list[str]
    estimate: JobEstimate
    kms_key_id: str | None
    create_transform_job: Request

    def requests(self) -> dict[str, Request]:
        """Return the SageMaker request by its operation."""
        return {"CreateTransformJob": self.create_transform_job}

    def manifest(self) -> Manifest:
        """Return the list of the objects that the job reads."""
        return manifest_of(self.packed_job.shards, self.shard_names)


def plan_resumption(
    clients: AwsClients, settings: TransformSettings, earlier_name: str
) -> Resumption:
    """
    Find out what an earlier job left to do.

    Model and documents are that job's, and so are key and tags where *settings* name none. Raises
    AwsRefused while it or another that goes on with it runs, or where its Model is gone,
    IncompleteOutput where its record or its packed shards are gone, and InvalidSettings where it
    packed nothing, lies elsewhere or left nothing to do.
    """
    check_bucket(clients.s3, settings.output_uri.bucket)
    check_name_is_free(clients.sagemaker, settings.job_name)
    earlier = find_job(clients.sagemaker, earlier_name)
    if earlier:
        _check_can_be_resumed(earlier, settings.folder)
    earlier_record = read_job_record(clients.s3, settings.folder.beside(earlier_name))
    if not model_exists(clients.sagemaker, earlier_record.model_name):
        raise AwsRefused(
            f"the Model {earlier_record.model_name} of {earlier_name} was deleted: its answers "
            "could not be told from another's. Run the whole input again"
        )
    kms_key_id = settings.kms_key_id or (earlier.kms_key_id if earlier else None)
    settings = replace(settings, kms_key_id=kms_key_id, tags=settings.tags or earlier_record.tags)
    packed_job = PackedJob(settings.folder, _record(settings, earlier_record))
    check_unread(clients, packed_job.packed_in)
    shard_names = _shards_to_run(clients.s3, packed_job, earlier_name, earlier)
    request = create_transform_job_request(
        profile=OPTIMIZED_UNPACKED if earlier_record.packed.is_by_manifest else OPTIMIZED,
        job_name=settings.job_name,
        model_name=earlier_record.model_name,
        input_uri=settings.folder.manifest,
        input_is_manifest=True,
        output_uri=settings.folder.shard_outputs,
        instance_type=settings.instance_type,
        instance_count=settings.instance_count,
        kms_key_id=settings.kms_key_id,
        tags=settings.tags,
    )
    problems = request_problems("CreateTransformJob", request)
    if problems := [*settings.problems_of_any_job(), *problems]:
        raise InvalidSettings(problems)
    estimate = _estimate(clients, settings, packed_job.record.packed, shard_names)
    return Resumption(packed_job, shard_names, estimate, kms_key_id, request)


def resume(clients: AwsClients, resumption: Resumption) -> None:
    """Start the new job; whatever fails, its folder is emptied again unless the job may run."""
    folder, record = resumption.packed_job.folder, resumption.packed_job.record
    s3 = clients.writing_with(resumption.kms_key_id, record.tags).s3
    with claimed_folder(s3, folder, resumption.requests()) as check_is_held:
        add_heir(s3, resumption.packed_job.packed_in, record.job_name)
        check_unread(clients, resumption.packed_job.packed_in, besides=record.job_name)
        write_manifest(s3, folder.manifest, resumption.manifest())
        write_job_record(s3, folder, record)
        check_is_held()
        start_job(clients.sagemaker, resumption.create_transform_job)


def _check_can_be_resumed(earlier: TransformJob, folder: JobFolder) -> None:
    """Raise unless the earlier job has ended, packed its input and lies beside the new *folder*."""
    if not earlier.is_final:
        raise AwsRefused(f"{earlier.name} is {earlier.status}: wait for its end, or stop it")
    its_folder = JobFolder.holding(earlier.output_uri, earlier.name)
    if its_folder is None:
        problem = f"{earlier.name} packed nothing, so nobody can tell what it left: run it again"
        raise InvalidSettings([f"--resume: {problem}"])
    if its_folder != folder.beside(earlier.name):
        problem = f"{earlier.name} lies in {its_folder.root}, the new job would in {folder.root}"
        advice = "give --s3-bucket and --s3-output-prefix as that job had them"
        raise InvalidSettings([f"--resume: {problem}; {advice}"])


def _record(settings: TransformSettings, earlier: JobRecord) -> JobRecord:
    return replace(
        earlier,
        job_name=settings.job_name,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        resumes=[*earlier.resumes, earlier.job_name],
        tags=dict(settings.tags),
        wanted=earlier.wanted.changed(settings.results_asked),
    )


def _shards_to_run(
    s3: Any, packed_job: PackedJob, earlier_name: str, earlier: TransformJob | None
) -> list[str]:
    names = list(packed_job.faults(s3))
    if not names:
        is_completed = earlier is not None and earlier.status == "Completed"
        problem = (
            f"--resume: every shard of {earlier_name} is answered; consolidate it with "
            f"check_batch_transform_status.py --job-name {earlier_name} --watch"
            + ("" if is_completed else " --partial")
        )
        raise InvalidSettings([problem])
    if lost := [shard for shard in packed_job.lost_shards(s3) if shard in names]:
        heir = heir_at_the_end(s3, packed_job.packed_in)
        answered = f"{heir} went on with {earlier_name} and has all answers: --watch that job"
        raise IncompleteOutput(
            f"{counted(len(lost), 'shard')} to run, {lost[0]} first, changed or gone under "
            f"{packed_job.shards}: {answered if heir else 'run the whole input again'}"
        )
    return names


def _estimate(
    clients: AwsClients, settings: TransformSettings, packed: PackedInput, shard_names: list[str]
) -> JobEstimate:
    shards = [shard for shard in packed.shards if shard.name in set(shard_names)]
    documents = sum(shard.records for shard in shards)
    size = InputSize(
        files=len(shards),
        bytes=sum(shard.size_in_bytes for shard in shards),
        documents=documents,
        characters=round(packed.characters * documents / packed.documents),
        is_exact=True,
    )
    return estimate_job(
        size,
        throughput=expected_throughput(clients, settings.output_uri, settings.instance_type),
        price=hourly_price(clients.pricing, settings.instance_type, clients.region),
        instance_type=settings.instance_type,
        instance_count=settings.instance_count,
        is_packed=False,
    )
