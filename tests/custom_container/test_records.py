"""Records: one line in is one record out, and nothing in a line can break its neighbours."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.documents import Document, RejectedRecord
from src.errors import UnreadableRequest, UnsupportedContentType
from src.records import read_records, write_lines


def codes(records):
    """The error code of each record, None for a document."""
    return [getattr(record, "code", None) for record in records]


def test_only_a_newline_ends_a_line_of_text():
    """Form feeds, next-line and line separators are characters of a document."""
    body = "one\x0bstill\x0cone\x85\u2028one\ntwo".encode()

    assert read_records(body, "text/plain") == [
        Document("one\x0bstill\x0cone\x85\u2028one"),
        Document("two"),
    ]


def test_windows_line_ends_and_a_byte_order_mark_are_not_text():
    """A file saved by Notepad reads like any other."""
    records = read_records(b"\xef\xbb\xbfone\r\ntwo\r\n", "text/plain")

    assert records == [Document("one"), Document("two")]


def test_a_blank_line_is_a_record_and_the_final_newline_is_none():
    """A blank line keeps its place; the end of the last line opens no further one."""
    records = read_records(b"one\n\n \t\ntwo\n", "text/plain")

    assert codes(records) == [None, "EmptyDocument", "EmptyDocument", None]


@pytest.mark.parametrize("content_type", ["text/plain", "application/jsonlines"])
def test_a_line_that_is_not_utf8_is_rejected_alone(content_type):
    """Bytes of another encoding cost their own record only."""
    records = read_records(b'"one"\n"caf\xe9"\n"two"', content_type)

    assert codes(records) == [None, "InvalidEncoding", None]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/jsonlines", "application/json"]
)
def test_an_empty_body_holds_no_records(content_type):
    """SageMaker may send an empty object; it is answered, not refused."""
    assert read_records(b"", content_type) == []


def test_json_lines_give_back_every_field_but_the_text():
    """Fields beside the text come back in their order."""
    (record,) = read_records(
        b'{"source": "case1.txt", "text": "rent", "line": 3}', "application/jsonlines"
    )

    assert record == Document("rent", {"source": "case1.txt", "line": 3})
    assert list(record.echo) == ["source", "line"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"", "EmptyDocument"),
        (b'{"line": 7, "text": " "}', "EmptyDocument"),
        (b'{"line": 7}', "MissingText"),
        (b'{"line": 7, "text": 5}', "InvalidText"),
        (b'{"line": 7, "text": null}', "InvalidText"),
        (b'{"line": 7, "text": "rent", "predictions": []}', "ReservedField"),
        (b'{"line": 7, "text": "rent", "error": 1}', "ReservedField"),
        (b'{"line": 7, "text": "\\ud800"}', "InvalidEncoding"),
        (b"[1]", "InvalidRecord"),
        (b"true", "InvalidRecord"),
        (b"{", "InvalidJson"),
        (b'{"text": "rent", "x": NaN}', "InvalidJson"),
        (b'{"text": "rent", "x": 1e999}', "InvalidJson"),
        (b'{"text": "rent", "x": ' + b"9" * 5000 + b"}", "InvalidJson"),
        (b"[" * 100_000, "InvalidJson"),
    ],
)
def test_a_bad_json_line_is_rejected_in_its_own_place(line, code):
    """Whatever is wrong with a line, its neighbours are read and its code is stable."""
    records = read_records(b'{"text": "before"}\n' + line + b'\n"after"\n', "application/jsonlines")

    assert codes(records) == [None, code, None]


def test_a_rejected_record_keeps_its_identity():
    """A record that names its source and line is refused under that name."""
    (record,) = read_records(
        b'{"source": "case1.txt", "line": 3, "error": "x"}', "application/jsonlines"
    )

    assert record.echo == {"source": "case1.txt", "line": 3}


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ('"rent"', ["rent"]),
        ('["rent", {"text": "wages"}]', ["rent", "wages"]),
        ('{"text": "rent", "instances": 2}', ["rent"]),
        ('{"inputs": "rent"}', ["rent"]),
        ('{"inputs": ["rent", "wages"]}', ["rent", "wages"]),
        ('{"instances": ["rent"]}', ["rent"]),
        ('{"data": [{"text": "rent"}]}', ["rent"]),
        ("[]", []),
    ],
)
def test_json_bodies_in_every_usual_shape(body, texts):
    """A string, a list, one record, or records under inputs, instances or data."""
    records = read_records(body.encode(), "application/json")

    assert [record.text for record in records] == texts


@pytest.mark.parametrize("content_type", ["application/json", "text/csv"])
def test_a_body_of_blanks_holds_no_records(content_type):
    """Like an empty one: what is one value, or one table, is not there."""
    assert read_records(b" \n\r\n", content_type) == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "line 1 column 2"),
        (b"\xff", "invalid start byte"),
        (b"NaN", "NaN is not a JSON number"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b'["rent", 123e456]', "a number is too large"),
        (b'["rent", ' + b"7" * 5000 + b"]", "a number is too long"),
    ],
)
def test_a_json_body_that_is_no_json_is_refused_whole(body, reason):
    """There are no records to answer; the reason, which goes to the log, quotes no number."""
    with pytest.raises(UnreadableRequest, match=reason) as refusal:
        read_records(body, "application/json")
    assert not any(quoted in str(refusal.value) for quoted in ("123", "777"))


@pytest.mark.parametrize(
    "content_type", ["text/plain; charset=utf-8", 'Text/Plain;charset="UTF-8"', "text/plain;x=y"]
)
def test_parameters_of_a_content_type_are_accepted(content_type):
    """A charset of UTF-8 and unknown parameters change nothing."""
    assert read_records(b"rent", content_type) == [Document("rent")]


@pytest.mark.parametrize(
    ("content_type", "named"),
    [("image/png", "image/png"), ("text/plain; charset=ebcdic", "ebcdic"), ("", "''")],
)
def test_what_cannot_be_read_is_named(content_type, named):
    """A refusal names the type or charset that was sent."""
    with pytest.raises(UnsupportedContentType, match=named):
        read_records(b"rent", content_type)


@given(st.lists(st.binary().filter(lambda line: b"\n" not in line)))
def test_any_bytes_give_one_record_per_line(lines):
    """However bad its lines are, a body of n lines has n records."""
    body = b"".join(line + b"\n" for line in lines)

    for content_type in ("text/plain", "application/jsonlines"):
        assert len(read_records(body, content_type)) == len(lines)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(st.characters()), json_values, max_size=4)))
def test_every_answer_is_one_line_and_reads_back_as_written(answers):
    """Newlines, separators and lone surrogates inside a value never split or break its line."""
    body = write_lines(answers)

    assert [json.loads(line) for line in body.split(b"\n") if line] == answers
    assert not body.endswith(b"\n")


def test_rejected_records_have_a_message():
    """Every refusal says something a person can act on."""
    (record,) = read_records(b"{}", "application/jsonlines")

    assert isinstance(record, RejectedRecord)
    assert 'Put the document in the field "text"' in record.message
