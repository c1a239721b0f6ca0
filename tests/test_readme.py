"""The README stays true: every command in it is run, in the order in which it stands."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
AWS_CLI = ROOT / ".venv-aws-cli" / "bin" / "aws"
RUN_ELSEWHERE = {
    "make demo": "tests/test_demo.py",
    "make demo-automatic": "tests/automatic/test_demo.py",
    "make test": "tests/test_readme.py",
    "python3.11 -m venv .venv": "Makefile",
    ". .venv/bin/activate": "Makefile",
    "pip install -r requirements.txt": "Makefile",
    "pip install -r requirements-training.txt": "Makefile",
    "python check_batch_transform_status.py --redrive MESSAGE": "tests/automatic/test_requests.py",
    "custom_container/build_and_push.sh": "tests/custom_container/test_build_and_push.py",
}
"""Commands that need what a test has not, and where else they are shown to work."""
FILLED_IN = """
S3_BUCKET_NAME=readme-documents
CONTAINER_IMAGE=000000000000.dkr.ecr.us-east-1.amazonaws.com/dispute-classifier:latest
SAGEMAKER_ROLE_ARN=arn:aws:iam::000000000000:role/dispute-classifier-execution
"""
DEADLINE_IN_SECONDS = 300


def readme_commands() -> list[str]:
    """Return the lines of all bash blocks of the README."""
    blocks = re.findall(r"^```bash\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if line]


def clone(target: Path) -> None:
    """Copy what is under version control, or would be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


@pytest.mark.parametrize("command", RUN_ELSEWHERE)
def test_what_is_run_elsewhere_is_in_the_readme_and_run_there(command: str) -> None:
    """The table above does not outlive the README, and the file it points to exists."""
    assert command in readme_commands()
    assert (ROOT / RUN_ELSEWHERE[command]).exists()


def test_the_commands_of_the_readme_run_in_their_order(
    local_aws: Any, aws: Any, tmp_path: Path
) -> None:
    """A fresh clone, an account, the README, and a `.env` filled in where it says so."""
    clone(tmp_path)
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "aws").symlink_to(AWS_CLI)
    aws("s3").create_bucket(Bucket="readme-documents")
    environment = {
        "PATH": f"{bin_folder}:{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        **local_aws.environment(),
    }
    (tmp_path / "filled-in").write_text(FILLED_IN)
    commands = [command for command in readme_commands() if command not in RUN_ELSEWHERE]
    commands.insert(commands.index("cp .env.example .env") + 1, "cat filled-in >> .env")
    script = "\n".join(["set -euo pipefail", *commands])
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=DEADLINE_IN_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "results" / "predictions.json").exists()
