"""
SageMaker's operations for batch transform, with its own error codes and texts.

Knows the API. Knows no HTTP: a request comes in as the decoded body and the caller's home, an
answer goes out as the body's members. Runs nothing: agents do, through the job control.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from local_aws.aws_error import AwsError, validation_error
from local_aws.listing import page
from local_aws.request_rules import check_contract, check_model, check_transform_job
from local_aws.s3_objects import S3Object
from local_aws.sagemaker_state import Home, SageMakerState, TransformJob

Answer = dict[str, Any]
Request = Mapping[str, Any]

MAX_TAGS = 50
SUMMARY_OF_JOB = (
    "TransformJobName",
    "TransformJobArn",
    "CreationTime",
    "TransformEndTime",
    "TransformJobStatus",
    "FailureReason",
)
SUMMARY_OF_MODEL = ("ModelName", "ModelArn", "CreationTime")


@dataclass(frozen=True)
class SageMakerApi:
    """
    The operations over one state.

    Attributes
    ----------
    state
        What is remembered.
    has_object
        Whether S3 holds the object, or one whose key starts so, in the caller's home.
    emit
        Publishes a job's state change; called after each one.
    quotas
        Instances a type may have in use at once, by type; a type not named has no quota.
    """

    state: SageMakerState
    has_object: Callable[[Home, S3Object], bool]
    emit: Callable[[TransformJob, dict[str, str]], None]
    quotas: Mapping[str, int] = field(default_factory=dict)

    def call(self, operation_name: str, home: Home, request: Request) -> Answer:
        """Answer one request, or raise AwsError."""
        operation = _OPERATIONS.get(operation_name)
        if operation is None:
            message = f"{operation_name} is not part of the local SageMaker."
            raise AwsError("UnknownOperationException", message, HTTPStatus.NOT_IMPLEMENTED)
        check_contract(operation_name, request)
        return operation(self, home, request)

    def create_model(self, home: Home, request: Request) -> Answer:
        check_model(request)
        model_data_url = request["PrimaryContainer"].get("ModelDataUrl")
        if model_data_url and not self.has_object(home, S3Object.from_uri(model_data_url)):
            message = f"Could not find model data at {model_data_url}."
            raise validation_error(message)
        arn = home.arn("model", request["ModelName"])
        with self.state.lock:
            if arn in self.state.models:
                message = f'Cannot create already existing model "{arn}".'
                raise validation_error(message)
            created = {"ModelArn": arn, "CreationTime": self.state.now()}
            self.state.models[arn] = _without_tags(request) | created
            self.state.tags[arn] = _tags(request)
        return {"ModelArn": arn}

    def describe_model(self, home: Home, request: Request) -> Answer:
        return dict(self._model(home, request["ModelName"]))

    def delete_model(self, home: Home, request: Request) -> Answer:
        with self.state.lock:
            arn = self._model(home, request["ModelName"])["ModelArn"]
            del self.state.models[arn]
            del self.state.tags[arn]
        return {}

    def list_models(self, home: Home, request: Request) -> Answer:
        sort_members = {"Name": "ModelName", "CreationTime": "CreationTime"}
        models, token = page(self.state.models_of(home), request, "ModelName", sort_members)
        return {"Models": [_only(SUMMARY_OF_MODEL, model) for model in models]} | token

    def create_transform_job(self, home: Home, request: Request) -> Answer:
        arn = home.arn("transform-job", request["TransformJobName"])
        self._check_name_is_free(arn)
        model = self._model(home, request["ModelName"])
        check_transform_job(request, model)
        self._check_input(home, request, model)
        with self.state.lock:
            self._check_name_is_free(arn)
            self._check_quota(home, request)
            created = {
                "TransformJobArn": arn,
                "TransformJobStatus": "InProgress",
                "CreationTime": self.state.now(),
            }
            self.state.add_job(home, _without_tags(request) | created, _tags(request))
        self._announce(self.state.jobs[arn])
        return {"TransformJobArn": arn}

    def describe_transform_job(self, home: Home, request: Request) -> Answer:
        return dict(self._job(home, request).description)

    def list_transform_jobs(self, home: Home, request: Request) -> Answer:
        jobs = [
            job.description | {"LastModifiedTime": job.last_modified_at}
            for job in self.state.jobs_of(home)
        ]
        sort_members = {
            "Name": "TransformJobName",
            "CreationTime": "CreationTime",
            "Status": "TransformJobStatus",
        }
        found, token = page(jobs, request, "TransformJobName", sort_members)
        members = (*SUMMARY_OF_JOB, "LastModifiedTime")
        return {"TransformJobSummaries": [_only(members, job) for job in found]} | token

    def stop_transform_job(self, home: Home, request: Request) -> Answer:
        with self.state.lock:
            job = self._job(home, request)
            if job.is_final:
                message = (
                    f"The request was rejected because the transform job is in status {job.status}."
                )
                raise validation_error(message)
            was_in_progress = job.status == "InProgress"
            self.state.set_status(job, "Stopping")
        if was_in_progress:
            self._announce(job)
        return {}

    def add_tags(self, home: Home, request: Request) -> Answer:
        with self.state.lock:
            tags = self._tags_of(home, request["ResourceArn"])
            if len(tags | _tags(request)) > MAX_TAGS:
                message = f"The number of tags exceeds the limit of {MAX_TAGS}."
                raise AwsError("ResourceLimitExceeded", message)
            tags.update(_tags(request))
        return self.list_tags(home, request)

    def list_tags(self, home: Home, request: Request) -> Answer:
        tags = self._tags_of(home, request["ResourceArn"])
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def finish(self, job_arn: str, lease_id: str, status: str, failure_reason: str | None) -> None:
        """Close a job for the agent that holds it and announce it; raise LeaseLostError."""
        self._announce(self.state.finish(job_arn, lease_id, status, failure_reason))

    def _announce(self, job: TransformJob) -> None:
        self.emit(job, self.state.tags.get(job.arn, {}))

    def _model(self, home: Home, name: str) -> dict[str, Any]:
        arn = home.arn("model", name)
        with self.state.lock:
            if arn not in self.state.models:
                message = f'Could not find model "{arn}".'
                raise validation_error(message)
            return self.state.models[arn]

    def _job(self, home: Home, request: Request) -> TransformJob:
        arn = home.arn("transform-job", request["TransformJobName"])
        with self.state.lock:
            if arn not in self.state.jobs:
                message = f"Could not find requested job with name: {request['TransformJobName']}"
                raise validation_error(message)
            return self.state.jobs[arn]

    def _tags_of(self, home: Home, arn: str) -> dict[str, str]:
        if arn not in self.state.tags or not arn.startswith(home.arn_prefix):
            message = f'Could not find resource "{arn}".'
            raise validation_error(message)
        return self.state.tags[arn]

    def _check_name_is_free(self, arn: str) -> None:
        if arn in self.state.jobs:
            message = (
                "Job name must be unique within an AWS account and region, and a job with this "
                f"name already exists ({arn})"
            )
            raise AwsError("ResourceInUse", message)

    def _check_input(self, home: Home, request: Request, model: Request) -> None:
        uri = request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
        wanted = S3Object.from_uri(uri)
        if not self.has_object(home, wanted):
            message = (
                f'No S3 objects found under S3 URL "{uri}" given in input data source. Please '
                f"ensure that the bucket exists in the selected region ({home.region}), that "
                "objects exist under that S3 prefix, and that the role "
                f'"{model.get("ExecutionRoleArn", "")}" has "s3:ListBucket" permissions on bucket '
                f'"{wanted.bucket}".'
            )
            raise validation_error(message)

    def _check_quota(self, home: Home, request: Request) -> None:
        resources = request["TransformResources"]
        instance_type, delta = resources["InstanceType"], resources["InstanceCount"]
        in_use = self.state.instances_in_use(home, instance_type)
        quota = self.quotas.get(instance_type, in_use + delta)
        if in_use + delta > quota:
            message = (
                f"The account-level service limit '{instance_type} for transform job usage' is "
                f"{quota} Instances, with current utilization of {in_use} Instances and a request "
                f"delta of {delta} Instances. Please use AWS Service Quotas to request an increase "
                "for this quota."
            )
            raise AwsError("ResourceLimitExceeded", message)


def _tags(request: Request) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}


def _without_tags(request: Request) -> dict[str, Any]:
    return {name: value for name, value in request.items() if name != "Tags"}


def _only(names: tuple[str, ...], item: Request) -> Answer:
    return {name: item[name] for name in names if name in item}


_OPERATIONS: dict[str, Callable[[SageMakerApi, Home, Request], Answer]] = {
    "CreateModel": SageMakerApi.create_model,
    "DescribeModel": SageMakerApi.describe_model,
    "DeleteModel": SageMakerApi.delete_model,
    "ListModels": SageMakerApi.list_models,
    "CreateTransformJob": SageMakerApi.create_transform_job,
    "DescribeTransformJob": SageMakerApi.describe_transform_job,
    "ListTransformJobs": SageMakerApi.list_transform_jobs,
    "StopTransformJob": SageMakerApi.stop_transform_job,
    "AddTags": SageMakerApi.add_tags,
    "ListTags": SageMakerApi.list_tags,
}
