"""What an operator may say: wrong values are refused together, each beside its flag."""

import dataclasses
from pathlib import Path

import pytest

from batch_transform.errors import InvalidSettings
from batch_transform.settings import TransformSettings
from batch_transform.transform_plan import check_settings
from batch_transform.transform_profiles import OPTIMIZED, STANDARD


@pytest.fixture
def settings(tmp_path: Path) -> TransformSettings:
    """Settings with which nothing is wrong."""
    artifact = tmp_path / "model.tar.gz"
    artifact.touch()
    return TransformSettings(
        profile=OPTIMIZED,
        bucket="legal",
        model_path=str(artifact),
        model_prefix="models/",
        input_prefix="input/",
        output_prefix="output/",
        image_uri="123456789012.dkr.ecr.eu-west-1.amazonaws.com/dispute-classifier:1",
        role_arn="arn:aws:iam::123456789012:role/transform",
        instance_type="ml.g5.xlarge",
        instance_count=1,
        job_name="job-1",
        region="eu-west-1",
    )


def problems_of(settings: TransformSettings, **changes: object) -> list[str]:
    """Return what is wrong with the settings once changed."""
    with pytest.raises(InvalidSettings) as refused:
        check_settings(dataclasses.replace(settings, **changes))
    return refused.value.problems


@pytest.mark.parametrize("profile", [STANDARD, OPTIMIZED])
def test_sound_settings_pass(settings: TransformSettings, profile: object) -> None:
    """Nothing is refused that is right."""
    check_settings(dataclasses.replace(settings, profile=profile))


@pytest.mark.parametrize(
    ("changes", "flag", "quoted"),
    [
        ({"role_arn": "admin"}, "--role-arn", "'admin'"),
        ({"instance_type": "ml.g5.huge"}, "--instance-type", "ml.g5.xlarge"),
        ({"instance_type": "ml.inf2.xlarge"}, "--instance-type", "Neuron"),
        ({"instance_count": 0}, "--instance-count", "0"),
        ({"job_name": "my_job"}, "--job-name", "'my_job'"),
        ({"job_name": "j" * 64}, "--job-name", "63"),
        ({"image_uri": "docker.io/library/python:3.11"}, "--container-image", "Amazon ECR"),
        ({"region": "us-east-1"}, "--container-image", "us-east-1"),
        ({"model_path": "nowhere.tar.gz"}, "--model-path", "package_model.py"),
        ({"tags": {f"key{number}": "x" for number in range(11)}}, "--tag", "11 tags"),
        ({"environment": {"TOP_K": "abc"}}, "--environment", "TOP_K is 'abc', expected a whole"),
        ({"environment": {"INFERENCE_PRECISION": "FP32"}}, "--environment", "expected one of fp32"),
        ({"output_prefix": "o" * 1100}, "--s3-output-prefix", "1024"),
    ],
)
def test_a_wrong_value_is_refused_beside_its_flag(
    settings: TransformSettings, changes: dict, flag: str, quoted: str
) -> None:
    """One sentence names the flag and what was wrong with its value."""
    problems = problems_of(settings, **changes)
    assert any(problem.startswith(flag) and quoted in problem for problem in problems), problems


def test_all_wrong_values_are_told_at_once(settings: TransformSettings) -> None:
    """Nobody mends one mistake only to be shown the next."""
    problems = problems_of(
        settings, role_arn="x" * 20, instance_type="ml.x", image_uri="i", job_name="_"
    )
    flags = {problem.split(":")[0] for problem in problems}
    assert flags == {"--role-arn", "--instance-type", "--container-image", "--job-name"}


@pytest.mark.parametrize(
    "changes",
    [{"kms_key_id": "x y", "instance_type": "ml.c5.xlarge"}, {"subnets": ("subnet-1",)}],
)
def test_one_mistake_is_told_once(settings: TransformSettings, changes: dict) -> None:
    """A key goes into two fields of a request, and what is half given is wrong in two ways."""
    (problem,) = problems_of(settings, **changes)
    assert problem.startswith("--")


@pytest.mark.parametrize(
    ("input_prefix", "output_prefix"),
    [
        ("cases/", "cases/out/"),
        ("cases/in/", "cases/"),
        ("cases", "cases/"),
        ("", "output/"),
        ("input/", ""),
        ("s3://legal/cases/", "cases/answers"),
    ],
)
def test_overlapping_input_and_output_are_refused(
    settings: TransformSettings, input_prefix: str, output_prefix: str
) -> None:
    """A later job would otherwise classify the answers of this one."""
    problems = problems_of(settings, input_prefix=input_prefix, output_prefix=output_prefix)
    assert any("overlap" in problem for problem in problems)


def test_models_inside_the_input_are_refused(settings: TransformSettings) -> None:
    """A job would otherwise classify the bytes of its own model."""
    problems = problems_of(settings, model_prefix="input/models/")
    assert any("--s3-model-prefix" in problem for problem in problems)


def test_neighbours_that_share_a_beginning_do_not_overlap(settings: TransformSettings) -> None:
    """`out_old/` is not inside `out/`, nor is the same prefix in another bucket."""
    check_settings(dataclasses.replace(settings, input_prefix="out_old/", output_prefix="out"))
    check_settings(dataclasses.replace(settings, input_prefix="s3://other/output/"))
