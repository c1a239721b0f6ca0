"""The requests of both profiles, held against what SageMaker's own model allows."""

import dataclasses

import pytest

from batch_transform.naming import S3Uri
from batch_transform.service_contract import service_model, violations
from batch_transform.transform_profiles import (
    OPTIMIZED,
    PROFILES,
    STANDARD,
    TransformProfile,
    instance_type_problem,
    is_gpu,
    transform_ami_version,
)
from batch_transform.transform_request import (
    Request,
    create_model_request,
    create_transform_job_request,
)

ROLE = "arn:aws:iam::123456789012:role/service-role/transform"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/dispute-classifier:1"


def job_request(profile: TransformProfile, **changes: object) -> Request:
    """Return a request of *profile* with the given arguments changed."""
    arguments = {
        "profile": profile,
        "job_name": "job-1",
        "model_name": "model-1",
        "input_uri": S3Uri("b", "in/"),
        "output_uri": S3Uri("b", "out/job-1/"),
        "instance_type": profile.default_instance_type,
        "instance_count": 2,
    }
    return create_transform_job_request(**(arguments | changes))


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_sagemaker_would_accept_the_job_request(profile: TransformProfile) -> None:
    """No name, enum, pattern or bound of the service model is broken."""
    request = job_request(profile, request_digest="0123456789abcdef")
    assert list(violations("sagemaker", "CreateTransformJob", request)) == []
    assert request["Environment"]["REQUEST_DIGEST"] == "0123456789abcdef"


def test_sagemaker_would_accept_the_model_request() -> None:
    """The model request is sound and uses ModelDataUrl, the only way batch accepts."""
    request = create_model_request(
        image_uri=IMAGE, model_data_url=S3Uri("b", "m/model.tar.gz"), execution_role_arn=ROLE
    )
    assert list(violations("sagemaker", "CreateModel", request)) == []
    assert request["PrimaryContainer"]["ModelDataUrl"] == "s3://b/m/model.tar.gz"
    assert request["EnableNetworkIsolation"] is True


def test_another_setting_of_the_container_is_another_model() -> None:
    """What the container is told is part of what a Model is."""
    plain, told = (
        create_model_request(
            image_uri=IMAGE,
            model_data_url=S3Uri("b", "model.tar.gz"),
            execution_role_arn=ROLE,
            environment=environment,
        )
        for environment in ({}, {"TOP_K": "5"})
    )
    assert told["PrimaryContainer"]["Environment"] == {"TOP_K": "5"}
    assert "Environment" not in plain["PrimaryContainer"]
    assert told["ModelName"] != plain["ModelName"]
    assert list(violations("sagemaker", "CreateModel", told)) == []


def test_the_same_url_with_other_content_is_another_model() -> None:
    """An artefact overwritten in place has a new ETag, and so a new Model."""
    first, second = (
        create_model_request(
            image_uri=IMAGE,
            model_data_url=S3Uri("b", "model.tar.gz"),
            execution_role_arn=ROLE,
            version=version,
        )["ModelName"]
        for version in ("etag-1", "etag-2")
    )
    assert first != second


def test_the_standard_job_sends_one_document_a_request() -> None:
    """SingleRecord over plain text, assembled by line, without a GPU image."""
    request = job_request(STANDARD)
    assert request["BatchStrategy"] == "SingleRecord"
    assert request["TransformInput"]["ContentType"] == "text/plain"
    assert request["TransformOutput"]["AssembleWith"] == "Line"
    assert "TransformAmiVersion" not in request["TransformResources"]


def test_the_optimized_job_packs_requests_and_asks_for_a_driver_that_torch_can_use() -> None:
    """MultiRecord over JSON Lines; the default image of g5 has a driver too old for CUDA 12."""
    request = job_request(OPTIMIZED)
    assert request["BatchStrategy"] == "MultiRecord"
    assert request["TransformInput"]["ContentType"] == "application/jsonlines"
    ami = request["TransformResources"]["TransformAmiVersion"]
    assert ami == "al2-ami-sagemaker-batch-gpu-535"


def test_a_gpu_that_is_paid_for_must_be_used() -> None:
    """The container is told to end at once where it cannot; a CPU type is told nothing."""
    assert job_request(OPTIMIZED)["Environment"] == {"REQUIRE_GPU": "true"}
    assert job_request(STANDARD, instance_type="ml.g6.xlarge")["Environment"]
    assert "Environment" not in job_request(OPTIMIZED, instance_type="ml.c7i.xlarge")


def test_a_cpu_is_given_one_packed_request_at_a_time() -> None:
    """Four of 6 MB would not be answered within the hour that an invocation may take."""
    on_cpu = job_request(OPTIMIZED, instance_type="ml.c7i.xlarge")
    assert on_cpu["MaxConcurrentTransforms"] == 1
    assert job_request(OPTIMIZED)["MaxConcurrentTransforms"] == 4
    assert job_request(STANDARD)["MaxConcurrentTransforms"] == 8


def test_tags_travel_as_sagemaker_wants_them() -> None:
    """A mapping becomes a list of keys and values."""
    request = job_request(STANDARD, tags={"team": "legal"})
    assert request["Tags"] == [{"Key": "team", "Value": "legal"}]
    assert list(violations("sagemaker", "CreateTransformJob", request)) == []


def test_a_profile_over_the_request_memory_cannot_be_made() -> None:
    """SageMaker allows 100 MB for concurrent requests together."""
    with pytest.raises(ValueError, match="120 MB"):
        dataclasses.replace(STANDARD, max_payload_in_mb=20, max_concurrent_transforms=6)


def test_every_gpu_type_that_batch_transform_offers_gets_the_newer_driver() -> None:
    """The families are told apart by name: p and g have NVIDIA GPUs, trn and inf do not."""
    for instance_type in service_model("sagemaker").shape_for("TransformInstanceType").enum:
        family = instance_type.split(".")[1]
        assert is_gpu(instance_type) == (family in {"p2", "p3", "g4dn", "g5", "g6", "g6e"})
        assert bool(transform_ami_version(instance_type)) == is_gpu(instance_type)
        assert bool(instance_type_problem(instance_type)) == family.startswith(("trn", "inf"))


@pytest.mark.parametrize(
    ("profile", "instance_type", "word"),
    [
        (OPTIMIZED, "ml.c7i.xlarge", "no GPU"),
        (STANDARD, "ml.g5.xlarge", "GPU"),
        (OPTIMIZED, "ml.g6.xlarge", None),
        (STANDARD, "ml.m5.xlarge", None),
    ],
)
def test_an_unusual_machine_is_remarked_upon_and_allowed(
    profile: TransformProfile, instance_type: str, word: str | None
) -> None:
    """Either job runs on either machine; the operator is told what that means."""
    remark = profile.instance_type_remark(instance_type)
    assert (word in remark) if word else remark is None
