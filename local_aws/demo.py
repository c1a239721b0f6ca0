"""
`make demo`: the README's own commands, from a model folder to a table of classes, on this machine.

Knows the sample documents and which commands to run; whatever the commands do, they do themselves.
"""

import hashlib
import json
import shlex
import signal
import subprocess
import sys
import textwrap
from collections import defaultdict
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

from local_aws.background import LocalAws, running
from local_aws.demo_environment import (
    BUCKET,
    ROOT,
    SETTINGS,
    command_environment,
    forget_other_accounts,
)

SAMPLES = ROOT / "sample_documents"
OUTPUT = ROOT / "demo_output"
COMMANDS = (
    "python package_model.py",
    "python setup_optimized_batch_transform.py --download-to demo_output",
    "python check_batch_transform_status.py --list-jobs",
)
EXAMPLES_PER_CLASS = 3
EXAMPLE_CHARACTERS = 200

console = Console(highlight=False)


def run_demo() -> None:
    """Start a local AWS, classify the sample documents on it and stop it, whatever happens."""
    signal.signal(signal.SIGTERM, exit_cleanly)
    forget_other_accounts()
    console.print("Starting an AWS on this machine …")
    with running(ROOT / "custom_container") as local_aws:
        push_image(local_aws)
        upload_samples(local_aws)
        for command in COMMANDS:
            _run(command, local_aws)
    show_predictions(OUTPUT / "predictions.json")
    console.print(f"\nAll answers: {(OUTPUT / 'predictions.json').relative_to(ROOT)}")
    console.print(f"The counts:  {(OUTPUT / 'summary.json').relative_to(ROOT)}")


def push_image(local_aws: LocalAws) -> None:
    """Make the image known to ECR by tag and digest, as a push does; it has no layers."""
    _, _, name = SETTINGS["CONTAINER_IMAGE"].partition("/")
    repository, _, tag = name.partition(":")
    dockerfile = (ROOT / "custom_container" / "Dockerfile").read_bytes()
    config = {"digest": f"sha256:{hashlib.sha256(dockerfile).hexdigest()}"}
    manifest = json.dumps({"schemaVersion": 2, "config": config, "layers": []})
    ecr = local_aws.client("ecr")
    ecr.create_repository(repositoryName=repository)
    ecr.put_image(repositoryName=repository, imageTag=tag, imageManifest=manifest)


def upload_samples(local_aws: LocalAws) -> None:
    """Create the bucket and put the sample documents under `input/`."""
    s3 = local_aws.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    files = sorted(path for path in SAMPLES.rglob("*.txt"))
    for path in files:
        s3.upload_file(str(path), BUCKET, f"input/{path.relative_to(SAMPLES).as_posix()}")
    console.print(f"Uploaded {len(files)} files to s3://{BUCKET}/input/")


def show_predictions(predictions: Path) -> None:
    """Print each class with a few of its documents, the surest first."""
    answers_of = defaultdict(list)
    for answer in json.loads(predictions.read_text(encoding="utf-8")):
        best = answer.get("predictions", {"top_predictions": [None]})["top_predictions"][0]
        answers_of[best["class"] if best else "not classified"].append((best, answer))
    table = Table(title="What was found", title_justify="left")
    table.add_column("Class", no_wrap=True)
    table.add_column("Documents", justify="right", no_wrap=True)
    table.add_column("For example")
    for label, answers in sorted(answers_of.items(), key=lambda item: -len(item[1])):
        examples = sorted(answers, key=lambda pair: -(pair[0] or {"score": 0})["score"])
        shown = Text("\n".join(_example(*pair) for pair in examples[:EXAMPLES_PER_CLASS]))
        shown.no_wrap, shown.overflow = True, "ellipsis"
        table.add_row(label, str(len(answers)), shown, end_section=True)
    console.print(table)


def _run(command: str, local_aws: LocalAws) -> None:
    console.print(f"\n[bold]$ {command}[/]")
    words = [sys.executable, *shlex.split(command)[1:]]
    environment = command_environment(local_aws)
    finished = subprocess.run(words, cwd=ROOT, env=environment, check=False)  # noqa: S603
    if finished.returncode:
        sys.exit(finished.returncode)


def _example(best: dict[str, Any] | None, answer: dict[str, Any]) -> str:
    lines = (SAMPLES / answer["source"]).read_bytes().decode().split("\n")
    text = textwrap.shorten(lines[answer["line"] - 1], EXAMPLE_CHARACTERS, placeholder=" …")
    score = f"{best['score']:.2f}" if best else answer["error"]["code"]
    return f"{score}  {text}"


def exit_cleanly(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Take SIGTERM as a reason to close what is open and go."""
    sys.exit(1)
