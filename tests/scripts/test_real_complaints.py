"""
Real consumer complaints through both jobs; skipped where the texts are not at hand.

Every sixth of 2,827, which is minutes less; EVERY_NTH_COMPLAINT=1 asks for all.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

COMPLAINTS = Path(__file__).parents[3] / "shared" / "data" / "cfpb_complaints.txt"
CLOSE = 5e-3
"""The core's own bound in bf16: scores move a little with the documents that share a pass."""

pytestmark = pytest.mark.skipif(not COMPLAINTS.exists(), reason="the real complaints are not here")


@pytest.fixture
def lines() -> list[bytes]:
    """Some complaints from all over the file, one a line."""
    nth = int(os.environ.get("EVERY_NTH_COMPLAINT", "6"))
    return COMPLAINTS.read_bytes().removesuffix(b"\n").split(b"\n")[::nth]


@pytest.fixture
def complaints_operator(ready_operator: Any, lines: list[bytes]) -> Any:
    """An operator whose bucket holds the complaints, in one file and as a file a line."""
    s3, bucket = ready_operator.aws("s3"), ready_operator.bucket
    s3.put_object(Bucket=bucket, Key="one/complaints.txt", Body=b"\n".join(lines))

    def upload(numbered: tuple[int, bytes]) -> None:
        number, line = numbered
        s3.put_object(Bucket=bucket, Key=f"many/{number:05d}.txt", Body=line + b"\n")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(upload, enumerate(lines, start=1)))
    return ready_operator


def predictions_of(operator: Any, prefix: str) -> list[dict[str, Any]]:
    """Run the optimized job on a prefix and return its answers."""
    arguments = ("--s3-input-prefix", prefix, "--download-to", prefix)
    done = operator.run("setup_optimized_batch_transform.py", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads((operator.cwd / prefix / "predictions.json").read_text())


def class_of(answer: dict[str, Any]) -> str:
    """Return the class that an answer gives."""
    return answer["predictions"]["predicted_class"]


def scores_of(answer: dict[str, Any]) -> list[float]:
    """Return the scores of an answer, the best first."""
    return [top["score"] for top in answer["predictions"]["top_predictions"]]


def test_the_optimized_job_answers_every_complaint_once(
    complaints_operator: Any, lines: list[bytes]
) -> None:
    """Source and line of each, in order, no error, and a file a line is answered as one file is."""
    one, many = (predictions_of(complaints_operator, prefix) for prefix in ("one/", "many/"))
    numbers = range(1, len(lines) + 1)
    assert [(answer["source"], answer["line"]) for answer in one] == [
        ("complaints.txt", number) for number in numbers
    ]
    assert [(answer["source"], answer["line"]) for answer in many] == [
        (f"{number:05d}.txt", 1) for number in numbers
    ]
    assert list(map(class_of, many)) == list(map(class_of, one))
    for left, right in zip(many, one, strict=True):
        assert scores_of(left) == pytest.approx(scores_of(right), abs=CLOSE)


def test_the_standard_job_answers_every_complaint_in_its_line(
    ready_operator: Any, lines: list[bytes]
) -> None:
    """One `.out` with as many lines as the file has."""
    ready_operator.upload(complaints=b"\n".join(lines))
    name = f"complaints-{ready_operator.bucket}"
    done = ready_operator.run("setup_batch_transform.py", "--job-name", name)
    assert done.returncode == 0, done.stderr
    answers = ready_operator.read(f"output/{name}/complaints.txt.out").splitlines()
    assert len(answers) == len(lines)
    assert all("predictions" in json.loads(answer) for answer in answers)
