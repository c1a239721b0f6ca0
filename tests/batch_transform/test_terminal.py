"""What an operator reads of a job that has ended."""

from typing import Any

import pytest

from batch_transform.terminal import fail, print_summary, say

SUMMARY = {
    "documents": 5_000_000,
    "classes": {"Debt": {"documents": 4_998_000, "mean_confidence": 0.9}},
    "errors": {"EmptyDocument": 2_000},
    "left_out": {},
    "review": {"documents": 0},
    "predictions": "s3://b/out/job-1/predictions.json",
}


@pytest.mark.parametrize(
    ("account", "told"),
    [
        ({"billed_seconds": 1612, "dollars": 0.63, "jobs": [{}]}, "billed: 1,612 s, $0.63\n"),
        ({"billed_seconds": 9, "dollars": 0.01, "jobs": [{}, {}]}, "$0.01, 2 jobs together"),
        ({"billed_seconds": None, "dollars": None, "jobs": [{}]}, "an unknown time, unknown"),
    ],
)
def test_the_bill_is_told_with_the_results(
    capsys: pytest.CaptureFixture, account: dict[str, Any], told: str
) -> None:
    """The estimate came before; this is what became of it, on stderr like all remarks."""
    print_summary(SUMMARY | account)
    assert told in capsys.readouterr().err


def test_lines_that_were_never_sent_are_told_with_the_results(
    capsys: pytest.CaptureFixture,
) -> None:
    """Whoever comes later than the packing learns of them, too."""
    left_out = {"EmptyDocument": 2, "InvalidEncoding": 1}
    bill = {"billed_seconds": 1, "dollars": 0.1, "jobs": [{}]}
    print_summary(SUMMARY | bill | {"left_out": left_out})
    told = capsys.readouterr().err
    assert "left out before the job: 2 lines EmptyDocument, 1 line InvalidEncoding; see" in told


def test_a_terminal_is_not_made_to_obey_a_key(capsys: pytest.CaptureFixture) -> None:
    """S3 takes any character into a key: neither colours nor titles nor bells come of it."""
    for tell in (say, fail):
        tell("esc\x1b[31m csi\x9b bell\x07 back\r.txt line 2 is not UTF-8")
        told = capsys.readouterr().err
        assert r"esc\x1b[31m csi\x9b bell\x07 back\r.txt line 2 is not UTF-8" in told


def test_advice_is_no_error(capsys: pytest.CaptureFixture) -> None:
    """The first line says what is wrong; what can be done about it stands below."""
    fail("the job is Failed\nrun the rest: setup --resume job-1")
    assert (
        capsys.readouterr().err
        == "error: the job is Failed\n  run the rest: setup --resume job-1\n"
    )


def test_large_numbers_can_be_read(capsys: pytest.CaptureFixture) -> None:
    """Nobody counts seven digits in a row."""
    print_summary(SUMMARY | {"billed_seconds": 1, "dollars": 0.1, "jobs": [{}]})
    table = capsys.readouterr().out
    assert all(number in table for number in ("5,000,000 documents", "4,998,000", "2,000"))
