"""Charsets and compression: a body is read as it was written, or refused by name."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.charsets import OTHERS, to_utf_8
from src.content_encoding import decoded_body
from src.errors import PayloadTooLarge, UnreadableRequest, UnsupportedContentType
from src.records import read_records


@pytest.mark.parametrize("charset", OTHERS)
def test_a_text_is_the_same_in_every_charset(charset):
    """What it holds does not depend on how it was written down."""
    text = "Kläger £5\nMiete"

    assert to_utf_8(text.encode(OTHERS[charset]), charset) == text.encode()


def test_a_broken_character_costs_its_own_record_only():
    """0x81 is no character of windows-1252; both neighbours are read."""
    records = read_records(b"Kl\xe4ger\n\x81\x8d\nMiete", "text/plain; charset=windows-1252")

    assert [getattr(record, "code", None) for record in records] == [None, "InvalidEncoding", None]
    assert records[0].text == "Kläger"


@pytest.mark.parametrize(
    "broken", [b"\x00\xd8", b"\x00\xdc", b"\x00\xd8\x00\xd8"], ids=["high", "low", "two high"]
)
def test_a_broken_character_of_utf_16_costs_its_own_record_only(broken):
    """A half of a surrogate pair, and half a character where the body breaks off."""
    body = "before\n".encode("utf-16-le") + broken + "\nafter\n".encode("utf-16-le") + b"x"
    records = read_records(body, "text/plain; charset=utf-16le")

    codes = [getattr(record, "code", None) for record in records]
    assert codes == [None, "InvalidEncoding", None, "InvalidEncoding"]
    assert [records[0].text, records[2].text] == ["before", "after"]


@given(st.binary(), st.sampled_from(["iso-8859-1", "windows-1252", "iso-8859-15"]))
def test_no_line_is_lost_in_another_charset(body, charset):
    """A body has as many lines before as after."""
    assert to_utf_8(body, charset).count(b"\n") == body.count(b"\n")


@given(st.lists(st.binary(), min_size=1))
def test_gzip_members_are_read_one_after_another(members):
    """Files compressed apart and joined are the joined files."""
    body = b"".join(map(gzip.compress, members))

    assert decoded_body(body, "gzip", max_payload_in_mb=1) == b"".join(members)


def test_a_body_of_exactly_the_payload_is_decompressed_and_one_byte_more_is_not():
    """The limit counts what comes out."""
    assert len(decoded_body(gzip.compress(bytes(2**20)), "gzip", 1)) == 2**20
    with pytest.raises(PayloadTooLarge, match="more than 1 MB"):
        decoded_body(gzip.compress(bytes(2**20 + 1)), "gzip", 1)


GZIPPED = gzip.compress(b"rent and wages" * 100, mtime=0)


@pytest.mark.parametrize(
    "body",
    [
        b"rent",
        GZIPPED[:-9],
        GZIPPED[:5],
        GZIPPED[:-8] + bytes(8),
        GZIPPED[:20] + b"\xff" * 10 + GZIPPED[30:],
        GZIPPED + b"more",
    ],
    ids=["no gzip", "cut short", "half a header", "wrong checksum", "damaged", "something after"],
)
def test_a_damaged_body_is_refused(body):
    """Nothing of it is classified."""
    with pytest.raises(UnreadableRequest, match="Cannot decompress") as refusal:
        decoded_body(body, "gzip", max_payload_in_mb=1)
    assert "b'" not in str(refusal.value)  # gzip's own words quote the body


def test_another_encoding_is_refused_by_name():
    """Only gzip is read; no encoding at all is none."""
    assert decoded_body(b"rent", "identity", max_payload_in_mb=1) == b"rent"
    with pytest.raises(UnsupportedContentType, match="'br'"):
        decoded_body(b"rent", "br", max_payload_in_mb=1)
