"""
What an operator must say to start a job: one frozen dataclass, checked all at once.

Values come in from the edge; nothing here reads the environment. The rules that AWS declares are
taken from its own service model, so they are neither copied nor forgotten.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from batch_transform.naming import JobFolder, S3Uri
from batch_transform.service_contract import Violation, service_model, violations
from batch_transform.tags import tag_problems
from batch_transform.transform_profiles import TransformProfile, instance_type_problem
from batch_transform.transform_request import Request

_ECR_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/"
    r"[a-z0-9]+([._/-][a-z0-9]+)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)
_CONTAINER_NUMBERS = {"TOP_K": range(1, 1001), "MAX_TOKENS_PER_MICRO_BATCH": range(1, 2**24 + 1)}
_CONTAINER_CHOICES = {
    "INFERENCE_PRECISION": ("fp32", "bf16", "fp16", "int8"),
    "REQUIRE_GPU": ("true", "false"),
}
"""What the container makes of its variables; it ends at its start for any other value but none."""
_FLAGS = {
    "ExecutionRoleArn": "--role-arn",
    "PrimaryContainer.Image": "--container-image",
    "PrimaryContainer.ModelDataUrl": "--s3-model-prefix",
    "VpcConfig.SecurityGroupIds": "--security-groups",
    "PrimaryContainer.Environment": "--environment",
    "VpcConfig.Subnets": "--subnets",
    "Tags[": "--tag",
    "TransformOutput.KmsKeyId": "--kms-key-id",
    "TransformInput.DataSource.S3DataSource.S3Uri": "--s3-input-prefix",
    "TransformJobName": "--job-name",
    "TransformOutput.S3OutputPath": "--s3-output-prefix",
    "TransformResources.InstanceCount": "--instance-count",
    "TransformResources.InstanceType": "--instance-type",
    "TransformResources.VolumeKmsKeyId": "--kms-key-id",
}


@dataclass(frozen=True)
class TransformSettings:
    """
    One job as the operator wants it; places are prefixes in *bucket* or full S3 locations.

    *image_uri* and *role_arn* are None for a job that goes on with another, by its Model.
    *results_asked* is what was said of the results, by the names of ResultsWanted.
    """

    profile: TransformProfile
    bucket: str
    model_path: str
    model_prefix: str
    input_prefix: str
    output_prefix: str
    image_uri: str | None
    role_arn: str | None
    instance_type: str
    instance_count: int
    job_name: str
    region: str | None = None
    is_strict: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    kms_key_id: str | None = None
    subnets: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()
    results_asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def input_uri(self) -> S3Uri:
        """Where the text files lie."""
        return S3Uri.parse(self.input_prefix, bucket=self.bucket)

    @property
    def output_uri(self) -> S3Uri:
        """Below which every job gets a folder of its own."""
        return S3Uri.parse(self.output_prefix, bucket=self.bucket).folder()

    @property
    def model_uri(self) -> S3Uri:
        """Below which model artefacts are kept."""
        return S3Uri.parse(self.model_prefix, bucket=self.bucket).folder()

    @property
    def model_in_s3(self) -> bool:
        """Tell whether the model artefact lies in S3 already."""
        return self.model_path.startswith("s3://")

    @property
    def folder(self) -> JobFolder:
        """The job's own folder."""
        return JobFolder.of(self.output_uri, self.job_name)

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with these values, told from the values alone."""
        yield from overlap_problems(self.input_uri, self.output_uri)
        if self.input_uri.folder().covers(self.model_uri):
            yield (
                f"model artifacts under {self.model_uri} would be read as documents of "
                f"{self.input_uri}: choose a --s3-model-prefix beside --s3-input-prefix"
            )
        yield from self.problems_of_any_job()
        yield from image_problems(self.image_uri, self.region)
        if bool(self.subnets) != bool(self.security_group_ids):
            yield "--subnets and --security-groups: SageMaker wants both or neither"
        yield from environment_problems(self.environment)

    def problems_of_any_job(self) -> Iterator[str]:
        """Yield what is wrong with what a job that goes on with another is told anew."""
        if problem := instance_type_problem(self.instance_type):
            yield f"--instance-type: {problem}"
        yield from tag_problems(self.tags)


def overlap_problems(input_uri: S3Uri, output_uri: S3Uri) -> Iterator[str]:
    """Yield why a job that reads the one and writes the other would feed on itself."""
    if input_uri.folder().covers(output_uri) or output_uri.covers(input_uri):
        yield (
            f"input {input_uri} and output {output_uri} overlap: the next job would read the "
            "answers of this one as documents. Choose --s3-input-prefix and --s3-output-prefix "
            "side by side"
        )


def image_problems(image_uri: str, region: str | None) -> Iterator[str]:
    """Yield why SageMaker in *region* could not pull the image."""
    match = _ECR_IMAGE.fullmatch(image_uri)
    if not match:
        yield (
            f"--container-image: {image_uri!r} is not an image in Amazon ECR, expected "
            "ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY:TAG "
            "(custom_container/build_and_push.sh prints it)"
        )
    elif region and match["region"] != region:
        yield (
            f"--container-image: the image lies in {match['region']} and the job would run in "
            f"{region}; SageMaker pulls from its own region only"
        )


def job_name_problem(name: str) -> str | None:
    """Return why SageMaker can have no job of that name, if so."""
    if not any(violations("sagemaker", "DescribeTransformJob", {"TransformJobName": name})):
        return None
    longest = service_model("sagemaker").shape_for("TransformJobName").metadata["max"]
    return (
        f"{name!r} is no job's name: SageMaker takes letters and digits, hyphens between them, "
        f"{longest} at most"
    )


def environment_problems(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield which variables would end the container at its start, when the machine is paid for."""
    for name, value in environment.items():
        if value and name in _CONTAINER_NUMBERS:
            allowed = _CONTAINER_NUMBERS[name]
            if not _is_number_in(allowed, value):
                expected = f"a whole number from {allowed.start} to {allowed.stop - 1}"
                yield f"--environment: {name} is {value!r}, expected {expected}"
        elif value and name in _CONTAINER_CHOICES and value not in _CONTAINER_CHOICES[name]:
            expected = f"one of {', '.join(_CONTAINER_CHOICES[name])}"
            yield f"--environment: {name} is {value!r}, expected {expected}"


def _is_number_in(allowed: range, value: str) -> bool:
    try:
        return value.isascii() and value.isdigit() and int(value) in allowed
    except ValueError:  # of more digits than Python converts
        return False


def request_problems(operation_name: str, request: Request) -> Iterator[str]:
    """Yield what SageMaker would refuse in a request, each beside the flag it came from."""
    for violation in violations("sagemaker", operation_name, request):
        yield f"{_flag(violation.path)}: {_in_short(violation)}"


def _flag(path: str) -> str:
    """Return the flag from which a member comes, or a part of one: `Tags[0].Key`."""
    return next((flag for start, flag in _FLAGS.items() if path.startswith(start)), path)


def _in_short(violation: Violation) -> str:
    if violation.path == "TransformResources.InstanceType":
        offered = service_model("sagemaker").shape_for("TransformInstanceType").enum
        near = difflib.get_close_matches(str(violation.value), offered, n=4, cutoff=0.4)
        hint = f"; near it: {', '.join(near)}" if near else ""
        return f"{violation.value!r} is not an instance type Batch Transform offers{hint}"
    return f"{violation.value!r} is refused by SageMaker: {violation.constraint}"
