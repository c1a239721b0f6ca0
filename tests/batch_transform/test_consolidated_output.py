"""Consolidation: every packed record answered exactly once, or no consolidated file at all."""

import csv
import io
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from botocore.exceptions import EndpointConnectionError

from batch_transform import consolidated_output
from batch_transform.aws import AwsClients
from batch_transform.consolidated_output import check_complete, consolidate
from batch_transform.errors import IncompleteOutput, InvalidSettings, JobFailed
from batch_transform.input_documents import find_input
from batch_transform.input_manifest import manifest_of, write_manifest
from batch_transform.job_account import JobAccount, account_of
from batch_transform.job_heirs import add_heir
from batch_transform.job_logs import WorkDone
from batch_transform.job_outcome import finish_job
from batch_transform.job_progress import JobProgress, follow_progress
from batch_transform.job_record import JobRecord, read_job_record, write_job_record
from batch_transform.naming import JobFolder, S3Uri
from batch_transform.outages import Patience
from batch_transform.output_formats import COLUMNS
from batch_transform.packed_input import pack
from batch_transform.prices import HourlyPrice
from batch_transform.results_wanted import ResultsWanted
from batch_transform.s3_objects import list_objects, put_object, read_lines
from batch_transform.shard_outputs import PackedJob
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
    label, _, score = record["text"].partition(" ")
    best = {"class": label.title(), "score": float(score or 0.75)}
    top = [best, {"class": "Other", "score": round(1 - best["score"], 4)}]
    return identity | {"predictions": {"predicted_class": best["class"], "top_predictions": top}}


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

    def answer_all(self) -> None:
        """Answer every shard rightly."""
        for index in range(len(self.record.packed.shards)):
            self.write(self.lines(index), index)

    def consolidate(self, *, is_partial: bool = False, **wanted: Any) -> dict[str, Any]:
        """Run what is tested."""
        packed_job = PackedJob(self.folder, self.record)
        return consolidate(
            self.clients.s3,
            packed_job,
            JOB,
            ResultsWanted(**wanted),
            [account_of(JOB, WorkDone(500, 50.0), HourlyPrice(2.0, "told by the test"))],
            is_partial=is_partial,
        )

    def predictions(self) -> bytes:
        """Return the consolidated file."""
        return self.read("predictions.json")

    def read(self, name: str) -> bytes:
        """Return a file of the job's folder."""
        place = self.folder.root.child(name)
        return self.clients.s3.get_object(Bucket=place.bucket, Key=place.key)["Body"].read()

    def left(self) -> set[str]:
        """Return the consolidated files that exist."""
        keys = (found.uri.key for found in list_objects(self.clients.s3, self.folder.root))
        results = {"predictions.json", "errors.jsonl", "review.csv", "report.html", "summary.json"}
        return {key.rsplit("/", 1)[-1] for key in keys} & results


@pytest.fixture
def packed(clients: AwsClients, documents: Any, folder: JobFolder) -> Packed:
    """Five documents, packed into one shard."""
    uri = documents.put(a=b"debt\n\nfamily\ndebt\n", b=b"?\ndebt\n")
    return pack_job(clients, uri, folder)


@pytest.fixture
def packed_twice(clients: AwsClients, documents: Any, folder: JobFolder) -> Packed:
    """Two shards of documents, and lines that were not sent."""
    odd = b"caf\xe9\n\ndebt 0.55\nfamily 0.51\n=cmd 0.52\n?\n"
    padding = b"debt" + b" " * 2000 + b"0.9\n"
    return pack_job(clients, documents.put(odd=odd, padding=padding * 50), folder)


def pack_job(clients: AwsClients, uri: S3Uri, folder: JobFolder) -> Packed:
    """Pack what lies under *uri*."""
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
    assert summary["objects_left_out"] == {}
    assert summary["billed_seconds"] == 180
    times = (summary["created_at"], summary["ended_at"])
    assert times == ("2026-11-20T12:00:00+00:00", "2026-11-20T12:01:30+00:00")


def test_the_summary_says_what_it_took(packed: Packed) -> None:
    """Tokens, their speed, and dollars with whoever told the price: two machines, 90 seconds."""
    packed.write(packed.lines())
    summary = packed.consolidate()
    assert (summary["tokens"], summary["tokens_per_second"]) == (500, 50.0)
    assert (summary["dollars"], summary["price_basis"]) == (0.1, "told by the test")


