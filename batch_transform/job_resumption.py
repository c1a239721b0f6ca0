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
from batch_transform.job_record import JobRecord, read_job_record, write_job_record
from batch_transform.s3_objects import list_objects
from batch_transform.sagemaker_model import model_exists
from batch_transform.settings import TransformSettings, request_problems
from batch_transform.shard_outputs import PackedJob
from batch_transform.transform_job import check_name_is_free, find_job, start_job
from batch_transform.transform_profiles import OPTIMIZED, OPTIMIZED_UNPACKED
from batch_transform.transform_request import Request, create_transform_job_request


@dataclass(frozen=True)
class Resumption:
    """What would be done: the shards to run again and the exact request."""

    packed_job: PackedJob
    shard_names: list[str]
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

    Raises AwsRefused while it runs or where its Model is gone, IncompleteOutput where its record
    or its packed shards are gone, and InvalidSettings where nothing is left to do.
    """
    check_bucket(clients.s3, settings.output_uri.bucket)
    check_name_is_free(clients.sagemaker, settings.job_name)
    earlier = find_job(clients.sagemaker, earlier_name)
    if earlier and not earlier.is_final:
        raise AwsRefused(f"{earlier_name} is {earlier.status}: wait for its end, or stop it")
    earlier_record = read_job_record(clients.s3, settings.folder.beside(earlier_name))
    if not model_exists(clients.sagemaker, earlier_record.model_name):
        raise AwsRefused(
            f"the Model {earlier_record.model_name} of {earlier_name} was deleted: its answers "
            "could not be told from another's. Run the whole input again"
        )
    packed_job = PackedJob(settings.folder, _record(settings, earlier_record))
    shard_names = _shards_to_run(clients.s3, packed_job, earlier_name)
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
    if problems := list(request_problems("CreateTransformJob", request)):
        raise InvalidSettings(problems)
    return Resumption(packed_job, shard_names, settings.kms_key_id, request)


def resume(clients: AwsClients, resumption: Resumption) -> None:
    """Start the new job; whatever fails, its folder is emptied again unless the job may run."""
    folder, record = resumption.packed_job.folder, resumption.packed_job.record
    s3 = clients.writing_with(resumption.kms_key_id, record.tags).s3
    with claimed_folder(s3, folder, resumption.requests()):
        write_manifest(s3, folder.manifest, resumption.manifest())
        write_job_record(s3, folder, record)
        start_job(clients.sagemaker, resumption.create_transform_job)


def _record(settings: TransformSettings, earlier: JobRecord) -> JobRecord:
    return replace(
        earlier,
        job_name=settings.job_name,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        resumes=[*earlier.resumes, earlier.job_name],
        tags=dict(settings.tags),
    )


def _shards_to_run(s3: Any, packed_job: PackedJob, earlier_name: str) -> list[str]:
    names = list(packed_job.faults(s3))
    if not names:
        problem = (
            f"--resume: every shard of {earlier_name} is answered; consolidate it with "
            f"check_batch_transform_status.py --job-name {earlier_name} --watch --partial"
        )
        raise InvalidSettings([problem])
    place = packed_job.shards
    there = {found.uri.key.removeprefix(place.key) for found in list_objects(s3, place)}
    if lost := [name for name in names if name not in there]:
        raise IncompleteOutput(
            f"{len(lost)} shards to run are no longer under {packed_job.shards}, {lost[0]} first: "
            "run the whole input again"
        )
    return names
