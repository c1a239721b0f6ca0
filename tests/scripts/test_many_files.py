"""2,827 real complaints as 2,827 files of one line: the same answers as in one file."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

COMPLAINTS = Path(__file__).parents[3] / "shared" / "data" / "cfpb_complaints.txt"
SETUP = "setup_optimized_batch_transform.py"
CLOSE = 0.02
"""Scores move a little with the documents that share a forward pass."""

pytestmark = pytest.mark.skipif(not COMPLAINTS.exists(), reason="the real complaints are not here")


def predictions_of(operator: Any, prefix: str) -> list[dict[str, Any]]:
    """Run the job on a prefix and return its answers."""
    done = operator.run(SETUP, "--s3-input-prefix", prefix, "--json")
    assert done.returncode == 0, done.stderr
    place = json.loads(done.stdout)["predictions"]
    return json.loads(operator.read(place.split("/", 3)[3]))


def test_a_file_a_line_is_answered_as_one_file_is(ready_operator: Any) -> None:
    """Record for record, the n-th line of the one file is the only line of the n-th file."""
    body = COMPLAINTS.read_bytes()
    lines = body.removesuffix(b"\n").split(b"\n")
    s3, bucket = ready_operator.aws("s3"), ready_operator.bucket

    def upload(numbered: tuple[int, bytes]) -> None:
        number, line = numbered
        s3.put_object(Bucket=bucket, Key=f"many/{number:05d}.txt", Body=line + b"\n")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(upload, enumerate(lines, start=1)))
    s3.put_object(Bucket=bucket, Key="one/all.txt", Body=body)
    many, one = (predictions_of(ready_operator, prefix) for prefix in ("many/", "one/"))
    assert [(answer["source"], answer["line"]) for answer in many] == [
        (f"{number:05d}.txt", 1) for number in range(1, len(lines) + 1)
    ]
    assert [answer["line"] for answer in one] == list(range(1, len(lines) + 1))
    for left, right in zip(many, one, strict=True):
        scores, others = (
            {top["class"]: top["score"] for top in answer["predictions"]["top_predictions"]}
            for answer in (left, right)
        )
        best = max(scores, key=scores.__getitem__)
        assert others.get(best) == pytest.approx(scores[best], abs=CLOSE)
