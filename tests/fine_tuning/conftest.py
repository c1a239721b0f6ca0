"""The commands of fine_tuning, run in this process, and a small file to train on."""

import contextlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from fine_tuning.command_line import main
from tests.scripts.conftest import operator  # noqa: F401 (a fixture)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Models this small are trained as fast by one thread, and much faster on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str


def run_fine_tuning(*arguments: object) -> Ended:
    """Run one command of `python -m fine_tuning`."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        pytest.raises(SystemExit) as ended,
    ):
        main([str(argument) for argument in arguments])
    return Ended(ended.value.code, stdout.getvalue(), stderr.getvalue())


@pytest.fixture(scope="session")
def fine_tuning() -> Callable[..., Ended]:
    """The command line."""
    return run_fine_tuning


@pytest.fixture(scope="session")
def disputes_file(tmp_path_factory):
    """Two hundred generated disputes of ten classes."""
    path = tmp_path_factory.mktemp("data") / "disputes.csv"
    generated = run_fine_tuning("generate-disputes", "--output", path, "--documents", 200)
    assert generated.exit_code == 0, generated.stderr
    return path


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory, disputes_file, one_thread):
    """A model trained on them for one short epoch, from the command line."""
    folder = tmp_path_factory.mktemp("model") / "final"
    trained = run_fine_tuning(
        *("train", "--train", disputes_file, "--test", disputes_file, "--from-scratch", "tiny"),
        *("--output-dir", folder, "--epochs", 1, "--max-length", 64),
    )
    assert trained.exit_code == 0, trained.stderr
    assert "Problem type: single_label_classification; --problem-type asks" in trained.stderr
    assert "Training on 180 texts, validating on 20." in trained.stderr
    assert "test: 200 documents, accuracy" in trained.stdout
    assert "whose expected calibration error was" in trained.stdout
    assert "200 test texts nearly repeat a training text" not in trained.stderr
    assert "180 test texts nearly repeat a training text" in trained.stderr
    return folder


@pytest.fixture
def job_answers(operator):  # noqa: F811 (the fixture imported above)
    """Packages a model folder and has a job of the local AWS answer some texts with it."""

    def run_job(folder, texts):
        packaged = operator.run("package_model.py", "--model-dir", str(folder))
        assert packaged.returncode == 0, packaged.stderr
        operator.upload(texts="\n".join(texts).encode())
        done = operator.run("setup_optimized_batch_transform.py", "--download-to", "results")
        assert done.returncode == 0, done.stderr
        return json.loads((operator.cwd / "results" / "predictions.json").read_text())

    return run_job
