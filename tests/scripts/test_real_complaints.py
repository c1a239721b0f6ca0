"""2,827 real consumer complaints through both jobs; skipped where the texts are not at hand."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

COMPLAINTS = Path(__file__).parents[3] / "shared" / "data" / "cfpb_complaints.txt"

pytestmark = pytest.mark.skipif(not COMPLAINTS.exists(), reason="the real complaints are not here")


@pytest.fixture
def lines() -> list[bytes]:
    """The complaints, one a line."""
    return COMPLAINTS.read_bytes().removesuffix(b"\n").split(b"\n")


@pytest.fixture
def complaints_operator(ready_operator: Any) -> Iterator[Any]:
    """An operator whose bucket holds the complaints."""
    ready_operator.upload(complaints=COMPLAINTS.read_bytes())
    return ready_operator


def test_the_optimized_job_answers_every_complaint_once(
    complaints_operator: Any, lines: list[bytes]
) -> None:
    """Source and line of each, in order, and no error among them."""
    done = complaints_operator.run("setup_optimized_batch_transform.py", "--download-to", "results")
    assert done.returncode == 0, done.stderr
    answers = json.loads((complaints_operator.cwd / "results" / "predictions.json").read_text())
    identities = [(answer["source"], answer["line"]) for answer in answers]
    assert identities == [("complaints.txt", number + 1) for number in range(len(lines))]
    assert all("predictions" in answer for answer in answers)


def test_the_standard_job_answers_every_complaint_in_its_line(
    complaints_operator: Any, lines: list[bytes]
) -> None:
    """One `.out` with as many lines as the file has."""
    name = f"complaints-{complaints_operator.bucket}"
    done = complaints_operator.run("setup_batch_transform.py", "--job-name", name)
    assert done.returncode == 0, done.stderr
    answers = complaints_operator.read(f"output/{name}/complaints.txt.out").splitlines()
    assert len(answers) == len(lines)
    assert all("predictions" in json.loads(answer) for answer in answers)
