"""
From settings to a deployed stack: what it is made of, and the parameters that its template takes.

Knows what the functions need to be there: their code, the SageMaker Model and its artefact. Knows
nothing of how CloudFormation makes the stack.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from batch_transform.aws import AwsClients, check_bucket
from batch_transform.container_image import pin_digest, unpinned_remark
from batch_transform.errors import InvalidSettings
from batch_transform.lambda_package import LambdaPackage, build_lambda_package
from batch_transform.model_artifact import (
    ModelArtifact,
    Progress,
    local_artifact,
    upload,
    uploaded_artifact,
)
from batch_transform.naming import MODEL_ARTIFACT_FILE, S3Uri, requested_job_prefix
from batch_transform.s3_objects import exists_in_s3, put_object
from batch_transform.sagemaker_model import ensure_model
from batch_transform.service_contract import service_model
from batch_transform.settings import image_problems, overlap_problems, request_problems
from batch_transform.tags import tag_problems, tag_text
from batch_transform.transform_profiles import instance_type_problem
from batch_transform.transform_request import Request, create_model_request

_KMS_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[a-zA-Z0-9-]+")
_REGION_IN_ARN = re.compile(r"arn:[^:]*:[^:]*:([a-z0-9-]+):")
_MORE_THAN_ITSELF = re.compile(r"[*?]|\$\{")
"""What IAM takes for other text, or any: a role bound to such a prefix is bound to another."""
_NOT_IN_A_POLICY = re.compile(r"[^\t\n\r\x20-\xff]")
"""What no IAM policy may hold (botocore, PutRolePolicy): the stack would fail at its roles."""
TEMPLATE = "lambda_batch_transform_template.yaml"


@dataclass(frozen=True)
class DeploymentSettings:
    """One stack as the operator wants it; places are prefixes in *bucket* or full S3 locations."""

    bucket: str
    code_prefix: str
    model_path: str
    input_prefix: str
    output_prefix: str
    image_uri: str
    role_arn: str
    queue_name: str
    lambda_name: str
    instance_types: tuple[str, ...]
    alarm_topic_arn: str = ""
    kms_key_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    region: str | None = None

    @property
    def code_uri(self) -> S3Uri:
        """Below which the functions' code is kept."""
        return S3Uri.parse(self.code_prefix, bucket=self.bucket).folder()

    @property
    def model_uri(self) -> S3Uri:
        """The model artefact, or the folder in which a local one is to be kept."""
        return S3Uri.parse(self.model_path, bucket=self.bucket)

    @property
    def input_uri(self) -> S3Uri:
        """Below which messages may name input."""
        return S3Uri.parse(self.input_prefix, bucket=self.bucket).folder()

    @property
    def output_uri(self) -> S3Uri:
        """Below which every job gets a folder of its own."""
        return S3Uri.parse(self.output_prefix, bucket=self.bucket).folder()

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with these values, told from the values alone."""
        for flag, place in (
            ("--s3-input-prefix", self.input_uri),
            ("--s3-output-prefix", self.output_uri),
        ):
            if not place.key:
                yield f"{flag}: {place} is a whole bucket; the functions may use a prefix of it"
            if wildcard := _MORE_THAN_ITSELF.search(place.key):
                yield (
                    f"{flag}: {place} holds {wildcard[0]!r}, by which the functions' roles would "
                    "allow other places than this: choose a prefix without"
                )
            if strange := _NOT_IN_A_POLICY.search(place.key):
                yield (
                    f"{flag}: {place} holds {strange[0]!r}, which no IAM policy may hold, and so "
                    "not the functions' roles: choose a prefix without"
                )
        yield from overlap_problems(self.input_uri, self.output_uri)
        yield from self._misplaced()
        offered = service_model("sagemaker").shape_for("TransformInstanceType").enum
        for instance_type in self.instance_types:
            if problem := instance_type_problem(instance_type):
                yield f"--instance-type: {problem}"
            elif instance_type not in offered:
                yield f"--instance-type: Batch Transform does not offer {instance_type!r}"
        yield from image_problems(self.image_uri, self.region)
        yield from tag_problems(self.tags)
        if self.kms_key_id and not _KMS_KEY_ARN.fullmatch(self.kms_key_id):
            yield (
                f"--kms-key-id: got {self.kms_key_id!r}, expected the key's ARN "
                "(arn:aws:kms:REGION:ACCOUNT:key/…): roles are given a key by nothing else"
            )

        yield from self._foreign()

    def _foreign(self) -> Iterator[str]:
        """Alarms reach topics, and S3 and SageMaker use keys, of their own region only."""
        for flag, arn in (
            ("--kms-key-id", self.kms_key_id),
            ("--alarm-topic-arn", self.alarm_topic_arn),
        ):
            region = _REGION_IN_ARN.match(arn or "")
            if region and self.region and region[1] != self.region:
                yield (
                    f"{flag}: {arn} is in {region[1]} and the stack would be in {self.region}: "
                    "name one of that region, or set AWS_REGION"
                )

    def _misplaced(self) -> Iterator[str]:
        for flag, place in (("--s3-prefix", self.code_uri), ("--model-path", self.model_uri)):
            if self.input_uri.covers(place):
                yield (
                    f"{flag}: {place} lies below the input {self.input_uri}, where jobs would read "
                    "it as documents: choose a place beside it"
                )
            if self.output_uri.covers(place):
                yield (
                    f"{flag}: {place} lies below the output {self.output_uri}, where a message can "
                    "have it overwritten: choose a place beside it, or another --s3-output-prefix"
                )


@dataclass(frozen=True)
class DeploymentPlan:
    """Everything a stack is made of; nothing of it has been sent."""

    artifact: ModelArtifact
    create_model: Request
    package: LambdaPackage
    package_uri: S3Uri
    template: str
    parameters: dict[str, str]
    tags: Mapping[str, str]

    def remarks(self) -> list[str]:
        """Return what an operator should know before this is carried out."""
        remark = unpinned_remark(self.create_model["PrimaryContainer"]["Image"])
        return [remark] if remark else []


def plan_deployment(
    clients: AwsClients, settings: DeploymentSettings, root: Path
) -> DeploymentPlan:
    """
    Check everything that can be checked and return what would be deployed from *root*.

    Raises InvalidSettings with all wrong values at once; then AwsRefused or botocore's own errors
    for what only AWS can tell.
    """
    if problems := [*settings.problems()]:
        raise InvalidSettings(problems)
    places = (settings.code_uri, settings.model_uri, settings.input_uri, settings.output_uri)
    for bucket in sorted({place.bucket for place in places}):
        check_bucket(clients.s3, bucket)
    artifact = _find_artifact(clients, settings)
    create_model = create_model_request(
        image_uri=pin_digest(clients.ecr, settings.image_uri),
        model_data_url=artifact.uri,
        execution_role_arn=settings.role_arn,
        version=artifact.version,
        tags=settings.tags,
    )
    if problems := [*request_problems("CreateModel", create_model)]:
        raise InvalidSettings(problems)
    package = build_lambda_package(root)
    package_uri = settings.code_uri.child(package.file_name)
    return DeploymentPlan(
        artifact=artifact,
        create_model=create_model,
        package=package,
        package_uri=package_uri,
        template=(root / TEMPLATE).read_text(encoding="utf-8"),
        parameters={
            "CodeBucket": package_uri.bucket,
            "CodeKey": package_uri.key,
            "QueueName": settings.queue_name,
            "FunctionName": settings.lambda_name,
            "ModelName": create_model["ModelName"],
            "JobNamePrefix": requested_job_prefix(settings.queue_name),
            "InputBucket": settings.input_uri.bucket,
            "InputPrefix": settings.input_uri.key,
            "OutputBucket": settings.output_uri.bucket,
            "OutputPrefix": settings.output_uri.key,
            "InstanceTypes": ",".join(settings.instance_types),
            "AlarmTopicArn": settings.alarm_topic_arn,
            "KmsKeyArn": settings.kms_key_id or "",
            "JobTags": tag_text(settings.tags),
            "RequireTls": str(clients.sqs.meta.endpoint_url.startswith("https:")).lower(),
        },
        tags=settings.tags,
    )


def provide(clients: AwsClients, plan: DeploymentPlan, progress: Progress) -> None:
    """Upload code and model and make the SageMaker Model, each unless it is there."""
    if exists_in_s3(clients.s3, plan.package_uri) is None:
        put_object(clients.s3, plan.package_uri, plan.package.body, "application/zip")
    upload(clients.s3, plan.artifact, progress)
    ensure_model(clients.sagemaker, plan.create_model)


def _find_artifact(clients: AwsClients, settings: DeploymentSettings) -> ModelArtifact:
    if not settings.model_path.endswith("/"):
        return uploaded_artifact(clients.s3, settings.model_uri)
    path = Path(MODEL_ARTIFACT_FILE)
    if not path.is_file():
        missing = (
            f"--model-path: {settings.model_path} is a folder, to which ./{path} would be "
            "uploaded, but there is none: write it with python package_model.py, or name an "
            "artifact in S3"
        )
        raise InvalidSettings([missing])
    return local_artifact(path, settings.model_uri)
