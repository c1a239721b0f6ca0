"""
Whether the caller's own policies allow a SageMaker operation: ministack's IAM, asked for SageMaker.

Knows each operation's resource and condition keys, as the Service Authorization Reference lists
them. Where the local AWS does not enforce policies, everything is allowed, as by ministack.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from ministack import app as ministack
from ministack.core.iam_evaluator import AuthError, enforce

from local_aws.aws_error import AwsError
from local_aws.sagemaker_state import Home

NAME_OF_RESOURCE = {"transform-job": "TransformJobName", "model": "ModelName"}
RESOURCE_OF_OPERATION = {
    "CreateModel": "model",
    "CreateTransformJob": "transform-job",
    "DeleteModel": "model",
    "DescribeModel": "model",
    "DescribeTransformJob": "transform-job",
    "StopTransformJob": "transform-job",
}


def check_caller(
    access_key_id: str, home: Home, operation_name: str, request: Mapping[str, Any]
) -> None:
    """Raise AwsError unless the caller may do this; root, who signs with `test`, always may."""
    if not ministack.AUTH:
        return
    for action, resource_arn in _permissions(home, operation_name, request):
        denied = enforce(
            access_key_id,
            action,
            "sagemaker",
            home.region,
            resource_arn=resource_arn,
            service_context=_condition_keys(home, request),
        )
        if isinstance(denied, AuthError):
            raise AwsError(denied.code, denied.message, HTTPStatus.FORBIDDEN)
        if denied is not None:
            message = (
                f"User: {denied.principal_arn} is not authorized to perform: {action} on resource: "
                f"{resource_arn}"
            )
            raise AwsError("AccessDeniedException", message)


def _permissions(
    home: Home, operation_name: str, request: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    kind = RESOURCE_OF_OPERATION.get(operation_name)
    resource_arn = home.arn(kind, request.get(NAME_OF_RESOURCE[kind], "")) if kind else "*"
    yield f"sagemaker:{operation_name}", request.get("ResourceArn", resource_arn)
    if request.get("Tags"):
        yield "sagemaker:AddTags", resource_arn
    if operation_name == "CreateModel":
        yield "iam:PassRole", request.get("ExecutionRoleArn", "")


def _condition_keys(home: Home, request: Mapping[str, Any]) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    if "TransformResources" in request:
        keys["sagemaker:InstanceTypes"] = [request["TransformResources"].get("InstanceType")]
        keys["sagemaker:ModelArn"] = home.arn("model", request.get("ModelName", ""))
    return keys
