"""
Which requests SageMaker refuses: what its API declares, and what it only documents.

Knows the request and, where a rule needs it, the model. Knows nothing of the account's state.
"""

import re
from collections.abc import Mapping
from typing import Any

from batch_transform.service_contract import Violation, violations
from local_aws.aws_error import validation_error

MAX_PAYLOAD_TIMES_CONCURRENT_IN_MB = 100
DEFAULT_MAX_PAYLOAD_IN_MB = 6
TYPES_WITH_LOCAL_STORAGE = ("ml.g4dn.", "ml.g5.", "ml.g6.", "ml.g6e.", "ml.trn1.")

# What the transform agent does not do, by the path of the member that asks for it.
NOT_EMULATED = {
    ("TransformInput", "DataSource", "S3DataSource", "S3DataType"): {
        "AugmentedManifestFile",
        "Converse",
    },
    ("TransformInput", "CompressionType"): {"Gzip"},
    ("TransformInput", "SplitType"): {"RecordIO", "TFRecord"},
    ("DataProcessing", "JoinSource"): {"Input"},
}


def check_contract(operation_name: str, request: Mapping[str, Any]) -> None:
    """Refuse, in AWS's words, a request that the API's own model does not allow."""
    found = [_sentence(v) for v in violations("sagemaker", operation_name, request)]
    if found:
        errors = "error" if len(found) == 1 else "errors"
        message = f"{len(found)} validation {errors} detected: {'; '.join(found)}"
        raise validation_error(message)


def check_model(request: Mapping[str, Any]) -> None:
    """Refuse a model that names no container, or one the transform agent cannot run."""
    container = request.get("PrimaryContainer")
    if request.get("Containers"):
        message = "Inference pipelines (Containers) are not part of the local SageMaker."
        raise validation_error(message)
    if not container or not (container.get("Image") or container.get("ModelPackageName")):
        message = "You must provide the primary container with an Image or a ModelPackageName."
        raise validation_error(message)


def check_transform_job(request: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    """Refuse a job that the Developer Guide rules out though its members are sound one by one."""
    if "ModelDataSource" in model["PrimaryContainer"]:
        message = (
            "SageMaker Batch currently doesn't support Model entity with container definitions "
            "which use ModelDataSource attribute"
        )
        raise validation_error(message)
    _check_payload(request)
    _check_volume_key(request)
    _check_emulated(request)


def _check_payload(request: Mapping[str, Any]) -> None:
    concurrent = request.get("MaxConcurrentTransforms") or 1
    payload_in_mb = request.get("MaxPayloadInMB", DEFAULT_MAX_PAYLOAD_IN_MB)
    if concurrent * payload_in_mb > MAX_PAYLOAD_TIMES_CONCURRENT_IN_MB:
        message = (
            f"MaxConcurrentTransforms * MaxPayloadInMB ({concurrent} * {payload_in_mb}) must not "
            f"exceed {MAX_PAYLOAD_TIMES_CONCURRENT_IN_MB} MB."
        )
        raise validation_error(message)


def _check_volume_key(request: Mapping[str, Any]) -> None:
    resources = request["TransformResources"]
    instance_type = resources["InstanceType"]
    if "VolumeKmsKeyId" in resources and instance_type.startswith(TYPES_WITH_LOCAL_STORAGE):
        message = (
            f"VolumeKmsKeyId can't be used with {instance_type}: its local storage volume is "
            "encrypted by a hardware module on the instance."
        )
        raise validation_error(message)


def _check_emulated(request: Mapping[str, Any]) -> None:
    for path, refused in NOT_EMULATED.items():
        value: Any = request
        for name in path:
            value = value.get(name, {}) if isinstance(value, Mapping) else None
        if isinstance(value, str) and value in refused:
            message = f"{'.'.join(path)}={value} is not part of the local SageMaker."
            raise validation_error(message)


def _sentence(violation: Violation) -> str:
    value = "null" if violation.value is None else f"'{violation.value}'"
    position = _position(violation.path)
    return f"Value {value} at '{position}' failed to satisfy constraint: {violation.constraint}"


def _position(path: str) -> str:
    """``Tags[0].Key`` as AWS writes it: ``tags.1.member.key``."""
    counted = re.sub(r"\[(\d+)\]", lambda match: f".{int(match[1]) + 1}.member", path)
    return ".".join(name[:1].lower() + name[1:] for name in counted.split("."))