def test_what_has_no_class_stands_in_a_file_of_its_own(packed_twice: Packed) -> None:
    """Errors of the container and lines that were never sent; a blank line is no error."""
    packed_twice.answer_all()
    packed_twice.consolidate()
    errors = [json.loads(line) for line in packed_twice.read("errors.jsonl").splitlines()]
    assert [(e["source"], e["line"], e["error"]["code"]) for e in errors] == [
        ("odd.txt", 6, "EmptyDocument"),
        ("odd.txt", 1, "InvalidEncoding"),
    ]


def test_a_person_is_told_what_to_read_first(packed_twice: Packed) -> None:
    """The lowest margin first, below the limit only; no cell of the table can be a formula."""
    packed_twice.answer_all()
    summary = packed_twice.consolidate(review_below=0.08)
    rows = list(csv.DictReader(io.StringIO(packed_twice.read("review.csv").decode())))
    assert [(row["source"], row["line"], row["predicted_class"]) for row in rows] == [
        ("odd.txt", "4", "Family"),
        ("odd.txt", "5", "'=Cmd"),
    ]
    assert [row["text"] for row in rows] == ["", ""]
    assert summary["review"] == {"below": 0.08, "documents": 2, "listed": 2}


def test_no_list_is_left_where_nothing_is_on_it(packed: Packed) -> None:
    """Nor one of an earlier consolidation that asked for another limit."""
    packed.write([line.replace(b"?", b"!") for line in packed.lines()])
    packed.consolidate(review_below=1.0)
    assert "review.csv" in packed.left()
    packed.consolidate(review_below=0.0)
    assert "review.csv" not in packed.left()


def test_results_hold_texts_only_where_they_are_asked_for(packed_twice: Packed) -> None:
    """The texts are confidential; asked for, each stands beside its own answer."""
    packed_twice.answer_all()
    packed_twice.consolidate()
    assert b'"text"' not in packed_twice.predictions()
    packed_twice.consolidate(with_text=True)
    texts = {(a["source"], a["line"]): a["text"] for a in json.loads(packed_twice.predictions())}
    assert texts["odd.txt", 3] == "debt 0.55"
    assert texts["odd.txt", 6] == "?"
    assert b"family 0.51" in packed_twice.read("report.html")


def test_the_other_forms_hold_the_same_answers(packed_twice: Packed) -> None:
    """One JSON object a line, or one row a record with the columns' names above."""
    packed_twice.answer_all()
    packed_twice.consolidate()
    expected = json.loads(packed_twice.predictions())
    packed_twice.consolidate(output_format="jsonl")
    assert "predictions.json" not in packed_twice.left()
    lines = packed_twice.read("predictions.jsonl").splitlines()
    assert [json.loads(line) for line in lines] == expected
    packed_twice.consolidate(output_format="csv")
    rows = list(csv.DictReader(io.StringIO(packed_twice.read("predictions.csv").decode())))
    assert [(row["source"], int(row["line"])) for row in rows] == [
        (answer["source"], answer["line"]) for answer in expected
    ]
    assert [row["error_code"] for row in rows if row["line"] == "6"] == ["EmptyDocument", ""]


def test_parquet_holds_the_same_answers(packed_twice: Packed) -> None:
    """Read back as columns, where pyarrow is installed."""
    parquet = pytest.importorskip("pyarrow.parquet")
    packed_twice.answer_all()
    packed_twice.consolidate(output_format="parquet")
    rows = parquet.read_table(io.BytesIO(packed_twice.read("predictions.parquet"))).to_pylist()
    packed_twice.consolidate()
    expected = json.loads(packed_twice.predictions())
    assert [(row["source"], row["line"]) for row in rows] == [
        (answer["source"], answer["line"]) for answer in expected
    ]


def test_parts_are_taken_only_where_they_are_asked_for(packed_twice: Packed) -> None:
    """The lost shard is named with its first and last document, and nobody calls it complete."""
    packed_twice.write(packed_twice.lines(0), 0)
    with pytest.raises(
        IncompleteOutput,
        match=r"shard-00001\.jsonl \(padding\.txt line \d+ to padding\.txt line 50\)",
    ) as told:
        packed_twice.consolidate()
    assert "--resume job-1\n" in str(told.value)
    assert "--partial --job-name job-1" in str(told.value)
    assert packed_twice.left() == set()
    summary = packed_twice.consolidate(is_partial=True)
    assert summary["documents"] == packed_twice.record.packed.shards[0].records
    with pytest.raises(IncompleteOutput, match=r"--resume job-1"):
        check_complete(summary)


