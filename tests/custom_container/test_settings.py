"""Settings: defaults, SageMaker's spellings, and refusals that name everything at once."""

from pathlib import Path

import pytest

from src.errors import SettingsError
from src.settings import Settings


def test_an_empty_environment_is_sagemakers_own_default():
    """With no variable set the server is what SageMaker expects of an image."""
    settings = Settings.from_environment({})

    assert settings == Settings(
        model_dir=Path("/opt/ml/model"),
        port=8080,
        batch_strategy="MULTI_RECORD",
        max_payload_in_mb=6,
        max_concurrent_transforms=8,
        top_k=3,
        max_tokens_per_micro_batch=0,
        require_gpu=False,
        inference_precision="",
    )


@pytest.mark.parametrize("spelling", ["SINGLE_RECORD", "SingleRecord"])
def test_both_spellings_of_a_batch_strategy_mean_the_same(spelling):
    """CreateTransformJob and the container contract spell the strategies differently."""
    settings = Settings.from_environment({"SAGEMAKER_BATCH_STRATEGY": spelling})

    assert settings.batch_strategy == "SINGLE_RECORD"


@pytest.mark.parametrize(("payload", "concurrency"), [("6", 8), ("20", 5), ("100", 1)])
def test_offered_concurrency_times_payload_stays_within_100_mb(payload, concurrency):
    """Where the job leaves its concurrency open, the offer is one that SageMaker takes."""
    settings = Settings.from_environment({"SAGEMAKER_MAX_PAYLOAD_IN_MB": payload})

    assert settings.max_concurrent_transforms == concurrency


@pytest.mark.parametrize(("concurrency", "payload"), [("16", 6), ("50", 2), ("100", 1)])
def test_offered_payload_times_concurrency_stays_within_100_mb(concurrency, payload):
    """Where the job leaves its payload open, many requests at once are offered a smaller one."""
    settings = Settings.from_environment({"SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": concurrency})

    assert settings.max_payload_in_mb == payload


def test_more_gpus_are_offered_more_requests():
    """Eight requests a GPU keep it busy, up to SageMaker's 100 MB in flight."""
    offered = [
        Settings.from_environment({}, gpus).max_concurrent_transforms for gpus in (0, 1, 2, 4)
    ]

    assert offered == [8, 8, 16, 16]


def test_a_concurrency_of_zero_is_left_to_the_container():
    """SageMaker's 0 means: ask /execution-parameters."""
    assert (
        Settings.from_environment(
            {"SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "0"}
        ).max_concurrent_transforms
        == 8
    )


def test_every_wrong_value_is_named_at_once():
    """One refusal names each variable, its value and what was expected."""
    environ = {
        "TOP_K": "many",
        "SAGEMAKER_BIND_TO_PORT": "70000",
        "SAGEMAKER_BATCH_STRATEGY": "ALL_RECORDS",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "101",
    }

    with pytest.raises(SettingsError) as refusal:
        Settings.from_environment(environ)

    for name, value in environ.items():
        assert f"{name} is {value!r}, expected" in str(refusal.value)


@pytest.mark.parametrize("value", ["1_0", " 7", "+7", "\u0667", "7" * 5000])
def test_only_plain_digits_are_a_number(value):
    """What is no number of JSON's is a mistake; a long one is not quoted whole."""
    with pytest.raises(SettingsError, match="TOP_K is ") as refusal:
        Settings.from_environment({"TOP_K": value})
    assert len(str(refusal.value)) < 300


def test_a_concurrency_and_a_payload_above_100_mb_are_refused_together():
    """SageMaker refuses such a job; a container on its own would promise memory it lacks."""
    environ = {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "30", "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "4"}

    with pytest.raises(SettingsError, match="is 4 x 30, expected 100 at most"):
        Settings.from_environment(environ)


def test_more_gpus_are_offered_more_concurrency():
    """Each GPU has its worker, which eight requests keep busy; 100 MB in flight is the limit."""
    assert Settings.from_environment({}, gpus=2).max_concurrent_transforms == 16
    assert Settings.from_environment({}, gpus=8).max_concurrent_transforms == 100 // 6
