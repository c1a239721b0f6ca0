"""The two houses share no code, only a wire: here their two ends are held together."""

import sys
from pathlib import Path

import pytest

from batch_transform.packed_input import SHARD_CONTENT_TYPE, encode_record
from batch_transform.settings import environment_problems
from batch_transform.text_lines import Document
from batch_transform.transform_profiles import (
    MAX_REQUEST_MEMORY_IN_MB,
    OPTIMIZED,
    PROFILES,
    TransformProfile,
    container_environment,
)
from fine_tuning import problem_types

sys.path.append(str(Path(__file__).parents[1] / "custom_container"))

from src import documents, errors, heads, records, settings


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_the_container_reads_and_writes_what_a_profile_asks_for(profile: TransformProfile) -> None:
    """Content type, accept and batch strategy of either job mean something to the container."""
    assert profile.content_type in records.READERS
    assert profile.accept in records.WRITERS
    assert profile.batch_strategy in settings.BATCH_STRATEGIES


def test_both_houses_know_the_same_limit_of_request_memory() -> None:
    """SageMaker's 100 MB stand in either house, and are the same there."""
    assert settings.MAX_CONCURRENT_PAYLOAD_IN_MB == MAX_REQUEST_MEMORY_IN_MB


def test_both_houses_give_a_label_from_the_same_score_on() -> None:
    """Where config.json has no threshold, what is measured is what is served."""
    assert heads.DEFAULT_THRESHOLD == problem_types.DEFAULT_THRESHOLD


def test_a_container_on_a_gpu_type_understands_that_it_must_use_the_gpu() -> None:
    """The container reads what the job's Environment says, by that name and in that spelling."""
    for instance_type, is_gpu_type in (("ml.g5.xlarge", True), ("ml.m5.xlarge", False)):
        told = settings.Settings.from_environment(container_environment(instance_type))
        assert told.require_gpu is is_gpu_type


@pytest.mark.parametrize(
    "name", ["TOP_K", "MAX_TOKENS_PER_MICRO_BATCH", "INFERENCE_PRECISION", "REQUIRE_GPU", "OTHER"]
)
@pytest.mark.parametrize(
    "value",
    [
        *("", " 5 ", "1_0", "٣", "0", "1", "1000", "1001", "16777216", "16777217", "1.5", "-1"),
        *(*settings.PRECISIONS, "FP32", "true", "True", "false"),
    ],
)
def test_a_variable_is_refused_here_if_the_container_would_end_for_it(
    name: str, value: str
) -> None:
    """Before a machine is paid for, and neither more nor less than there."""
    try:
        settings.Settings.from_environment({name: value})
        is_taken = True
    except errors.SettingsError:
        is_taken = False
    assert (list(environment_problems({name: value})) == []) is is_taken


def test_shards_are_of_the_type_that_the_job_announces() -> None:
    """What is packed is what the container is told to expect."""
    assert SHARD_CONTENT_TYPE == OPTIMIZED.content_type == records.JSON_LINES


def test_a_packed_document_reaches_the_container_with_its_identity() -> None:
    """Source and line are echoed; the text is what was in the file, whatever it holds."""
    document = Document("kläger/fall 1.txt", 3, 'He said "no"\u2028\x85\x0b\U0001f4b6')
    (record,) = records.read_records(encode_record(document), SHARD_CONTENT_TYPE)
    assert isinstance(record, documents.Document)
    assert record.text == document.text
    assert record.echo == {"source": document.source, "line": document.line}
