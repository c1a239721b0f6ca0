"""Packing: every document once, with its name and line; what is no document is told, not lost."""

import gzip
import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_transform.aws import AwsClients
from batch_transform.document_check import check_documents
from batch_transform.errors import InvalidInput
from batch_transform.file_list import InputFile
from batch_transform.folder_claim import new_claim, put_claim
from batch_transform.input_documents import InputFolder, find_input
from batch_transform.job_record import JobRecord, read_job_record, write_job_record
from batch_transform.naming import JobFolder, S3Uri
from batch_transform.packed_input import (
    IdentityDigest,
    PackedInput,
    encode_record,
    pack,
    shard_bytes_for,
)
from batch_transform.s3_objects import list_objects, read_lines
from batch_transform.text_lines import Document


def pack_all(clients: AwsClients, uri: S3Uri, folder: JobFolder, **changes: Any) -> PackedInput:
    """Pack everything under *uri*."""
    return pack_found(clients, find_input(clients.s3, uri), folder, **changes)


def pack_found(
    clients: AwsClients, found: InputFolder, folder: JobFolder, **changes: Any
) -> PackedInput:
    """Pack what was listed."""
    arguments = {"instance_count": 1, "max_payload_in_mb": 6, "on_file": lambda _: None} | changes
    return pack(clients.s3, found, folder, **arguments)


def packed_records(clients: AwsClients, folder: JobFolder) -> list[dict[str, Any]]:
    """Return all records of all shards, in order."""
    return [
        json.loads(line)
        for shard in list_objects(clients.s3, folder.shards)
        for line in read_lines(clients.s3, shard.uri)
    ]


def test_every_document_is_packed_once_with_its_name_and_line(
    clients: AwsClients, documents: Any, folder: JobFolder
) -> None:
    """Blank lines are counted and keep their number; line ends of any system come off."""
    uri = documents.put(one=b"first\r\n\r\nthird", two="a\u2028b\n  \t\n".encode())
    packed = pack_all(clients, uri, folder)
    assert packed_records(clients, folder) == [
        {"source": "one.txt", "line": 1, "text": "first"},
        {"source": "one.txt", "line": 3, "text": "third"},
        {"source": "two.txt", "line": 1, "text": "a\u2028b"},
    ]
    assert (packed.files, packed.documents) == (2, 3)
    assert packed.left_out == {"EmptyDocument": 2}


def test_ctrl_c_does_not_wait_for_reads_that_hang(
    clients: AwsClients, documents: Any, folder: JobFolder
) -> None:
    """A network that swallows packets holds each of them up for minutes."""
    is_over, given_up = threading.Event(), []

    def hang(request: Any, **_: Any) -> None:
        if request.url.endswith("b.txt") and not is_over.wait(timeout=10):
            given_up.append(request.url)

    def interrupt(_file: InputFile) -> None:
        raise KeyboardInterrupt

    clients.s3.meta.events.register("before-sign.s3.GetObject", hang)
    try:
        with pytest.raises(KeyboardInterrupt):
            pack_all(clients, documents.put(a=b"x\n", b=b"y\n"), folder, on_file=interrupt)
        assert given_up == []
    finally:
        is_over.set()
        clients.s3.meta.events.unregister("before-sign.s3.GetObject", hang)


