"""
One transform job at SageMaker: start it, describe it, stop it, list them.

The client is an argument. Knows the job's states; knows nothing of its files.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from botocore.exceptions import ClientError

from batch_transform.aws import AwsError, error_code
from batch_transform.errors import AwsRefused, JobFailed, JobMayRun, WatchInterrupted
from batch_transform.naming import S3Uri
from batch_transform.transform_request import REQUEST_DIGEST_VARIABLE, Request

FINAL_STATUSES = {"Completed", "Failed", "Stopped"}
_UNTOLD_REASONS = {"Stopped": "somebody asked for it (--stop, SageMaker's console or a program)"}
"""Why a job ended for which SageMaker gives no reason."""


@dataclass(frozen=True)
class TransformJob:
    """
    What DescribeTransformJob says, in our words. Times are aware, or None until they come.

    *request_digest* tells which message asked for the job; None where none did.
    """

    name: str
    status: str
    failure_reason: str | None
    model_name: str
    input_uri: S3Uri
    output_uri: S3Uri
    instance_type: str
    instance_count: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    kms_key_id: str | None = None
    request_digest: str | None = None

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> Self:
        """Read a DescribeTransformJob answer."""
        resources = description["TransformResources"]
        source = description["TransformInput"]["DataSource"]["S3DataSource"]
        return cls(
            name=description["TransformJobName"],
            status=description["TransformJobStatus"],
            failure_reason=description.get("FailureReason"),
            model_name=description["ModelName"],
            input_uri=S3Uri.parse(source["S3Uri"]),
            output_uri=S3Uri.parse(description["TransformOutput"]["S3OutputPath"]),
            instance_type=resources["InstanceType"],
            instance_count=resources["InstanceCount"],
            created_at=description["CreationTime"],
            started_at=description.get("TransformStartTime"),
            ended_at=description.get("TransformEndTime"),
            kms_key_id=description["TransformOutput"].get("KmsKeyId"),
            request_digest=description.get("Environment", {}).get(REQUEST_DIGEST_VARIABLE),
        )

    @property
    def is_final(self) -> bool:
        """Tell whether the job will change no more."""
        return self.status in FINAL_STATUSES

    def answers(self, create_transform_job: Request) -> bool:
        """Tell whether this is the job that the request asks for, and not another of its name."""
        asked = create_transform_job
        return (
            self.model_name == asked["ModelName"]
            and str(self.output_uri) == asked["TransformOutput"]["S3OutputPath"]
            and self.instance_type == asked["TransformResources"]["InstanceType"]
        )

    @property
    def billed_seconds(self) -> int | None:
        """What AWS bills: start to end, times the instances; None before the end."""
        if self.started_at is None or self.ended_at is None:
            return None
        return round((self.ended_at - self.started_at).total_seconds() * self.instance_count)


def check_name_is_free(sagemaker: Any, job_name: str) -> None:
    """Raise AwsRefused when a job of that name exists; names are unique for ever."""
    if find_job(sagemaker, job_name) is not None:
        raise AwsRefused(_name_taken(job_name))


def start_job(sagemaker: Any, create_transform_job: Request) -> None:
    """
    Submit the job.

    An answer that was lost on its way is no failure: the name is the only idempotency key there
    is, so the job of that name is looked for and compared with what was asked. Raises AwsRefused
    where the name is another job's, WatchInterrupted for a Ctrl-C after which the job runs, and
    JobMayRun where nobody can tell.
    """
    try:
        sagemaker.create_transform_job(**create_transform_job)
    except (*AwsError, KeyboardInterrupt) as error:
        job_name = create_transform_job["TransformJobName"]
        job = _find_after_failure(sagemaker, job_name, error)
        if job and job.answers(create_transform_job):
            if isinstance(error, KeyboardInterrupt):
                raise WatchInterrupted(job_name) from None
            return
        if isinstance(error, ClientError) and error_code(error) == "ResourceInUse":
            raise AwsRefused(_name_taken(job_name)) from None
        raise


def _find_after_failure(
    sagemaker: Any, job_name: str, failure: BaseException
) -> "TransformJob | None":
    try:
        return find_job(sagemaker, job_name)
    except (*AwsError, KeyboardInterrupt) as error:
        raise JobMayRun(
            f"nobody can tell whether the job {job_name} was started ({failure!r}, then "
            f"{error!r}), so its folder is kept. Look once AWS answers: python "
            f"check_batch_transform_status.py --job-name {job_name}; if there is no such job, "
            "remove the folder with --clean"
        ) from error


def find_job(sagemaker: Any, job_name: str) -> TransformJob | None:
    """Return the job, or None where SageMaker has none of that name in this region."""
    try:
        answer = sagemaker.describe_transform_job(TransformJobName=job_name)
    except ClientError as error:
        message = error.response.get("Error", {}).get("Message", "")
        missing = error_code(error) in {"ResourceNotFound", "ValidationException"}
        if missing and "could not find" in message.lower():
            return None
        raise
    return TransformJob.from_description(answer)


def describe_job(sagemaker: Any, job_name: str) -> TransformJob:
    """Return the job; raise AwsRefused where there is none."""
    job = find_job(sagemaker, job_name)
    if job is None:
        raise AwsRefused(
            f"there is no transform job {job_name!r} in this region: "
            "see the names with --list-jobs, and check AWS_REGION"
        )
    return job


def stop_job(sagemaker: Any, job_name: str) -> None:
    """Ask SageMaker to stop the job; what is finished by then stays in S3."""
    job = describe_job(sagemaker, job_name)
    if job.is_final:
        raise AwsRefused(f"{job_name} cannot be stopped: it is {job.status} already")
    sagemaker.stop_transform_job(TransformJobName=job_name)


def list_jobs(sagemaker: Any, max_results: int) -> list[dict[str, Any]]:
    """Return the newest jobs first, as ListTransformJobs sums them up."""
    pages = sagemaker.get_paginator("list_transform_jobs").paginate(
        SortBy="CreationTime",
        SortOrder="Descending",
        PaginationConfig={"MaxItems": max_results, "PageSize": min(max_results, 100)},
    )
    return [summary for page in pages for summary in page["TransformJobSummaries"]]


def running_jobs(sagemaker: Any, name_prefix: str) -> list[dict[str, Any]]:
    """Return the unfinished jobs whose names begin so, the newest first."""
    pages = sagemaker.get_paginator("list_transform_jobs").paginate(
        NameContains=name_prefix, StatusEquals="InProgress"
    )
    return [summary for page in pages for summary in page["TransformJobSummaries"]]


def check_completed(job: TransformJob) -> None:
    """Raise JobFailed with SageMaker's reason unless the job completed."""
    if job.status != "Completed":
        reason = job.failure_reason or _UNTOLD_REASONS.get(job.status, "SageMaker gave no reason")
        raise JobFailed(f"the job {job.name} is {job.status}: {reason}")


def _name_taken(job_name: str) -> str:
    return (
        f"the job name {job_name!r} is taken: SageMaker never frees a name. Choose another "
        "--job-name, or look at that job with check_batch_transform_status.py --job-name "
        f"{job_name}"
    )
