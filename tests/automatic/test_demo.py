"""`make demo-automatic`: deployed, three requests, two results, one dead letter, taken down."""

import re
import subprocess
import sys
from pathlib import Path

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
    results = re.findall(r"^consolidated: (s3://\S+/predictions\.json)$", finished.stdout, re.M)
    assert len(set(results)) == 2
    assert "requests set aside: 1" in finished.stdout
    assert "does not lie below" in " ".join(re.split(r"[\s│]+", finished.stdout))
    assert "kept: the results" in finished.stderr
