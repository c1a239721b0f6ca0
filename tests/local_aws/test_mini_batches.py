"""Objects are cut into mini-batches by bytes, and not a byte is lost or changed."""

import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws.mini_batches import MiniBatchRule, RecordTooLargeError

LIMIT = 8
BODIES = st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r\n", b"\xc3\xbc"]), max_size=40).map(
    b"".join
)


def cut(body, **changes):
    """Return the mini-batches of an object under a rule of eight bytes."""
    rule = {"is_split_by_line": True, "is_single_record": False, "max_payload_in_bytes": LIMIT}
    return list(MiniBatchRule(**rule | changes).cut(io.BytesIO(body)))


@given(body=BODIES, is_single_record=st.booleans())
def test_mini_batches_are_the_object(body, is_single_record):
    """
    Joined, the mini-batches are the object; each ends a line or the object, and each fits.
    """
    longest = max((len(line) for line in body.split(b"\n")), default=0) + 1
    limit = max(LIMIT, longest)

    parts = cut(body, is_single_record=is_single_record, max_payload_in_bytes=limit)

    assert b"".join(parts) == body
    assert all(part.endswith(b"\n") for part in parts[:-1])
    assert all(0 < len(part) <= limit for part in parts)
    if is_single_record:
        assert all(part.count(b"\n") <= 1 for part in parts)


@given(st.lists(st.sampled_from([b"\n", b"a\n", b"bcd\n", b"1234567\n"]), max_size=20))
def test_mini_batches_are_full(lines):
    """
    No mini-batch could have taken the first record of the one after it.
    """
    parts = cut(b"".join(lines))

    for part, following in itertools.pairwise(parts):
        first_record = following[: following.index(b"\n") + 1]
        assert len(part) + len(first_record) > LIMIT


def test_record_over_the_limit_is_named_by_its_line():
    """
    The line that does not fit is named, and the ones before it are given.
    """
    rule = MiniBatchRule(is_split_by_line=True, is_single_record=True, max_payload_in_bytes=LIMIT)
    parts = rule.cut(io.BytesIO(b"fits\n" + b"x" * LIMIT + b"\n"))

    assert next(parts) == b"fits\n"
    with pytest.raises(RecordTooLargeError, match="line 2 is larger than MaxPayloadInMB"):
        next(parts)


def test_no_limit():
    """
    MaxPayloadInMB 0 sends an object whole, however large.
    """
    body = b"x\n" * 10_000

    assert cut(body, max_payload_in_bytes=None) == [body]
    assert cut(body, is_split_by_line=False, max_payload_in_bytes=None) == [body]
