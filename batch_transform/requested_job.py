"""
From an accepted request to a running job, once, however often the request comes in.

The job's name and its `request.json` are what make it once: SageMaker takes a name one time, S3
takes the file one time. Knows no queue. Whoever wrote `request.json` reads the input, to pack it or
to check it; a writer that was killed meanwhile is noticed by the age of that file, and the input
then runs as it is.
"""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from botocore.exceptions import ClientError

from batch_transform.aws import AwsClients, AwsError, error_code
from batch_transform.document_check import check_documents
from batch_transform.errors import NotYet, RefusedRequest
from batch_transform.folder_claim import asked_in, new_claim, put_claim
from batch_transform.input_documents import (
    InputFolder,
    check_readable_as_it_is,
    find_input,
)
from batch_transform.input_manifest import manifest_of, write_manifest
from batch_transform.job_record import JobRecord, read_job_record, write_job_record
from batch_transform.naming import JobFolder, S3Uri
from batch_transform.packed_input import pack
from batch_transform.s3_objects import (
    age_in_seconds,
    delete_objects,
    exists_in_s3,
    put_object,
)
from batch_transform.transform_job import TransformJob, find_job
from batch_transform.transform_message import RequestedJob
from batch_transform.transform_profiles import OPTIMIZED, OPTIMIZED_UNPACKED, STANDARD
from batch_transform.transform_request import Request, create_transform_job_request

# Cautious: a file costs a request to S3, all bytes pass through one small processor, and what S3
# tells of a gzipped file is its stored size, a third to a fifth of the text's for prose.
_SECONDS_A_FILE = 0.1
_BYTES_A_SECOND = 10_000_000
_EXPANSION_OF_GZIP = 10
_SHARE_FOR_READING = 0.7
# S3 tells times in whole seconds, and a function has spent some before it claims the folder.
_MARGIN_OF_AGE = 1.05


