"""What an operator reads of a job that has ended."""

import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from batch_transform.terminal import fail, print_jobs, print_summary, say

ROOT = Path(__file__).parents[2]
BILL = {"billed_seconds": 1, "dollars": 0.1, "jobs": [{}]}
SUMMARY = {
    "documents": 5_000_000,
    "documents_packed": 5_000_000,
    "answered": 4_998_000,
    "is_complete": True,
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
    """Whoever comes later than the packing learns of them, too, and of blank ones as such."""
    left_out = {"EmptyDocument": 2, "InvalidEncoding": 1}
    print_summary(SUMMARY | BILL | {"left_out": left_out})
    told = capsys.readouterr().err
    assert "exactly once; 2,000 documents got no class, 1 line was never sent.\n" in told
    assert "not sent because they are blank: 2 lines\n" in told


def test_the_results_are_named_by_their_places(capsys: pytest.CaptureFixture) -> None:
    """The folder once, and each file that there is; stdout bears the answers' place alone."""
    print_summary(SUMMARY | BILL | {"left_out": {"InvalidEncoding": 1}, "review": {"documents": 3}})
    captured = capsys.readouterr()
    assert captured.out.endswith("\ns3://b/out/job-1/predictions.json\n")
    assert captured.err.split("results in ")[1].splitlines() == [
        "s3://b/out/job-1/:",
        "  predictions.json  all answers",
        "  report.html       all of it on one page",
        "  errors.jsonl      2,000 documents got no class, 1 line was never sent",
        "  review.csv        3 documents to be read first",
    ]
    print_summary(SUMMARY | BILL | {"answered": 5_000_000})
    files = capsys.readouterr().err.split("results in ")[1]
    assert "errors.jsonl" not in files
    assert "review.csv" not in files


def test_times_bear_their_zone(capsys: pytest.CaptureFixture) -> None:
    """Whoever reads them may be in another one than the machine that prints them."""
    created = datetime(2026, 11, 20, 13, 30, tzinfo=timezone(timedelta(hours=2)))
    job = {
        "TransformJobName": "job-1",
        "TransformJobStatus": "InProgress",
        "CreationTime": created,
    }
    print_jobs([job])
    assert "2026-11-20 11:30:00 UTC" in capsys.readouterr().out


@pytest.mark.parametrize(("documents", "unit"), [(40, "shards"), (None, "files")])
def test_the_bar_says_what_it_counts(documents: int | None, unit: str) -> None:
    """Two of what: a job of a million documents can be two shards."""
    script = f"""
from datetime import UTC, datetime
from batch_transform.job_progress import JobProgress
from batch_transform.naming import S3Uri
from batch_transform.terminal import show_progress
from batch_transform.transform_job import TransformJob
now, place = datetime.now(UTC), S3Uri("b", "k/")
job = TransformJob("j", "InProgress", None, "m", place, place, "ml.g5.xlarge", 1, now, now, None)
show_progress(iter([JobProgress(job, 1, 2, {documents})]))
"""
    command = [sys.executable, "-c", script]
    # FORCE_COLOR is how rich is told that it draws for somebody.
    environment = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "120"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    drawn = re.sub(rb"\x1b\[[^a-zA-Z]*[a-zA-Z]", b"", done.stderr)
    assert f"1/2 {unit}".encode() in drawn


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
    print_summary(SUMMARY | BILL)
    table = capsys.readouterr().out
    assert all(number in table for number in ("5,000,000 documents", "4,998,000", "2,000"))
