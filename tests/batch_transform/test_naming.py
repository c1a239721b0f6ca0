"""Names and places: what a prefix takes in, where a job's files lie, what names a model."""

from datetime import UTC, datetime

import pytest
from botocore.handlers import VALID_BUCKET

from batch_transform.errors import InvalidSettings
from batch_transform.naming import (
    JobFolder,
    S3Uri,
    bucket_problem,
    location_problem,
    model_name_for,
    new_job_name,
    shard_name,
)
from batch_transform.service_contract import violations


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://legal/cases/in", S3Uri("legal", "cases/in")),
        ("s3://legal", S3Uri("legal", "")),
        ("cases/in/", S3Uri("default", "cases/in/")),
        ("/cases/in", S3Uri("default", "cases/in")),
        ("", S3Uri("default", "")),
    ],
)
def test_a_place_is_read_in_full_or_below_the_bucket(text: str, expected: S3Uri) -> None:
    """A full location names its own bucket; a bare prefix lies in the bucket given beside it."""
    assert S3Uri.parse(text, bucket="default") == expected


@pytest.mark.parametrize("text", ["https://legal/cases", "s3:///cases", "cases"])
def test_a_place_without_a_bucket_is_refused_by_name(text: str) -> None:
    """What cannot be a place in S3 is quoted in the refusal."""
    with pytest.raises(InvalidSettings, match=text):
        S3Uri.parse(text)


def test_a_folder_does_not_take_in_its_namesake() -> None:
    """To S3 a prefix is a string, so `out` would cover `out_old/`; the folder does not."""
    assert S3Uri("b", "out").covers(S3Uri("b", "out_old/x"))
    assert not S3Uri("b", "out").folder().covers(S3Uri("b", "out_old/x"))


def test_the_whole_bucket_is_a_folder_too() -> None:
    """A bucket's root gets no leading slash."""
    assert S3Uri("b").folder() == S3Uri("b")
    assert S3Uri("b").child("job/") == S3Uri("b", "job/")


def test_a_job_folder_is_found_again_from_the_output_of_its_job() -> None:
    """Whoever knows only what DescribeTransformJob says finds the folder of a packed job."""
    folder = JobFolder.of(S3Uri("b", "out/"), "job-1")
    assert JobFolder.holding(folder.shard_outputs, "job-1") == folder
    assert JobFolder.holding(S3Uri("b", "out/job-1/output"), "job-1") == folder


def test_a_job_that_packed_nothing_has_no_such_folder() -> None:
    """The standard job writes right into its folder, and no consolidation is looked for."""
    assert JobFolder.holding(S3Uri("b", "out/job-1/"), "job-1") is None


def test_drawn_job_names_satisfy_sagemaker_and_differ() -> None:
    """Two runs in one second get two names, both of them allowed."""
    now = datetime(2026, 11, 20, 21, 39, tzinfo=UTC)
    names = {new_job_name("optimized", now) for _ in range(20)}
    assert len(names) > 1
    for name in names:
        refused = violations("sagemaker", "DescribeTransformJob", {"TransformJobName": name})
        assert list(refused) == []


def test_a_model_is_named_by_what_it_holds() -> None:
    """The same content gives the same name; another role or image gives another."""
    one = {"PrimaryContainer": {"Image": "a"}, "ExecutionRoleArn": "r"}
    assert model_name_for(one) == model_name_for(dict(reversed(one.items())))
    assert model_name_for(one) != model_name_for({**one, "ExecutionRoleArn": "s"})
    assert list(violations("sagemaker", "DescribeModel", {"ModelName": model_name_for(one)})) == []


def test_shard_names_sort_in_packing_order() -> None:
    """Zero-padding keeps the tenth after the ninth."""
    names = [shard_name(index) for index in range(11)]
    assert names == sorted(names)


@pytest.mark.parametrize(
    ("name", "is_wrong"),
    [("Old_Bucket", False), ("a.b-c", False), ("a!", True), ("", True), ("b" * 256, True)],
)
def test_a_bucket_may_have_the_name_that_botocore_sends(name: str, is_wrong: bool) -> None:
    """Neither more is refused than it refuses, in a long pattern and late, nor less."""
    assert bool(bucket_problem(name)) == is_wrong
    assert bool(VALID_BUCKET.fullmatch(name)) != is_wrong
    if name:
        assert bool(location_problem(f"s3://{name}/input/")) == is_wrong
    assert location_problem(f"{name}/input/") is None
