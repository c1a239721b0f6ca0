"""text/csv: one record a row, one line an answer."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.csv_table import read_csv, write_csv
from src.documents import Document
from src.errors import UnreadableRequest

PREDICTIONS = {
    "predicted_class": "Debt, unpaid",
    "top_predictions": [{"class": "Debt, unpaid", "score": 0.75}, {"class": "Rent", "score": 0.25}],
}


def codes(records):
    """The error code of each record, None for a document."""
    return [getattr(record, "code", None) for record in records]


def test_each_row_is_a_record_with_its_other_columns():
    """The header names the columns, wherever the text stands among them."""
    body = b'id,text,line\r\n7,"rent, unpaid",1\r\n8,"two\nlines ""quoted""",2\r\n'

    assert list(read_csv(body)) == [
        Document("rent, unpaid", {"id": "7", "line": "1"}),
        Document('two\nlines "quoted"', {"id": "8", "line": "2"}),
    ]


def test_a_bad_row_is_rejected_in_its_own_place():
    """Blank, too short, empty, not UTF-8: its neighbours are read."""
    body = b"id,text\n1,rent\n\n2\n3, \n4,caf\xe9\n5,wages\n"

    assert codes(read_csv(body)) == [
        None,
        "EmptyDocument",
        "InvalidRow",
        "EmptyDocument",
        "InvalidEncoding",
        None,
    ]


def test_bytes_that_are_no_characters_are_named_as_such():
    """As text/plain names them, so that its owner looks for the charset."""
    (record,) = read_csv(b"text\ncaf\xe9\n")

    assert "bytes that are not UTF-8" in record.message


def test_a_document_may_be_longer_than_csv_allows():
    """A field of a million characters is read whole."""
    (record,) = read_csv(b"text\n" + b"r" * 10**6)

    assert len(record.text) == 10**6


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"id,line\n1,2\n", "one of them"),
        (b"text,text\na,b\n", "each column once"),
        (b'text\n"never closed\nrent\n', "unexpected end of data"),
        (b'text\n"closed" too early\n', "line 2"),
    ],
)
def test_a_table_whose_rows_cannot_be_told_is_refused(body, reason):
    """One stray quote would otherwise swallow the rows behind it silently."""
    with pytest.raises(UnreadableRequest, match=reason):
        list(read_csv(body))


def test_an_answer_is_one_line():
    """Class, score, error, then what is given back, line ends escaped; none after the last."""
    body = write_csv(
        [
            {"id": "7", "note": "a\nb", "n": 3, "predictions": PREDICTIONS},
            {"id": "8", "error": {"code": "EmptyDocument", "message": "…"}},
        ]
    )

    assert body == b'"Debt, unpaid",0.75,,7,"""a\\nb""",3\n,,EmptyDocument,8'


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_whatever_is_given_back_each_answer_keeps_its_line(values):
    """No value of a record can part its line or join it with the next."""
    body = write_csv([{"id": value, "predictions": PREDICTIONS} for value in values])

    lines = body.decode().split("\n")
    rows = list(csv.reader(io.StringIO(body.decode(), newline="\n")))
    assert len(lines) == len(rows) == len(values)
