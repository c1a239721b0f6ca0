"""
From settings to a running job: plan first, then show the plan or carry it out.

Planning reads and checks and costs nothing. Carrying out makes things in an order in which
whatever can fail comes before whatever is kept, and takes back what a failure would leave.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from batch_transform.aws import AwsClients, check_bucket
from batch_transform.container_image import pin_digest, unpinned_remark
from batch_transform.document_check import check_documents
from batch_transform.errors import InvalidSettings
from batch_transform.folder_claim import claimed_folder
from batch_transform.input_documents import (
    InputFolder,
    check_output_keys,
    check_readable_as_it_is,
    find_input,
)
from batch_transform.input_manifest import manifest_of, write_manifest
from batch_transform.input_sample import sample_input
from batch_transform.job_estimate import InputSize, JobEstimate, estimate_job
from batch_transform.job_record import JobRecord, write_job_record
from batch_transform.large_files import are_all_large, take_large_files
from batch_transform.left_out_lines import LeftOutLines
from batch_transform.model_artifact import (
    ModelArtifact,
    Progress,
    local_artifact,
    upload,
    uploaded_artifact,
)
from batch_transform.naming import JobFolder, S3Uri, model_artifact_key
from batch_transform.packed_input import PackedInput, pack
from batch_transform.prices import hourly_price
from batch_transform.results_wanted import ResultsWanted
from batch_transform.sagemaker_model import ensure_model
from batch_transform.settings import TransformSettings, request_problems
from batch_transform.throughput import expected_throughput
from batch_transform.transform_job import check_name_is_free, start_job
from batch_transform.transform_profiles import (
    OPTIMIZED,
    OPTIMIZED_UNPACKED,
    STANDARD,
    TransformProfile,
)
from batch_transform.transform_request import (
    Request,
    create_model_request,
    create_transform_job_request,
)
from batch_transform.wording import counted


@dataclass(frozen=True)
class TransformPlan:
    """
    Everything that would happen, down to the exact requests; nothing has happened yet.

    *left_out* counts the lines by code that hold no document, in what was read for the plan.
    """

    settings: TransformSettings
    artifact: ModelArtifact
    input_folder: InputFolder
    left_out: dict[str, int]
    estimate: JobEstimate

    @property
    def profile(self) -> TransformProfile:
        """How documents travel: OPTIMIZED_UNPACKED where files are to be read as they are."""
        return self.settings.profile

    @property
    def folder(self) -> JobFolder:
        """The job's own folder."""
        return self.settings.folder

    @property
    def job_name(self) -> str:
        """The name under which SageMaker will know the job."""
        return self.settings.job_name

    @property
    def reads_manifest(self) -> bool:
        """Tell whether the job reads named objects instead of all under a prefix."""
        return _reads_manifest(self.profile, self.input_folder)

    @property
    def owes_record(self) -> bool:
        """Tell whether the answers are verified and consolidated, for which a record is kept."""
        return self.profile is not STANDARD

    def packing(self) -> Self:
        """Return the plan of a job that packs what this one would read as it is."""
        return replace(self, settings=replace(self.settings, profile=OPTIMIZED))

    def remarks(self) -> list[str]:
        """Return what an operator should know before this is carried out."""
        remarks = [
            self.profile.instance_type_remark(self.settings.instance_type),
            unpinned_remark(self.settings.image_uri),
            self._packing_remark(),
        ]
        if self.left_out:
            found = (f"{counted(count, 'line')} {code}" for code, count in self.left_out.items())
            remarks.append(f"no documents, in what was read for this plan: {', '.join(found)}")
        if self.settings.is_strict and not self.estimate.is_exact:
            remarks.append(
                "--strict: only a part of the input was read for this plan; all lines are checked "
                "before the job starts"
            )
        if left_out := self.input_folder.left_out:
            remarks.append(f"not taken as input: {left_out}")
        return [remark for remark in remarks if remark]

    def requests(self) -> dict[str, Request]:
        """Return the SageMaker requests by operation, in the order in which they are sent."""
        reads = _what_job_reads(self.settings, self.input_folder)
        create_model, create_transform_job = _requests(self.settings, self.artifact, reads)
        return {"CreateModel": create_model, "CreateTransformJob": create_transform_job}

    def _packing_remark(self) -> str | None:
        if self.profile is OPTIMIZED_UNPACKED:
            return (
                "every file is large: they are read where they lie, not packed, unless one of "
                "their lines turns out to be no document"
            )
        if self.profile is OPTIMIZED and are_all_large(self.input_folder):
            return "every file is large, but not every line is a document: they are packed"
        return None