def test_a_byte_order_mark_is_no_text(
    clients: AwsClients, documents: Any, folder: JobFolder
) -> None:
    """Windows editors put one at the start of a file."""
    pack_all(clients, documents.put(a=b"\xef\xbb\xbfhello\n"), folder)
    assert packed_records(clients, folder)[0]["text"] == "hello"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_file_in_another_encoding_is_left_out_line_by_line(
    clients: AwsClients, documents: Any, folder: JobFolder, encoding: str
) -> None:
    """Its lines are counted as an editor counts them, and none passes for a text full of NULs."""
    # U+0A0A and U+010A hold the byte that ends a line.
    text = "\ufeffYou owe me.\r\n\nਊ Ċ\nlast"
    uri = documents.put(a=text.encode(encoding), b=b"fine\0\n", c=f"{text}\n".encode(encoding))
    packed = pack_all(clients, uri, folder)
    assert [record["text"] for record in packed_records(clients, folder)] == ["fine\0"]
    assert left_out(clients, folder) == [
        (name, line, "InvalidEncoding") for name in ("a.txt", "c.txt") for line in range(1, 5)
    ]
    assert packed.left_out == {"InvalidEncoding": 8}
    told = json.loads(next(read_lines(clients.s3, folder.left_out)))["error"]["message"]
    assert told == f"the file is {encoding[:6].upper()}: save it as UTF-8"


