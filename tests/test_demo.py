"""`make demo` on a clean machine: the real scripts, one consolidated file, nothing left running."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_documents"
DEMO = [sys.executable, "-m", "local_aws", "demo"]
DEADLINE_IN_SECONDS = 180


def documents_with_text() -> set[tuple[str, int]]:
    """Return source and line of every sample line that is not blank."""
    return {
        (path.relative_to(SAMPLES).as_posix(), number)
        for path in SAMPLES.rglob("*.txt")
        for number, line in enumerate(path.read_bytes().decode().split("\n"), start=1)
        if line.strip()
    }


def processes_of(marker: str) -> list[str]:
    """Return the command lines of the processes whose environment holds *marker*."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().decode())
        except OSError:  # it ended just now, or is not ours
            continue
    return found


@pytest.fixture
def marker(tmp_path: Path) -> str:
    """A word in the environment of everything that one demo starts."""
    return f"DEMO_RUN={tmp_path}"


def start_demo(marker: str) -> subprocess.Popen:
    """Start the demo in a process group of its own, as a terminal does."""
    return subprocess.Popen(
        DEMO,
        cwd=ROOT,
        env=os.environ | dict([marker.split("=", 1)]),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_the_demo_answers_every_sample_document_once(marker: str) -> None:
    """predictions.json parses; its records are the non-blank lines of the samples, each once."""
    process = start_demo(marker)
    output, _ = process.communicate(timeout=DEADLINE_IN_SECONDS)
    assert process.returncode == 0, output
    predictions = json.loads((ROOT / "demo_output" / "predictions.json").read_text())
    identities = [(answer["source"], answer["line"]) for answer in predictions]
    assert len(identities) == len(set(identities))
    assert set(identities) == documents_with_text()
    assert "ECR did not tell" not in output
    assert all("predictions" in answer for answer in predictions)
    summary = json.loads((ROOT / "demo_output" / "summary.json").read_text())
    assert summary["documents"] == len(predictions)
    for label in summary["classes"]:
        assert label in output
    assert processes_of(marker) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_stops_what_it_started(marker: str, number: signal.Signals) -> None:
    """Ctrl-C, which reaches the whole group, and a plain kill both leave nothing running."""
    process = start_demo(marker)
    for line in process.stdout:
        if "setup_optimized" in line:
            break
    if number is signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    process.communicate(timeout=DEADLINE_IN_SECONDS)
    assert process.returncode != 0
    deadline = time.monotonic() + 20
    while processes_of(marker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_of(marker) == []
