"""Consolidation: every packed record answered exactly once, or no consolidated file at all."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from batch_transform.aws import AwsClients
from batch_transform.consolidated_output import consolidate
from batch_transform.errors import IncompleteOutput
from batch_transform.input_documents import find_input
from batch_transform.job_record import JobRecord, read_job_record, write_job_record
from batch_transform.naming import JobFolder, S3Uri
from batch_transform.packed_input import pack
from batch_transform.s3_objects import list_objects, read_lines
from batch_transform.transform_job import TransformJob

STARTED = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
JOB = TransformJob(
    name="job-1",
    status="Completed",
    failure_reason=None,
    model_name="model-1",
    input_uri=S3Uri("b", "in/"),
    output_uri=S3Uri("b", "out/"),
    instance_type="ml.g5.xlarge",
    instance_count=2,
    created_at=STARTED,
    started_at=STARTED,
    ended_at=STARTED + timedelta(seconds=90),
)


def answer(record: dict[str, Any]) -> dict[str, Any]:
    """Answer a packed record as the container does: an error for a question mark."""
    identity = {"source": record["source"], "line": record["line"]}
    if record["text"] == "?":
        return identity | {"error": {"code": "EmptyDocument", "message": "no words"}}
    best = {"class": record["text"].title(), "score": 0.75}
    return identity | {"predictions": {"predicted_class": best["class"], "top_predictions": [best]}}


class Packed:
    """A packed job whose shards can be answered, rightly or wrongly."""

    def __init__(self, clients: AwsClients, folder: JobFolder, record: JobRecord) -> None:
        self.clients, self.folder, self.record = clients, folder, record

    def lines(self, index: int = 0) -> list[bytes]:
        """Return the right answers to one shard."""
        shard = self.folder.shards.child(self.record.packed.shards[index].name)
        records = map(json.loads, read_lines(self.clients.s3, shard))
        return [json.dumps(answer(record)).encode() for record in records]

    def write(self, lines: list[bytes], index: int = 0, prefix: str = "") -> None:
        """Write a shard's output as AssembleWith=Line does."""
        name = prefix + self.record.packed.shards[index].name + ".out"
        place = self.folder.shard_outputs.child(name)
        body = b"".join(line + b"\n" for line in lines)
        self.clients.s3.put_object(Bucket=place.bucket, Key=place.key, Body=body)

    def consolidate(self) -> dict[str, Any]:
        """Run what is tested."""
        return consolidate(self.clients.s3, self.folder, self.record, JOB)

    def predictions(self) -> bytes:
        """Return the consolidated file."""
        place = self.folder.predictions()
        return self.clients.s3.get_object(Bucket=place.bucket, Key=place.key)["Body"].read()

    def left(self) -> set[str]:
        """Return the consolidated files that exist."""
        keys = (found.uri.key for found in list_objects(self.clients.s3, self.folder.root))
        return {key.rsplit("/", 1)[-1] for key in keys} & {"predictions.json", "summary.json"}


@pytest.fixture
def packed(clients: AwsClients, documents: Any, folder: JobFolder) -> Packed:
    """Five documents, packed into one shard."""
    uri = documents.put(a=b"debt\n\nfamily\ndebt\n", b=b"?\ndebt\n")
    found = find_input(clients.s3, uri)
    record = JobRecord(
        job_name="job-1",
        profile="optimized",
        model_name="model-1",
        input_uri=str(uri),
        created_at=STARTED.isoformat(),
        packed=pack(
            clients.s3,
            found,
            folder,
            instance_count=1,
            max_payload_in_mb=6,
            on_file=lambda _: None,
        ),
    )
    return Packed(clients, folder, record)


def test_the_consolidated_file_is_json_with_one_record_a_line(packed: Packed) -> None:
    """Any JSON reader reads it whole; any reader of lines reads it record by record."""
    packed.write(packed.lines())
    packed.consolidate()
    text = packed.predictions().decode()
    answers = json.loads(text)
    assert [(a["source"], a["line"]) for a in answers] == [
        ("a.txt", 1),
        ("a.txt", 3),
        ("a.txt", 4),
        ("b.txt", 1),
        ("b.txt", 2),
    ]
    assert [json.loads(line.rstrip(",")) for line in text.splitlines()[1:-1]] == answers


def test_the_summary_counts_what_was_answered(packed: Packed) -> None:
    """Documents, errors by code, classes with their confidence, and what is billed."""
    packed.write(packed.lines())
    summary = packed.consolidate()
    assert summary["documents"] == 5
    assert summary["answered"] == 4
    assert summary["errors"] == {"EmptyDocument": 1}
    assert summary["classes"] == {
        "Debt": {"documents": 3, "mean_confidence": 0.75},
        "Family": {"documents": 1, "mean_confidence": 0.75},
    }
    assert summary["left_out"] == {"EmptyDocument": 1}
    assert summary["billed_seconds"] == 180


def test_consolidating_again_changes_nothing(packed: Packed) -> None:
    """A second run, from any machine, writes the same bytes."""
    packed.write(packed.lines())
    packed.consolidate()
    first = packed.predictions()
    packed.consolidate()
    assert packed.predictions() == first


def test_an_output_is_found_by_the_end_of_its_key(packed: Packed) -> None:
    """SageMaker does not document what it writes before the name of the shard."""
    packed.write(packed.lines(), prefix="some/folder/")
    assert packed.consolidate()["documents"] == 5


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda lines: lines[1:], r"not answered: 1 \(a\.txt line 1\)"),
        (lambda lines: [*lines, lines[0]], r"more than once: 1 \(a\.txt line 1\)"),
        (lambda lines: [lines[0], lines[0], *lines[2:]], r"not answered: 1 \(a\.txt line 3\)"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "not in its place"),
        (
            lambda lines: [lines[0].replace(b"a.txt", b"z.txt"), *lines[1:]],
            r"never asked.*z\.txt line 1",
        ),
        (lambda lines: [b"<html>", *lines[1:]], "no answer of the container"),
        (lambda lines: [b"{}", *lines[1:]], "no answer of the container"),
        (lambda lines: ["not", *lines][:0], r"not answered: 5"),
    ],
)
def test_anything_but_one_answer_each_is_refused(packed: Packed, damage: Any, told: str) -> None:
    """What is missing, double, foreign or misplaced is named, and no file is left to be trusted."""
    packed.write(damage(packed.lines()))
    with pytest.raises(IncompleteOutput, match=told):
        packed.consolidate()
    assert packed.left() == set()


def test_a_shard_without_output_is_named(packed: Packed) -> None:
    """SageMaker gives a failed object no output."""
    with pytest.raises(IncompleteOutput, match=r"1 of 1 shards .* shard-00000\.jsonl"):
        packed.consolidate()
    assert packed.left() == set()


def test_the_record_of_a_job_is_read_back_as_it_was(packed: Packed) -> None:
    """Whoever finds the folder later has everything."""
    write_job_record(packed.clients.s3, packed.folder, packed.record)
    assert read_job_record(packed.clients.s3, packed.folder) == packed.record


@pytest.mark.parametrize("body", [None, b"{", b"{}", b'{"packed": {}}'])
def test_a_lost_or_damaged_record_is_refused(packed: Packed, body: bytes | None) -> None:
    """Without it nobody can tell what was asked."""
    place = packed.folder.record
    if body is not None:
        packed.clients.s3.put_object(Bucket=place.bucket, Key=place.key, Body=body)
    with pytest.raises(IncompleteOutput, match=r"job\.json"):
        read_job_record(packed.clients.s3, packed.folder)
