"""`make demo-automatic`: deployed, three requests, two results, one dead letter, taken down."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from local_aws.demo_automatic import outcome_of

ROOT = Path(__file__).parents[2]
DEADLINE_IN_SECONDS = 180


def test_the_demonstration_shows_two_results_and_one_dead_letter() -> None:
    """The commands of the README work one after the other, with the functions' roles enforced."""
    finished = subprocess.run(
        [sys.executable, "-m", "local_aws", "demo-automatic"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_IN_SECONDS,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    told = r"^consolidated: (s3://\S+/predictions\.json), (\d+) documents$"
    documents = dict(re.findall(told, finished.stdout, re.M))
    assert len(documents) == 2
    assert all(int(number) > 0 for number in documents.values())
    assert "requests set aside: 1" in finished.stdout
    assert "does not lie below" in " ".join(re.split(r"[\s│]+", finished.stdout))
    assert "kept: the results" in finished.stderr
    assert "ECR did not tell" not in finished.stderr


def test_a_failed_job_ends_the_demonstration() -> None:
    """It leaves a summary, too, but no results: the reason is told instead."""
    summary = {"job_name": "one", "status": "Failed", "reason": "no model", "saved": {}}
    with pytest.raises(SystemExit, match="one is Failed: no model"):
        outcome_of(summary)