@dataclass(frozen=True)
class WhatJobReads:
    """The place that a job is given: a prefix, or the manifest of what it is to read."""

    uri: S3Uri
    is_manifest: bool = False


def plan_transform(clients: AwsClients, settings: TransformSettings) -> TransformPlan:
    """
    Check everything that can be checked and return what would be done, and what it may cost.

    Raises InvalidSettings with all wrong values at once, before any call; then InvalidInput,
    AwsRefused or botocore's own errors for what only AWS can tell.
    """
    check_settings(settings)
    for bucket in sorted({place.bucket for place in _places(settings)}):
        check_bucket(clients.s3, bucket)
    check_name_is_free(clients.sagemaker, settings.job_name)
    input_folder = find_input(clients.s3, settings.input_uri)
    if settings.profile is STANDARD:
        check_readable_as_it_is(input_folder)
    size, left_out = _sample(clients, settings, input_folder)
    if settings.profile is OPTIMIZED and are_all_large(input_folder) and not left_out:
        settings = replace(settings, profile=OPTIMIZED_UNPACKED)
    if settings.profile is not OPTIMIZED:
        check_output_keys(input_folder, _output_uri(settings))
    settings = replace(settings, image_uri=pin_digest(clients.ecr, settings.image_uri))
    return TransformPlan(
        settings=settings,
        artifact=_find_artifact(clients, settings),
        input_folder=input_folder,
        left_out=left_out,
        estimate=_estimate(clients, settings, size),
    )


def check_settings(settings: TransformSettings) -> None:
    """Raise InvalidSettings with everything that is wrong, told from the values alone."""
    problems = list(settings.problems())
    if not (settings.model_in_s3 or Path(settings.model_path).is_file()):
        problems.append(
            f"--model-path: there is no model artifact at {settings.model_path}; "
            "write it with python package_model.py"
        )
    unread = ModelArtifact(settings.model_uri.child(model_artifact_key("0" * 64)), version="")
    reads = WhatJobReads(settings.input_uri)
    create_model, create_transform_job = _requests(settings, unread, reads)
    problems += request_problems("CreateModel", create_model)
    problems += request_problems("CreateTransformJob", create_transform_job)
    if problems:
        raise InvalidSettings(problems)


def carry_out(clients: AwsClients, plan: TransformPlan, progress: Progress) -> dict[str, int]:
    """
    Pack, upload, make the Model and start the job; return how many lines were left out, by code.

    Whatever fails, Ctrl-C included, the job's folder is emptied again unless the job may run. The
    model artefact and the SageMaker Model stay: both are named by content, and the next run takes
    them as they are.
    """
    clients = clients.writing_with(plan.settings.kms_key_id, plan.settings.tags)
    taken = _take_large_files(clients, plan, progress)
    if plan.profile is OPTIMIZED_UNPACKED and not taken:
        plan = plan.packing()
    requests = plan.requests()
    with claimed_folder(clients.s3, plan.folder, requests) as check_is_held:
        if plan.owes_record:
            packed = taken or _pack(clients, plan, progress)
            record = _record(plan, packed, requests["CreateModel"]["ModelName"])
            write_job_record(clients.s3, plan.folder, record)
            left_out = packed.left_out
        else:
            left_out = _check_documents(clients, plan, progress)
        if plan.reads_manifest:
            names = (file.source for file in plan.input_folder.files)
            manifest = manifest_of(plan.input_folder.files[0].folder, names)
            write_manifest(clients.s3, plan.folder.manifest, manifest)
        upload(clients.s3, plan.artifact, progress)
        ensure_model(clients.sagemaker, requests["CreateModel"])
        check_is_held()
        start_job(clients.sagemaker, requests["CreateTransformJob"])
    return left_out


def _places(settings: TransformSettings) -> list[S3Uri]:
    return [settings.input_uri, settings.output_uri, settings.model_uri]


def _find_artifact(clients: AwsClients, settings: TransformSettings) -> ModelArtifact:
    if settings.model_in_s3:
        return uploaded_artifact(clients.s3, S3Uri.parse(settings.model_path))
    return local_artifact(Path(settings.model_path), settings.model_uri)


def _reads_manifest(profile: TransformProfile, input_folder: InputFolder) -> bool:
    """Large files are named one by one, and so are those of a prefix that holds other things."""
    is_unpacked = profile is OPTIMIZED_UNPACKED
    return is_unpacked or (profile is STANDARD and not input_folder.is_whole_prefix)