def test_a_shard_that_is_wrong_is_no_part_of_a_partial_result(packed_twice: Packed) -> None:
    """What cannot be verified is left out whole, not trusted in parts."""
    packed_twice.write(packed_twice.lines(0), 0)
    packed_twice.write(packed_twice.lines(1)[1:], 1)
    summary = packed_twice.consolidate(is_partial=True)
    assert "not answered: 1" in summary["faults"]["shard-00001.jsonl"]
    assert summary["documents"] == packed_twice.record.packed.shards[0].records


@pytest.mark.parametrize("output_format", ["json", "jsonl", "csv"])
def test_a_partial_result_of_nothing_is_a_file_all_the_same(
    packed: Packed, output_format: str
) -> None:
    """The summary names it; whoever reads it finds no answers."""
    summary = packed.consolidate(is_partial=True, output_format=output_format)
    assert (summary["documents"], summary["is_complete"]) == (0, False)
    name = summary["predictions"].rpartition("/")[2]
    header = ",".join(COLUMNS).encode() + b"\r\n"
    assert packed.read(name) == {"json": b"[]\n", "jsonl": b"", "csv": header}[output_format]


def test_a_failed_job_names_what_it_lost_and_how_to_go_on(packed_twice: Packed) -> None:
    """SageMaker's reason, the shard with its first and last document, and both ways out."""
    packed_twice.write(packed_twice.lines(0), 0)
    write_job_record(packed_twice.clients.s3, packed_twice.folder, packed_twice.record)
    failed = replace(
        JOB,
        status="Failed",
        failure_reason="AlgorithmError: see the log",
        output_uri=packed_twice.folder.shard_outputs,
    )
    with pytest.raises(JobFailed) as told:
        finish_job(packed_twice.clients.s3, failed)
    message = str(told.value)
    assert "AlgorithmError" in message
    assert "answered and kept: 1 of 2 shards" in message
    assert "shard-00001.jsonl (padding.txt line" in message
    assert "--resume job-1" in message
    assert "--partial" in message
    partial = finish_job(packed_twice.clients.s3, failed, is_partial=True)
    assert partial["status"] == "Failed"
    assert list(list_objects(packed_twice.clients.s3, packed_twice.folder.shards)) != []


@pytest.mark.parametrize(("shards", "told"), [(10, None), (15, "and 5 more")])
def test_a_failed_job_says_how_many_shards_it_does_not_name(
    packed: Packed, shards: int, told: str | None
) -> None:
    """Ten are named; whoever reads of ten of fifteen would think that these are all."""
    one = packed.record.packed.shards[0]
    names = [replace(one, name=f"shard-{index:05d}.jsonl") for index in range(shards)]
    record = replace(packed.record, packed=replace(packed.record.packed, shards=names))
    write_job_record(packed.clients.s3, packed.folder, record)
    failed = replace(JOB, status="Failed", output_uri=packed.folder.shard_outputs)
    with pytest.raises(JobFailed, match=f"0 of {shards} shards") as failure:
        finish_job(packed.clients.s3, failed)
    lines = str(failure.value).splitlines()
    assert sum("shard-000" in line for line in lines) == 10
    assert next((line for line in lines if line.startswith("and ")), None) == told


def test_a_job_that_was_stopped_says_that_somebody_did_it(packed: Packed) -> None:
    """SageMaker gives no reason then; where every shard was answered before, none is named."""
    packed.write(packed.lines())
    write_job_record(packed.clients.s3, packed.folder, packed.record)
    stopped = replace(JOB, status="Stopped", output_uri=packed.folder.shard_outputs)
    with pytest.raises(JobFailed, match="job-1 is Stopped: somebody asked for it") as failure:
        finish_job(packed.clients.s3, stopped)
    assert "answered and kept: 1 of 1 shard\nlook what happened" in str(failure.value)


