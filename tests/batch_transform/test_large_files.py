"""Large files go as they are, and their answers get their names from file and place."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from batch_transform.aws import AwsClients
from batch_transform.errors import IncompleteOutput
from batch_transform.input_documents import InputFolder, find_input
from batch_transform.job_outcome import finish_job
from batch_transform.job_record import JobRecord, write_job_record
from batch_transform.large_files import LARGE_FILE_BYTES, are_all_large, take_large_files
from batch_transform.naming import JobFolder
from batch_transform.packed_input import PackedInput
from batch_transform.shard_outputs import PackedJob
from batch_transform.transform_job import TransformJob

ANSWER = {
    "predictions": {"predicted_class": "Debt", "top_predictions": [{"class": "Debt", "score": 0.9}]}
}
ERROR = {"error": {"code": "InternalError", "message": "no numbers"}}


def take(clients: AwsClients, found: InputFolder) -> PackedInput | None:
    """Count the lines of what was found."""
    return take_large_files(clients.s3, found, max_payload_in_mb=1, on_file=lambda _: None)


@pytest.fixture
def found(clients: AwsClients, documents: Any) -> InputFolder:
    """Two files, one of them in a folder of its own, with the same name."""
    documents.put_key("input/big.txt", b"\xef\xbb\xbfone\ntwo\r\nthree\n")
    documents.put_key("input/sub/big.txt", "café\nlast".encode())
    return find_input(clients.s3, documents.uri)


def test_only_an_input_of_large_files_goes_as_it_is(found: InputFolder) -> None:
    """One small or gzipped file among them, and all are packed: one job reads one kind."""
    large = [replace(file, size_in_bytes=LARGE_FILE_BYTES) for file in found.files]
    assert are_all_large(replace(found, files=large))
    assert not are_all_large(found)
    assert not are_all_large(replace(found, files=[*large, found.files[0]]))
    gzipped = replace(large[0], source="big.txt.gz")
    assert not are_all_large(replace(found, files=[*large, gzipped]))


def test_every_line_counts_since_every_line_is_answered(
    clients: AwsClients, found: InputFolder
) -> None:
    """Each is a document, so that their number is known whatever SageMaker does with others."""
    taken = take(clients, found)
    assert [(shard.name, shard.records) for shard in taken.shards] == [
        ("big.txt", 3),
        ("sub/big.txt", 2),
    ]


@pytest.mark.parametrize(
    "odd", [b"x\n\ny\n", b"x\n \n", b"caf\xe9\nlast", b"x\n" + b"y" * (2 << 20), b"\xff\xfex\0\n\0"]
)
def test_files_with_a_line_that_is_no_document_are_packed(
    clients: AwsClients, documents: Any, odd: bytes
) -> None:
    """
    Packing leaves such lines out by name.

    Nobody knows whether SageMaker sends a blank line, and it fails the whole object for one record
    over the payload.
    """
    assert take(clients, find_input(clients.s3, documents.put(a=b"x\n", b=odd))) is None


def replace_file(clients: AwsClients, found: InputFolder) -> None:
    """Put another text with as many lines into the place of the second file."""
    place = found.files[1].uri
    clients.s3.put_object(Bucket=place.bucket, Key=place.key, Body=b"other\nwords")


def remove_file(clients: AwsClients, found: InputFolder) -> None:
    """Take the second file away."""
    place = found.files[1].uri
    clients.s3.delete_object(Bucket=place.bucket, Key=place.key)


@pytest.mark.parametrize("change", [replace_file, remove_file])
@pytest.mark.parametrize("lost", [0, 1])
def test_answers_are_named_by_place_and_checked_by_count(
    clients: AwsClients,
    found: InputFolder,
    folder: JobFolder,
    lost: int,
    change: Callable[[AwsClients, InputFolder], None],
) -> None:
    """
    One answer too few and no result is made; the user's own files are never deleted.

    Answers of a file that was changed since its lines were counted are nobody's, however many.
    """
    record = JobRecord("job-1", "optimized", "model-1", str(found.uri), "", take(clients, found))
    write_job_record(clients.s3, folder, record)
    bodies = {"big.txt": [ANSWER, ERROR, ANSWER][lost:], "sub/big.txt": [ANSWER, ANSWER]}
    for name, answers in bodies.items():
        place = folder.shard_outputs.child(f"{name}.out")
        body = "".join(f"{json.dumps(answer)}\n" for answer in answers).encode()
        clients.s3.put_object(Bucket=place.bucket, Key=place.key, Body=body)
    now = datetime.now(UTC)
    job = TransformJob(
        "job-1",
        "Completed",
        None,
        "m",
        folder.manifest,
        folder.shard_outputs,
        "t",
        1,
        now,
        now,
        now,
    )
    if lost:
        with pytest.raises(IncompleteOutput, match=r"2 answers, big\.txt .* has 3 lines"):
            finish_job(clients.s3, job)
        return
    finish_job(clients.s3, job, {"with_text": True})
    place = folder.predictions()
    answers = json.loads(clients.s3.get_object(Bucket=place.bucket, Key=place.key)["Body"].read())
    assert [(answer["source"], answer["line"], answer["text"]) for answer in answers] == [
        ("big.txt", 1, "one"),
        ("big.txt", 2, "two"),
        ("big.txt", 3, "three"),
        ("sub/big.txt", 1, "café"),
        ("sub/big.txt", 2, "last"),
    ]
    assert len(find_input(clients.s3, found.uri).files) == 2
    packed_job = PackedJob(folder, record)
    assert (packed_job.faults(clients.s3), packed_job.lost_shards(clients.s3)) == ({}, [])
    change(clients, found)
    with pytest.raises(IncompleteOutput, match=r"sub/big\.txt was changed or deleted after"):
        finish_job(clients.s3, job, {"with_text": False})
    assert packed_job.lost_shards(clients.s3) == ["sub/big.txt"]
    partial = finish_job(clients.s3, job, {"with_text": False}, is_partial=True)
    assert (partial["documents"], list(partial["faults"])) == (3, ["sub/big.txt"])


def test_a_folder_of_the_input_may_be_called_like_that_of_the_outputs(
    clients: AwsClients, documents: Any, folder: JobFolder
) -> None:
    """Only what stands below the job's own `output/` tells whose answers they are."""
    for name in ("big.txt", "output/big.txt"):
        documents.put_key(f"input/{name}", b"one\n")
        place = folder.shard_outputs.child(f"{name}.out")
        clients.s3.put_object(Bucket=place.bucket, Key=place.key, Body=b"{}")
    taken = take(clients, find_input(clients.s3, documents.uri))
    record = JobRecord("job-1", "optimized", "model-1", str(documents.uri), "", taken)
    assert PackedJob(folder, record).outputs(clients.s3) == {
        name: folder.shard_outputs.child(f"{name}.out") for name in ("big.txt", "output/big.txt")
    }