@pytest.mark.parametrize("size", [100, 3 << 20])
def test_a_standard_job_is_refused_a_file_in_another_encoding(
    clients: AwsClients, documents: Any, folder: JobFolder, size: int
) -> None:
    """The container is sent it as it lies, and would answer lines of it as if they were text."""
    text = ("Sie schulden mir 500 \u20ac.\n" * (size // 26)).encode("utf-16")
    found = find_input(clients.s3, documents.put(a=b"fine\n", b=text))
    with pytest.raises(InvalidInput, match=r"b\.txt line 1: the file is UTF-16: save it as UTF-8"):
        check_documents(
            clients.s3, found, folder, max_payload_in_mb=6, on_file=lambda _: None, is_strict=False
        )


def test_the_prefix_takes_exactly_its_folder(
    clients: AwsClients, documents: Any, folder: JobFolder
) -> None:
    """Neighbours, markers, empty objects and earlier outputs are not input; subfolders are."""
    for key, body in {
        "input/": b"",
        "input/full/": b"a text under the name of a folder",
        "input/empty.txt": b"",
        "input/_SUCCESS": b"done",
        "input/deep.txt.out": b"{}",
        "input/sub/deep file %.txt": b"deep\n",
        "input_old/other.txt": b"other\n",
    }.items():
        documents.put_key(key, body)
    found = find_input(clients.s3, S3Uri(documents.uri.bucket, "input"))
    pack_found(clients, found, folder)
    assert [r["source"] for r in packed_records(clients, folder)] == ["sub/deep file %.txt"]
    assert str(found.left_out) == (
        "1 folder marker (input/), 1 _SUCCESS marker (_SUCCESS), 1 earlier output (deep.txt.out), "
        "1 empty file (empty.txt), 1 non-empty folder marker (full/)"
    )


def test_objects_that_are_no_input_are_on_record(
    clients: AwsClients, documents: Any, folder: JobFolder
) -> None:
    """By number and first names, of however many there are: a text may lie among them."""
    documents.put(case=b"debt\n")
    for number in range(30):
        documents.put_key(f"input/ocr/scan{number:02d}.out", b"a text\n")
    documents.put_key("input/ocr/lost.txt", b"")
    found = find_input(clients.s3, documents.uri)
    assert str(found.left_out) == (
        "1 empty file (ocr/lost.txt), 30 earlier outputs (ocr/scan00.out, ocr/scan01.out, "
        "ocr/scan02.out, and 27 more)"
    )
    record = JobRecord("job-1", "", "", "", "", pack_found(clients, found, folder))
    write_job_record(clients.s3, folder, record)
    assert read_job_record(clients.s3, folder).packed.objects_left_out == {
        "empty file": {"count": 1, "first": ["ocr/lost.txt"]},
        "earlier output": {
            "count": 30,
            "first": [f"ocr/scan{number:02d}.out" for number in range(20)],
        },
    }


def test_the_folders_of_earlier_jobs_are_no_input(
    clients: AwsClients, documents: Any, folder: JobFolder
) -> None:
    """Their results and packed texts look like documents; a file of anybody's is none of them."""
    earlier = JobFolder.of(documents.uri.child("old/"), "job-0")
    put_claim(clients.s3, earlier, new_claim({}))
    for place in (earlier.shards.child("shard-00000.jsonl"), earlier.summary):
        documents.put_key(place.key, b"{}\n")
    for key in ("input/old/case.txt", "input/old/request.json", "input/old/myrequest.json"):
        documents.put_key(key, b"mine\n")
    found = find_input(clients.s3, documents.uri)
    pack_found(clients, found, folder)
    sources = [record["source"] for record in packed_records(clients, folder)]
    assert sources == ["old/case.txt", "old/myrequest.json", "old/request.json"]
    assert str(found.left_out) == (
        "3 earlier outputs (old/job-0/input/shard-00000.jsonl, old/job-0/request.json, "
        "old/job-0/summary.json)"
    )


def test_one_file_can_be_named_by_its_whole_key(
    clients: AwsClients, documents: Any, folder: JobFolder
) -> None:
    """The key of an object is taken as that object alone, not as the beginning of others."""
    documents.put_key("input/case.txt", b"this\n")
    documents.put_key("input/case.txt.bak", b"not this\n")
    pack_all(clients, S3Uri(documents.uri.bucket, "input/case.txt"), folder)
    assert packed_records(clients, folder) == [{"source": "case.txt", "line": 1, "text": "this"}]


@pytest.mark.parametrize("files", [{}, {"input/": b""}, {"input/a.txt": b""}])
def test_an_empty_prefix_is_refused(clients: AwsClients, documents: Any, files: dict) -> None:
    """There is nothing to classify, and the place is named."""
    for key, body in files.items():
        documents.put_key(key, body)
    with pytest.raises(InvalidInput, match=r"s3://.*/input/"):
        find_input(clients.s3, documents.uri)


def test_files_of_blank_lines_are_refused(
    clients: AwsClients, documents: Any, folder: JobFolder
) -> None:
    """A job of no records would cost a machine and answer nothing."""
    with pytest.raises(InvalidInput, match="blank lines only"):
        pack_all(clients, documents.put(a=b"\n \n"), folder)


def left_out(clients: AwsClients, folder: JobFolder) -> list[tuple[str, int, str]]:
    """Return source, line and code of each line that was not sent."""
    lines = map(json.loads, read_lines(clients.s3, folder.left_out))
    return [(line["source"], line["line"], line["error"]["code"]) for line in lines]


def test_lines_that_cannot_be_sent_are_accounted_for(
    clients: AwsClients, documents: Any, folder: JobFolder
) -> None:
    """By name, line and reason, in a file of the job; the other documents go their way."""
    uri = documents.put(a=b"good\nbad \xe9\n\n" + b"x" * (1 << 20) + b"\nlast", b=b"\xff\n")
    packed = pack_all(clients, uri, folder, max_payload_in_mb=1)
    assert [record["text"] for record in packed_records(clients, folder)] == ["good", "last"]
    assert left_out(clients, folder) == [
        ("a.txt", 2, "InvalidEncoding"),
        ("a.txt", 3, "EmptyDocument"),
        ("a.txt", 4, "DocumentTooLarge"),
        ("b.txt", 1, "InvalidEncoding"),
    ]
    assert packed.left_out == {"InvalidEncoding": 2, "EmptyDocument": 1, "DocumentTooLarge": 1}


def test_a_record_can_outgrow_the_payload_by_its_escapes(
    clients: AwsClients, documents: Any, folder: JobFolder
) -> None:
    """A line that fits as text may not fit as JSON; it is found all the same."""
    uri = documents.put(a=b"short\n" + b'"' * (600 << 10) + b"\n")
    packed = pack_all(clients, uri, folder, max_payload_in_mb=1)
    assert packed.left_out == {"DocumentTooLarge": 1}


def test_no_account_is_left_where_every_line_is_sent(
    clients: AwsClients, documents: Any, folder: JobFolder
) -> None:
    """An empty file would only raise questions."""
    packed = pack_all(clients, documents.put(a=b"x\n"), folder)
    assert packed.left_out == {}
    assert list(list_objects(clients.s3, folder.left_out)) == []


def test_a_strict_run_names_all_lines_that_cannot_be_sent(
    clients: AwsClients, documents: Any, folder: JobFolder
) -> None:
    """The refusal names file, line and byte of each."""
    uri = documents.put(a=b"good\nbad \xe9\n", b=b"\xff\n", c=b"fine\n")
    with pytest.raises(InvalidInput) as refused:
        pack_all(clients, uri, folder, is_strict=True)
    message = str(refused.value)
    assert "a.txt line 2: byte 5 of the line is not UTF-8 (0xe9)" in message
    assert "b.txt line 1" in message
    assert "c.txt" not in message


def test_an_input_of_unreadable_lines_alone_is_refused(
    clients: AwsClients, documents: Any, folder: JobFolder
) -> None:
    """There is nothing to send, and the reason is told."""
    with pytest.raises(InvalidInput, match=r"a\.txt line 1: byte 1"):
        pack_all(clients, documents.put(a=b"\xff\n"), folder)


@pytest.mark.parametrize("name", ["a.txt.gz", "A.TXT.GZ"])
def test_gzipped_files_are_read_as_what_they_hold(
    clients: AwsClients, documents: Any, folder: JobFolder, name: str
) -> None:
    """The name stays the user's own, and so do the line numbers."""
    documents.put_key(f"input/{name}", gzip.compress(b"one\n\nthree\n"))
    pack_all(clients, documents.uri, folder)
    records = packed_records(clients, folder)
    assert [(r["source"], r["line"]) for r in records] == [(name, 1), (name, 3)]


@pytest.mark.parametrize(
    "body",
    [b"plain", gzip.compress(b"one\n" * 999)[:-9], b"\x1f\x8bxxxx"],
    ids=["plain text", "cut off", "a head alone"],
)
def test_a_file_that_only_claims_to_be_gzipped_is_named(
    clients: AwsClients, documents: Any, folder: JobFolder, body: bytes
) -> None:
    """Half an upload must not pass for a short file."""
    documents.put_key("input/a.txt.gz", body)
    with pytest.raises(InvalidInput, match=r"a\.txt\.gz ends in \.gz"):
        pack_all(clients, documents.uri, folder)


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_a_file_changed_after_it_was_listed_is_named(
    clients: AwsClients, documents: Any, folder: JobFolder, size: int
) -> None:
    """Plan and job must speak of the same content, whether it is fetched whole or streamed."""
    found = find_input(clients.s3, documents.put(a=b"x" * size))
    documents.put(a=b"y" * size)
    with pytest.raises(InvalidInput, match=r"a\.txt was changed after it was listed"):
        pack_found(clients, found, folder)


def test_a_file_deleted_after_it_was_listed_is_named(
    clients: AwsClients, documents: Any, folder: JobFolder
) -> None:
    """The operator decides whether it should have been there."""
    found = find_input(clients.s3, documents.put(a=b"x", b=b"y"))
    clients.s3.delete_object(Bucket=found.uri.bucket, Key="input/b.txt")
    with pytest.raises(InvalidInput, match=r"b\.txt was deleted after it was listed"):
        pack_found(clients, found, folder)


def test_many_small_files_and_a_large_one_keep_their_order(
    clients: AwsClients, documents: Any, folder: JobFolder
) -> None:
    """Small ones are fetched several at once, the large one is streamed; identity follows name."""
    names = [f"file{number:03d}" for number in range(150)]
    large = b"long words\n" * 120_000
    found = find_input(
        clients.s3, documents.put(**dict.fromkeys(names, b"x\n") | {"file075": large})
    )
    packed = pack_found(clients, found, folder)
    assert packed.documents == 149 + 120_000
    sources = [record["source"] for record in packed_records(clients, folder)]
    assert sources == sorted(sources)
    assert packed.shards[0].first == "file000.txt line 1"
    assert packed.shards[-1].last == "file149.txt line 1"


def test_odd_keys_and_odd_texts_arrive_as_they_are(
    clients: AwsClients, documents: Any, folder: JobFolder
) -> None:
    """Spaces, `%`, Unicode, control characters, the longest key; the same document twice."""
    longest = "k" * (1024 - len("input/"))
    keys = ["a b.txt", "50%.txt", "%20.txt", "Übung/\U0001f4b6.txt", "a+b&c=d.txt"]
    keys += ["two\nlines.txt", "tab\tesc\x1b[31m.txt", longest]
    for key in keys:
        documents.put_key(f"input/{key}", b"one\\n two\none\\n two")
    pack_all(clients, documents.uri, folder)
    records = packed_records(clients, folder)
    assert {record["source"] for record in records} == set(keys)
    assert [record["text"] for record in records] == ["one\\n two"] * 2 * len(keys)


def test_shards_are_balanced_and_account_for_every_record(
    clients: AwsClients, documents: Any, folder: JobFolder
) -> None:
    """Two instances get several shards each, none much larger than another."""
    line = b"x" * 997 + b"\n"
    uri = documents.put(**{f"file{i:02d}": line * 150 for i in range(20)})
    packed = pack_all(clients, uri, folder, instance_count=2)
    sizes = [shard.size_in_bytes for shard in packed.shards]
    assert len(sizes) >= 8
    assert max(sizes[:-1]) - min(sizes[:-1]) <= 2 * len(line)
    assert sum(shard.records for shard in packed.shards) == packed.documents == 3000
    stored = {
        found.uri.key: found.size_in_bytes for found in list_objects(clients.s3, folder.shards)
    }
    assert list(stored.values()) == sizes


def test_each_file_is_reported_as_it_is_read(
    clients: AwsClients, documents: Any, folder: JobFolder
) -> None:
    """The progress bar moves with the files."""
    seen: list[InputFile] = []
    pack_all(clients, documents.put(a=b"x\n", b=b"yy\n"), folder, on_file=seen.append)
    assert [(file.source, file.size_in_bytes) for file in seen] == [("a.txt", 2), ("b.txt", 3)]


@given(st.text(), st.text(min_size=1), st.integers(min_value=1))
def test_a_record_survives_the_journey_on_one_line(text: str, source: str, line: int) -> None:
    """Whatever the text, it is one line to any reader of lines, and comes back as it was."""
    encoded = encode_record(Document(source, line, text))
    assert encoded.decode().splitlines() == [encoded.decode().removesuffix("\n")]
    assert json.loads(encoded) == {"source": source, "line": line, "text": text}


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "a1"]), st.integers(1, 30)), max_size=6))
def test_a_digest_tells_sequences_of_records_apart(identities: list[tuple[str, int]]) -> None:
    """Losing, doubling or swapping any record changes it."""

    def digest(sequence: list[tuple[str, int]]) -> str:
        taken = IdentityDigest()
        for source, line in sequence:
            taken.add(source, line)
        return taken.hexdigest()

    changed = [identities[:-1], identities + identities[-1:], list(reversed(identities))]
    for other in changed:
        assert (digest(other) == digest(identities)) == (other == identities)


@pytest.mark.parametrize("instances", [1, 4, 100])
@pytest.mark.parametrize("input_bytes", [1, 10**6, 10**9, 10**12])
def test_a_shard_stays_between_its_bounds(input_bytes: int, instances: int) -> None:
    """Neither thousands of crumbs nor one shard that shows no progress."""
    assert 64 << 10 <= shard_bytes_for(input_bytes, instances) <= 16 << 20