@pytest.mark.parametrize("is_complete", [True, False])
def test_a_failed_job_names_the_one_that_answered_the_rest(
    packed_twice: Packed, is_complete: bool
) -> None:
    """Resuming it again would find nothing to do, or another's shards gone."""
    write_job_record(packed_twice.clients.s3, packed_twice.folder, packed_twice.record)
    add_heir(packed_twice.clients.s3, packed_twice.folder, "job-2")
    place = packed_twice.folder.beside("job-2").summary
    summary = json.dumps({"is_complete": is_complete}).encode()
    put_object(packed_twice.clients.s3, place, summary, "application/json")
    failed = replace(JOB, status="Failed", output_uri=packed_twice.folder.shard_outputs)
    with pytest.raises(JobFailed) as told:
        finish_job(packed_twice.clients.s3, failed)
    assert ("--resume job-1" in str(told.value)) != is_complete
    assert ("job-2 went on with it and has all answers" in str(told.value)) == is_complete
    with pytest.raises(IncompleteOutput, match="2 shards not answered") as told:
        finish_job(packed_twice.clients.s3, replace(failed, status="Completed"))
    assert ("job-2 went on with it and has all answers" in str(told.value)) == is_complete


def test_every_wrong_shard_is_named(packed_twice: Packed) -> None:
    """Not the first alone: whoever mends one would otherwise meet the next."""
    packed_twice.write(packed_twice.lines(0)[1:], 0)
    packed_twice.write(packed_twice.lines(1)[1:], 1)
    with pytest.raises(IncompleteOutput, match=r"(?s)2 shards.*shard-00000.*shard-00001"):
        packed_twice.consolidate()


@pytest.mark.parametrize("keeps_shards", [False, True])
def test_packed_texts_go_once_every_answer_is_verified(
    packed_twice: Packed, keeps_shards: bool
) -> None:
    """They are confidential; consolidating again needs them no more."""
    packed_twice.answer_all()
    write_job_record(packed_twice.clients.s3, packed_twice.folder, packed_twice.record)
    job = replace(JOB, output_uri=packed_twice.folder.shard_outputs)
    for _ in range(2):
        finish_job(packed_twice.clients.s3, job, {"keeps_shards": keeps_shards})
        shards = list(list_objects(packed_twice.clients.s3, packed_twice.folder.shards))
        assert bool(shards) == keeps_shards
    if not keeps_shards:
        with pytest.raises(InvalidSettings, match="are deleted"):
            finish_job(packed_twice.clients.s3, job, {"with_text": True})


def ended(packed: Packed, **wanted: Any) -> TransformJob:
    """Answer everything and return the job, whose record wants these results."""
    packed.answer_all()
    packed.record = replace(packed.record, wanted=ResultsWanted(**wanted))
    write_job_record(packed.clients.s3, packed.folder, packed.record)
    return replace(JOB, output_uri=packed.folder.shard_outputs)


def test_results_are_what_the_jobs_start_asked_for(packed_twice: Packed) -> None:
    """Whoever consolidates it, on whatever machine, deletes no shard that was to stay."""
    job = ended(packed_twice, output_format="jsonl", with_text=True, keeps_shards=True)
    finish_job(packed_twice.clients.s3, job)
    assert b'"text": "debt 0.55"' in packed_twice.read("predictions.jsonl")
    assert list(list_objects(packed_twice.clients.s3, packed_twice.folder.shards))
    finish_job(packed_twice.clients.s3, job, {"keeps_shards": False})
    assert not list(list_objects(packed_twice.clients.s3, packed_twice.folder.shards))


def test_complete_results_stay_unless_others_are_asked_for(packed_twice: Packed) -> None:
    """Whoever only fetches them must not take texts out that nobody can put back."""
    s3, job = packed_twice.clients.s3, ended(packed_twice)
    made = finish_job(s3, job, {"with_text": True, "review_below": 0.9})
    page = packed_twice.read("report.html")
    assert finish_job(s3, job) == made
    assert finish_job(s3, job, {"with_text": True}) == made
    assert packed_twice.read("report.html") == page
    with pytest.raises(InvalidSettings, match="--without-text"):
        finish_job(s3, job, {"output_format": "csv"})
    assert b'"text": "debt 0.55"' in packed_twice.predictions()
    finish_job(s3, job, {"output_format": "csv", "with_text": False})
    assert b"debt 0.55" not in packed_twice.read("predictions.csv")
    assert "predictions.json" not in packed_twice.left()


