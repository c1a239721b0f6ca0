"""
Pure requests: the dicts that CreateModel and CreateTransformJob take, and nothing that sends them.

Built first and printed by `--dry-run`, so what is shown is what would be sent.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from batch_transform.naming import S3Uri, model_name_for
from batch_transform.tags import tag_list
from batch_transform.transform_profiles import (
    TransformProfile,
    container_environment,
    takes_volume_key,
    transform_ami_version,
)

Request = dict[str, Any]

REQUEST_DIGEST_VARIABLE = "REQUEST_DIGEST"


def create_model_request(
    *,
    image_uri: str,
    model_data_url: S3Uri,
    execution_role_arn: str,
    version: str = "",
    environment: Mapping[str, str] | None = None,
    subnets: Sequence[str] = (),
    security_group_ids: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
) -> Request:
    """
    Return a CreateModel request, named by what it holds; tags do not change the name.

    *version* tells two contents of one URL apart (an ETag); a URL that is named by its content
    needs none. Batch Transform refuses models made with ModelDataSource, hence ModelDataUrl.
    """
    content: Request = {
        "PrimaryContainer": {"Image": image_uri, "ModelDataUrl": str(model_data_url)},
        "ExecutionRoleArn": execution_role_arn,
        "EnableNetworkIsolation": True,
    }
    if environment:
        content["PrimaryContainer"]["Environment"] = dict(environment)
    if subnets and security_group_ids:
        content["VpcConfig"] = {
            "Subnets": list(subnets),
            "SecurityGroupIds": list(security_group_ids),
        }
    name = model_name_for({**content, "version": version})
    return {"ModelName": name, **content, **_tags(tags)}


def create_transform_job_request(
    *,
    profile: TransformProfile,
    job_name: str,
    model_name: str,
    input_uri: S3Uri,
    output_uri: S3Uri,
    instance_type: str,
    instance_count: int,
    input_is_manifest: bool = False,
    kms_key_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    request_digest: str | None = None,
) -> Request:
    """
    Return a CreateTransformJob request for one of the two profiles.

    *input_uri* is a prefix or, if *input_is_manifest*, one file that lists the objects.
    *kms_key_id* encrypts the output, and the volume where the instance type allows it.
    *request_digest* names the message that asks for the job; the environment is the one place of
    a job where DescribeTransformJob tells it again and no further permission is needed.
    """
    resources: Request = {"InstanceType": instance_type, "InstanceCount": instance_count}
    if ami_version := transform_ami_version(instance_type):
        resources["TransformAmiVersion"] = ami_version
    environment = container_environment(instance_type)
    if request_digest:
        environment[REQUEST_DIGEST_VARIABLE] = request_digest
    encryption = {"KmsKeyId": kms_key_id} if kms_key_id else {}
    if kms_key_id and takes_volume_key(instance_type):
        resources["VolumeKmsKeyId"] = kms_key_id
    data_type = "ManifestFile" if input_is_manifest else "S3Prefix"
    return {
        "TransformJobName": job_name,
        "ModelName": model_name,
        "BatchStrategy": profile.batch_strategy,
        "MaxConcurrentTransforms": profile.max_concurrent_transforms_on(instance_type),
        "MaxPayloadInMB": profile.max_payload_in_mb,
        "ModelClientConfig": {
            "InvocationsTimeoutInSeconds": profile.invocations_timeout_in_seconds,
            "InvocationsMaxRetries": profile.invocations_max_retries,
        },
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": data_type, "S3Uri": str(input_uri)}},
            "ContentType": profile.content_type,
            "SplitType": "Line",
        },
        "TransformOutput": {
            "S3OutputPath": str(output_uri),
            "Accept": profile.accept,
            "AssembleWith": "Line",
            **encryption,
        },
        "TransformResources": resources,
        **({"Environment": environment} if environment else {}),
        **_tags(tags),
    }


def _tags(tags: Mapping[str, str] | None) -> Request:
    return {"Tags": tag_list(tags)} if tags else {}