def _what_job_reads(settings: TransformSettings, input_folder: InputFolder) -> WhatJobReads:
    if _reads_manifest(settings.profile, input_folder):
        return WhatJobReads(settings.folder.manifest, is_manifest=True)
    is_packed = settings.profile is OPTIMIZED
    return WhatJobReads(settings.folder.shards if is_packed else input_folder.uri)


def _output_uri(settings: TransformSettings) -> S3Uri:
    folder = settings.folder
    return folder.root if settings.profile is STANDARD else folder.shard_outputs


def _requests(
    settings: TransformSettings, artifact: ModelArtifact, reads: WhatJobReads
) -> tuple[Request, Request]:
    create_model = create_model_request(
        image_uri=settings.image_uri,
        model_data_url=artifact.uri,
        execution_role_arn=settings.role_arn,
        version=artifact.version,
        environment=settings.environment,
        subnets=settings.subnets,
        security_group_ids=settings.security_group_ids,
        tags=settings.tags,
    )
    create_transform_job = create_transform_job_request(
        profile=settings.profile,
        job_name=settings.job_name,
        model_name=create_model["ModelName"],
        input_uri=reads.uri,
        input_is_manifest=reads.is_manifest,
        output_uri=_output_uri(settings),
        instance_type=settings.instance_type,
        instance_count=settings.instance_count,
        kms_key_id=settings.kms_key_id,
        tags=settings.tags,
    )
    return create_model, create_transform_job


def _take_large_files(
    clients: AwsClients, plan: TransformPlan, progress: Progress
) -> PackedInput | None:
    """
    Return the user's own files as shards; None where they are to be packed.

    Nothing is written for that, so the job's folder need not be held: which requests stand in it is
    known only then.
    """
    if plan.profile is not OPTIMIZED_UNPACKED:
        return None
    with progress("Counting documents", plan.input_folder.size_in_bytes) as advance:
        return take_large_files(
            clients.s3,
            plan.input_folder,
            max_payload_in_mb=plan.profile.max_payload_in_mb,
            on_file=lambda file: advance(file.size_in_bytes),
        )


def _pack(clients: AwsClients, plan: TransformPlan, progress: Progress) -> PackedInput:
    with progress("Packing documents", plan.input_folder.size_in_bytes) as advance:
        return pack(
            clients.s3,
            plan.input_folder,
            plan.folder,
            instance_count=plan.settings.instance_count,
            max_payload_in_mb=plan.profile.max_payload_in_mb,
            on_file=lambda file: advance(file.size_in_bytes),
            is_strict=plan.settings.is_strict,
        )


def _check_documents(
    clients: AwsClients, plan: TransformPlan, progress: Progress
) -> dict[str, int]:
    with progress("Checking documents", plan.input_folder.size_in_bytes) as advance:
        return check_documents(
            clients.s3,
            plan.input_folder,
            plan.folder,
            max_payload_in_mb=plan.profile.max_payload_in_mb,
            on_file=lambda file: advance(file.size_in_bytes),
            is_strict=plan.settings.is_strict,
        )


def _sample(
    clients: AwsClients, settings: TransformSettings, input_folder: InputFolder
) -> tuple[InputSize, dict[str, int]]:
    """
    Read some of the input; return its size, and how many lines met hold no document, by code.

    Raises InvalidInput for what would be refused later, if what was read is all of it.
    """
    left_out = LeftOutLines(clients.s3)
    payload = settings.profile.max_payload_in_mb
    size = sample_input(clients.s3, input_folder, payload, left_out)
    if size.is_exact:
        left_out.check(
            size.documents,
            input_folder.uri,
            is_strict=settings.is_strict,
            is_read_as_it_is=settings.profile is STANDARD,
        )
    return size, left_out.counts


def _estimate(clients: AwsClients, settings: TransformSettings, size: InputSize) -> JobEstimate:
    return estimate_job(
        size,
        throughput=expected_throughput(clients, settings.output_uri, settings.instance_type),
        price=hourly_price(clients.pricing, settings.instance_type, clients.region),
        instance_type=settings.instance_type,
        instance_count=settings.instance_count,
        is_packed=settings.profile is OPTIMIZED,
    )


def _record(plan: TransformPlan, packed: PackedInput, model_name: str) -> JobRecord:
    return JobRecord(
        job_name=plan.job_name,
        profile=plan.profile.name,
        model_name=model_name,
        input_uri=str(plan.input_folder.uri),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        packed=packed,
        tags=dict(plan.settings.tags),
        wanted=ResultsWanted().changed(plan.settings.results_asked),
    )