def test_results_whose_answers_were_removed_are_made_again(packed_twice: Packed) -> None:
    """The summary alone is no result."""
    job = ended(packed_twice)
    place = S3Uri.parse(finish_job(packed_twice.clients.s3, job)["predictions"])
    packed_twice.clients.s3.delete_object(Bucket=place.bucket, Key=place.key)
    finish_job(packed_twice.clients.s3, job)
    assert len(json.loads(packed_twice.predictions())) == packed_twice.record.packed.documents


def test_no_summary_speaks_of_answers_that_were_replaced(
    packed_twice: Packed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between new answers and their summary, a consolidation is made again."""
    s3, job = packed_twice.clients.s3, ended(packed_twice)
    finish_job(s3, job, {"with_text": True, "keeps_shards": True})
    with monkeypatch.context() as patch:
        patch.setattr(consolidated_output, "report_page", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            finish_job(s3, job, {"with_text": False})
    assert "summary.json" not in packed_twice.left()
    summary = finish_job(s3, job)
    assert (summary["results"]["with_text"], summary["is_complete"]) == (False, True)


def test_an_input_without_a_class_keeps_its_shards_and_is_no_success(packed: Packed) -> None:
    """All answered, but by errors alone: the texts are needed again."""
    job = ended(packed)
    error = {"code": "InternalError", "message": "x"}
    lines = [json.loads(line) for line in packed.lines()]
    identities = ({"source": line["source"], "line": line["line"]} for line in lines)
    packed.write([json.dumps(identity | {"error": error}).encode() for identity in identities])
    summary = finish_job(packed.clients.s3, job)
    assert (summary["is_complete"], summary["errors"]) == (True, {"InternalError": len(lines)})
    assert list(list_objects(packed.clients.s3, packed.folder.shards))
    with pytest.raises(IncompleteOutput, match=r"none of 5 documents got a class.*--clean job-1"):
        check_complete(summary)


@pytest.mark.parametrize(
    "changes",
    [
        {"predictions": None},
        {"predictions": {}},
        {"predictions": {"top_predictions": []}},
        {"predictions": {"top_predictions": "x"}},
        {"predictions": {"top_predictions": [{"class": "Debt", "score": float("nan")}]}},
        {"predictions": {"top_predictions": [{"class": "Debt", "score": "0.5"}]}},
        {"predictions": {"top_predictions": [{"class": 1, "score": 0.5}]}},
        {"predictions": {"top_predictions": [{"class": "Debt", "score": 10**400}]}},
        {"tokens": float("inf")},
        {"error": "boom"},
        {"error": {"code": "InternalError"}},
        {"source": {"x": 1}},
        {"line": "1"},
    ],
)
def test_a_line_of_another_shape_is_a_fault_of_its_shard(
    packed_twice: Packed, changes: dict[str, Any]
) -> None:
    """It is told in a sentence, and the other shards can be had."""
    packed_twice.answer_all()
    first, *others = packed_twice.lines(1)
    packed_twice.write([json.dumps(json.loads(first) | changes).encode(), *others], 1)
    with pytest.raises(IncompleteOutput, match="holds a line that is no answer of the container"):
        packed_twice.consolidate()
    summary = packed_twice.consolidate(is_partial=True)
    assert list(summary["faults"]) == ["shard-00001.jsonl"]
    json.loads(packed_twice.predictions(), parse_constant=pytest.fail)


def test_consolidating_again_changes_nothing(packed: Packed) -> None:
    """A second run, from any machine, writes the same bytes."""
    packed.write(packed.lines())
    packed.consolidate()
    first = packed.predictions()
    packed.consolidate()
    assert packed.predictions() == first


def resumed(packed: Packed) -> Packed:
    """Return the job that goes on with *packed*, in a folder of its own beside it."""
    record = replace(packed.record, job_name="job-2", resumes=["job-1"])
    return Packed(packed.clients, packed.folder.beside("job-2"), record)


def test_an_outage_anywhere_costs_no_answer(packed_twice: Packed) -> None:
    """The network dies before each call in turn; the results are those of a network that lives."""
    packed_twice.answer_all()
    expected = (packed_twice.consolidate(), packed_twice.predictions())
    events, told, calls = packed_twice.clients.s3.meta.events, [], Counter()

    def lose_network(**_: Any) -> None:
        calls["made"] += 1
        if calls["made"] > calls["bearable"]:
            raise EndpointConnectionError(endpoint_url="https://s3.us-east-1.amazonaws.com")

    def wait(_seconds: float) -> None:
        calls.update(bearable=1, made=-calls["made"])

    events.register("before-call.s3", lose_network)
    try:
        patience = Patience(tell=told.append, sleep=wait, clock=lambda: 0.0)
        summary = patience.outlast(packed_twice.consolidate)
    finally:
        events.unregister("before-call.s3", lose_network)
    assert (summary, packed_twice.predictions()) == expected
    assert (len(told), calls["bearable"] > 5) == (1, True)


def test_a_resumed_job_tells_its_own_work_from_what_it_goes_on_with(packed_twice: Packed) -> None:
    """Documents and bill of each, sums over both; of the speed nothing but its own."""
    packed_twice.write(packed_twice.lines(0), 0)
    first, second = (shard.records for shard in packed_twice.record.packed.shards)
    heir = resumed(packed_twice)
    heir.write(packed_twice.lines(1), 1)
    again = replace(JOB, name="job-2", instance_count=1, output_uri=heir.folder.shard_outputs)
    accounts = [
        account_of(JOB, WorkDone(500, 50.0), HourlyPrice(2.0, "told by the test")),
        account_of(again, WorkDone(80, 40.0), HourlyPrice(2.0, "told by the test")),
    ]
    packed_job = PackedJob(heir.folder, heir.record)
    summary = consolidate(heir.clients.s3, packed_job, again, ResultsWanted(), accounts)
    told = [(job["job_name"], job["documents"], job["dollars"]) for job in summary["jobs"]]
    assert told == [("job-1", first, 0.1), ("job-2", second, 0.05)]
    assert (summary["billed_seconds"], summary["dollars"], summary["tokens"]) == (270, 0.15, 580)
    assert (summary["documents"], summary["tokens_per_second"]) == (first + second, 40.0)
    unknown = [JobAccount("job-1"), accounts[1]]
    summary = consolidate(heir.clients.s3, packed_job, again, ResultsWanted(), unknown)
    assert (summary["dollars"], summary["jobs"][1]["dollars"]) == (None, 0.05)


def test_the_progress_of_a_resumed_job_is_its_own(packed_twice: Packed) -> None:
    """Neither its speed nor its time left is flattered by answers that were there before it."""
    packed_twice.write(packed_twice.lines(0), 0)
    heir = resumed(packed_twice)
    s3, folder = heir.clients.s3, heir.folder
    write_job_record(s3, folder, heir.record)
    write_manifest(s3, folder.manifest, manifest_of(packed_twice.folder.shards, ["shard-00001"]))
    description = {
        "TransformJobName": "job-2",
        "TransformJobStatus": "Completed",
        "ModelName": "model-1",
        "CreationTime": STARTED,
        "TransformStartTime": STARTED,
        "TransformEndTime": STARTED + timedelta(seconds=10),
        "TransformInput": {"DataSource": {"S3DataSource": {"S3Uri": str(folder.manifest)}}},
        "TransformOutput": {"S3OutputPath": str(folder.shard_outputs)},
        "TransformResources": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
    }
    sagemaker = SimpleNamespace(describe_transform_job=lambda **_: description)
    clients = SimpleNamespace(s3=s3, sagemaker=sagemaker)

    def look() -> JobProgress:
        (seen,) = follow_progress(clients, "job-2", Patience(tell=pytest.fail))
        return seen

    assert (look().outputs, look().outputs_expected, look().documents) == (0, 1, 0)
    heir.write(packed_twice.lines(1), 1)
    records = heir.record.packed.shards[1].records
    assert (look().outputs, look().documents) == (1, records)
    assert look().documents_per_second(STARTED) == records / 10


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


@pytest.mark.parametrize("name", ["shard-00099.jsonl.out", "again/shard-00000.jsonl.out"])
def test_an_output_that_is_nobodys_is_named(packed: Packed, name: str) -> None:
    """Of no shard, or a second one of a shard; the results are then not known to be the job's."""
    packed.answer_all()
    place = packed.folder.shard_outputs.child(name)
    put_object(packed.clients.s3, place, b"{}\n", "text/plain")
    with pytest.raises(IncompleteOutput, match=rf"1 output that no packed shard has: .*{name}"):
        packed.consolidate()


def test_a_shard_without_output_is_named(packed: Packed) -> None:
    """SageMaker gives a failed object no output."""
    with pytest.raises(IncompleteOutput, match=r"1 shard not answered.*\n.*shard-00000\.jsonl"):
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
