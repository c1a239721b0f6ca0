"""The folder a trained model lies in: what the container serves and `package_model.py` packs.

Knows which files it holds and checks that it may be written. Does not know how to train.
"""

import csv
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from fine_tuning.errors import FineTuningError

CONFIG_FILE = "config.json"
LABEL_MAPPING_FILE = "label_mapping.csv"
METRICS_FILE = "metrics.json"
MODEL_CARD_FILE = "MODEL_CARD.md"
_OF_THE_MODEL_BEFORE = (
    *(CONFIG_FILE, "training_args.bin"),
    *("*.safetensors", "*.safetensors.index.json", "pytorch_model*"),
    *("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt"),
    *("confusion_matrix.png", "calibration.png", "training_curve.png", "predicted_and_true.png"),
)
"""Files that a model of another kind leaves behind and the next one need not write again."""
_UNFINISHED = ".unfinished"
"""A folder within the model's, and so on the same disk."""
_POINTER_START = b"version https://git-lfs"


def holds_model(folder: Path) -> bool:
    """Whether a model lies in ``folder`` already."""
    return (folder / CONFIG_FILE).exists()


def check_may_write(folder: Path, overwrite: bool) -> None:
    """Raises FineTuningError where ``folder`` cannot be written, or holds a model that may not be
    replaced."""
    if holds_model(folder) and not overwrite:
        raise FineTuningError(
            f"{folder} already holds a model. Give another --output-dir, or --overwrite."
        )
    there_already = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there_already.is_dir():
        raise FineTuningError(f"{there_already} is a file. Give a folder as --output-dir.")
    if not os.access(there_already, os.W_OK | os.X_OK):
        raise FineTuningError(
            f"{there_already} may not be written to. Give another --output-dir, or the right to "
            "write there."
        )


@contextmanager
def replaced_model_folder(folder: Path) -> Iterator[Path]:
    """Yields an empty folder, whose files become ``folder``'s once all of them are written.

    What a model there before left is removed then; other files stay. Where writing fails,
    ``folder`` stays as it was: it never holds half a model.
    """
    unfinished = folder / _UNFINISHED
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        for pattern in _OF_THE_MODEL_BEFORE:
            for path in folder.glob(pattern):
                path.unlink()
        # The config tells that a model is there, so it comes last.
        for path in sorted(unfinished.iterdir(), key=lambda path: path.name == CONFIG_FILE):
            path.replace(folder / path.name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_model_folder(
    folder: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    metrics: Mapping[str, object],
    model_card: str,
) -> None:
    """Writes weights (safetensors), tokenizer, labels, measures and card into ``folder``.

    ``metrics`` is what metrics.json holds.
    """
    model.save_pretrained(folder)
    # safetensors lets nobody but the owner read what it writes.
    for path in folder.glob("*.safetensors"):
        path.chmod((folder / CONFIG_FILE).stat().st_mode)
    tokenizer.save_pretrained(folder)
    _write_special_tokens(folder, tokenizer)
    with (folder / LABEL_MAPPING_FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("label_id", "label"))
        writer.writerows(sorted(model.config.id2label.items()))
    (folder / METRICS_FILE).write_text(
        json.dumps(metrics, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / MODEL_CARD_FILE).write_text(model_card, encoding="utf-8")


def check_weights_are_there(folder: Path) -> None:
    """Raises FineTuningError where a file of weights is the pointer that Git LFS keeps for it."""
    for path in (*folder.glob("*.safetensors"), *folder.glob("*.bin")):
        with path.open("rb") as file:
            if file.read(len(_POINTER_START)) == _POINTER_START:
                raise FineTuningError(
                    f"{path} is a Git LFS pointer in place of the weights. Run `git lfs pull` "
                    "where the folder comes from, and copy it again."
                )


def load_model_folder(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Model, on the GPU where there is one, and tokenizer of a local folder; FineTuningError where
    they cannot be loaded."""
    if not (folder / CONFIG_FILE).is_file():
        raise FineTuningError(
            f"{folder} holds no config.json, so it is not a model folder. Give --model-dir the "
            "folder that `python -m fine_tuning train` wrote."
        )
    check_weights_are_there(folder)
    try:
        model = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, SafetensorError) as error:
        raise FineTuningError(f"Could not load the model in {folder}: {error}") from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.eval().to(device), tokenizer


def _write_special_tokens(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """transformers 5 keeps them in tokenizer_config.json only; older readers want this file."""
    (folder / "special_tokens_map.json").write_text(
        json.dumps(tokenizer.special_tokens_map, indent=2) + "\n", encoding="utf-8"
    )