@dataclass(frozen=True)
class JobStarter:
    """
    Starts requested jobs on one SageMaker Model.

    Attributes
    ----------
    time_limit_in_seconds
        How long one call of `start` can run before it is killed. An input that would take most
        of it to read runs as it is.
    kms_key_id
        Encrypts the job's output, and its volume where the instance type allows it; *clients* are
        those that encrypt with it.
    tags
        Those of the job and of what is written for it; *clients* are those that write them.
    """

    clients: AwsClients
    model_name: str
    time_limit_in_seconds: float
    kms_key_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def start(self, job: RequestedJob) -> bool:
        """
        Start the job unless it was started; return whether this call did.

        Raises RefusedRequest or InvalidInput for what no repetition would mend, NotYet while
        another call reads the input, InputChanged where it was not at rest, and botocore's own
        errors.
        """
        is_first = self._claim(job)
        if found := self._find(job, is_first=is_first):
            self._check_is_asked_for(found, job, is_first=is_first)
            return False
        with ExitStack() as undo:
            if is_first:
                undo.callback(self._take_all_back, job)
            input_uri = self._prepare_input(job, is_first=is_first)
            undo.pop_all()
        return self._submit(self._request(job, input_uri), job)

    def _claim(self, job: RequestedJob) -> bool:
        """Write request.json; return whether this call is the first to do so."""
        claim = new_claim(job.message.given)
        holding = put_claim(self.clients.s3, job.folder, claim)
        if holding is not None and asked_in(holding) != job.message.given:
            place = job.folder.request
            raise RefusedRequest(
                [f"this request_id was used before for another request: see {place}"]
            )
        return holding == claim

    def _take_claim_back(self, job: RequestedJob) -> None:
        place = job.folder.request
        self.clients.s3.delete_object(Bucket=place.bucket, Key=place.key)

    def _take_all_back(self, job: RequestedJob) -> None:
        """
        Delete what was written to prepare the job, the claim last; and nothing else.

        Another request's output path may lie below this folder, with a job that runs there. The
        records go first: whoever finds one takes for granted what it speaks of.
        """
        folder = job.folder
        for place in (folder.record, folder.checked, folder.left_out, folder.manifest):
            self.clients.s3.delete_object(Bucket=place.bucket, Key=place.key)
        self._delete_shards(job)
        self._take_claim_back(job)

    def _delete_shards(self, job: RequestedJob) -> None:
        delete_objects(self.clients.s3, job.folder.shards.child("shard-"))

    def _find(self, job: RequestedJob, *, is_first: bool) -> TransformJob | None:
        try:
            return find_job(self.clients.sagemaker, job.job_name)
        except AwsError:
            if is_first:  # nobody reads: the next call must not wait for this one
                self._take_claim_back(job)
            raise

    def _check_is_asked_for(
        self, found: TransformJob, job: RequestedJob, *, is_first: bool
    ) -> None:
        """
        Refuse a request whose id another one has used.

        `request.json` tells requests of one folder apart. One of another folder, or one whose
        folder was removed since, is told by the digest that the job bears: the output folder of
        the stack may be another now. What this call has put where no job runs is taken back.
        """
        used = JobFolder.of_job(found.output_uri, found.name).root
        if used != job.folder.root:
            self._take_all_back(job)
        elif is_first:
            self._take_claim_back(job)
        if found.request_digest != job.message.digest:
            raise RefusedRequest([f"this request_id was used before: its job wrote to {used}"])

    def _prepare_input(self, job: RequestedJob, *, is_first: bool) -> S3Uri:
        """
        Return what the job is to read: its shards, packed now or before, or the input as it is.

        As it is, by its prefix if all below that is input, else by a manifest: to SageMaker
        `case1.txt` is a prefix, too, and `case1.txt.bak` lies below it.
        """
        s3, folder = self.clients.s3, job.folder
        if job.profile is OPTIMIZED and exists_in_s3(s3, folder.record):
            self._keep_record_true(job)
            return folder.shards
        found = find_input(s3, job.input_uri)
        can_read = self._can_read(found)
        if job.profile is OPTIMIZED and can_read:
            if self._is_to_read(job, is_first=is_first):
                self._pack(job, found)
                return folder.shards
            self._delete_shards(job)
        check_readable_as_it_is(found)
        is_to_check = job.profile is STANDARD and can_read and not exists_in_s3(s3, folder.checked)
        if is_to_check and self._is_to_read(job, is_first=is_first):
            self._check(job, found)
        if found.is_whole_prefix:
            return found.uri
        names = (file.source for file in found.files)
        write_manifest(s3, folder.manifest, manifest_of(found.files[0].folder, names))
        return folder.manifest

    def _is_to_read(self, job: RequestedJob, *, is_first: bool) -> bool:
        """Tell whether this call reads the input, and not one before it that was killed."""
        if is_first:
            return True
        age = age_in_seconds(self.clients.s3, job.folder.request)
        if age < self.time_limit_in_seconds * _MARGIN_OF_AGE:
            raise NotYet(f"the input of {job.job_name} is being read")
        return False

    def _can_read(self, found: InputFolder) -> bool:
        text_bytes = sum(
            file.size_in_bytes * (_EXPANSION_OF_GZIP if file.is_gzipped else 1)
            for file in found.files
        )
        seconds = len(found.files) * _SECONDS_A_FILE + text_bytes / _BYTES_A_SECOND
        return seconds <= self.time_limit_in_seconds * _SHARE_FOR_READING

    def _request(self, job: RequestedJob, input_uri: S3Uri) -> Request:
        is_packed = input_uri == job.folder.shards
        unpacked_profile = OPTIMIZED_UNPACKED if job.profile is OPTIMIZED else job.profile
        return create_transform_job_request(
            profile=job.profile if is_packed else unpacked_profile,
            job_name=job.job_name,
            model_name=self.model_name,
            input_uri=input_uri,
            input_is_manifest=input_uri == job.folder.manifest,
            output_uri=job.folder.shard_outputs if is_packed else job.folder.root,
            instance_type=job.instance_type,
            instance_count=job.instance_count,
            kms_key_id=self.kms_key_id,
            tags=self.tags,
            request_digest=job.message.digest,
        )

    def _pack(self, job: RequestedJob, input_folder: InputFolder) -> None:
        packed = pack(
            self.clients.s3,
            input_folder,
            job.folder,
            instance_count=job.instance_count,
            max_payload_in_mb=job.profile.max_payload_in_mb,
            on_file=lambda _file: None,
        )
        record = JobRecord(
            job_name=job.job_name,
            profile=job.profile.name,
            model_name=self.model_name,
            input_uri=str(input_folder.uri),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            packed=packed,
            tags=dict(self.tags),
        )
        write_job_record(self.clients.s3, job.folder, record)

    def _check(self, job: RequestedJob, input_folder: InputFolder) -> None:
        left_out = check_documents(
            self.clients.s3,
            input_folder,
            job.folder,
            max_payload_in_mb=job.profile.max_payload_in_mb,
            on_file=lambda _file: None,
        )
        body = json.dumps({"left_out": left_out}).encode() + b"\n"
        put_object(self.clients.s3, job.folder.checked, body, "application/json")

    def _keep_record_true(self, job: RequestedJob) -> None:
        """Another Model, or other tags, may have been deployed while the request waited."""
        record = read_job_record(self.clients.s3, job.folder)
        current = replace(record, model_name=self.model_name, tags=dict(self.tags))
        if current != record:
            write_job_record(self.clients.s3, job.folder, current)

    def _submit(self, request: Request, job: RequestedJob) -> bool:
        try:
            self.clients.sagemaker.create_transform_job(**request)
        except ClientError as error:
            if error_code(error) != "ResourceInUse":
                raise
            found = find_job(self.clients.sagemaker, job.job_name)
            if found is None:  # what was just created is not at once found everywhere
                raise NotYet(f"SageMaker has a job {job.job_name}, but does not show it") from error
            self._check_is_asked_for(found, job, is_first=False)
            return False
        return True
