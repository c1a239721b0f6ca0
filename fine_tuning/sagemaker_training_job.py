"""What SageMaker's training jobs agree on: folders below /opt/ml, and hyperparameters as strings.

Knows that contract and turns it into the options of `train`. Does not know what the options do.
Folders (SageMaker Developer Guide, "How Amazon SageMaker AI provides training information"):
input/config/hyperparameters.json, input/data/CHANNEL/, checkpoints/, model/, output/failure.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fine_tuning.errors import FineTuningError

TRAIN_CHANNEL, VALIDATION_CHANNEL, TEST_CHANNEL = "train", "validation", "test"
BASE_MODEL_CHANNEL = "base_model"
_MAX_FAILURE_CHARACTERS = 1024
"""DescribeTrainingJob shows no more of output/failure as FailureReason."""


@dataclass(frozen=True)
class TrainingJobFolders:
    """Where a training job finds and leaves its files; ``root`` is /opt/ml."""

    root: Path

    def hyperparameters(self) -> dict[str, str]:
        """The job's hyperparameters; none where SageMaker wrote no file."""
        path = self.root / "input" / "config" / "hyperparameters.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def channel(self, name: str) -> Path | None:
        """The folder of an input channel, None where the job has no such channel."""
        folder = self.root / "input" / "data" / name
        return folder if folder.is_dir() else None

    @property
    def failure(self) -> Path:
        """The file whose text becomes the job's FailureReason."""
        return self.root / "output" / "failure"


def train_arguments(folders: TrainingJobFolders) -> list[str]:
    """The options of `train` for this job.

    A channel `base_model` stands for --base-model, so that the job needs no hub.
    """
    options = {
        "output-dir": str(folders.root / "model"),
        "checkpoint-dir": str(folders.root / "checkpoints"),
    }
    for channel in (TRAIN_CHANNEL, VALIDATION_CHANNEL, TEST_CHANNEL):
        if folder := folders.channel(channel):
            options[channel] = str(_only_file(folder))
    if folder := folders.channel(BASE_MODEL_CHANNEL):
        options["base-model"] = str(folder)
    return hyperparameter_arguments(folders.hyperparameters()) + hyperparameter_arguments(options)


def hyperparameter_arguments(hyperparameters: Mapping[str, str]) -> list[str]:
    """The options of `train` that hyperparameters stand for.

    Each is named as its option, `text-column` or `text_column`; an empty one is a flag, as is the
    string `true`.
    """
    return [
        argument
        for name, value in hyperparameters.items()
        # The SDK passes facts of its own (its program, its region) among ours.
        if not name.startswith("sagemaker_")
        for argument in _option(name.replace("_", "-"), _unquoted(value))
    ]


def write_failure(folders: TrainingJobFolders, message: str) -> None:
    """Leaves ``message`` where SageMaker reads a failed job's reason."""
    folders.failure.parent.mkdir(parents=True, exist_ok=True)
    folders.failure.write_text(message[:_MAX_FAILURE_CHARACTERS], encoding="utf-8")


def _option(name: str, value: str) -> list[str]:
    return [f"--{name}"] if value in {"", "true"} else [f"--{name}", value]


def _unquoted(value: str) -> str:
    """SDKs write a string hyperparameter as JSON: with quotes around it."""
    try:
        parsed = json.loads(value)
    except ValueError:
        return value
    return parsed if isinstance(parsed, str) else value


def _only_file(folder: Path) -> Path:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    if len(files) != 1:
        raise FineTuningError(
            f"The channel {folder.name!r} holds {len(files)} files "
            f"({', '.join(path.name for path in files[:5]) or 'none'}), expected one labelled "
            "file. Give the S3 location of a single file."
        )
    return files[0]
