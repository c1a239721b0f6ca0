"""The unpacked model artefact: read, checked, and refused with an exact sentence.

A Hugging Face folder, flat: config.json, tokenizer.json, model.safetensors (or its shards and
their index), and label_mapping.csv and sample_texts.txt where there are such. No pickle is opened,
no code from the folder is run, nothing is fetched. Knows files; knows nothing of how the model is
run.
"""

import csv
import io
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from src.errors import ModelError

Part = TypeVar("Part")
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
LABEL_MAPPING = "label_mapping.csv"
SAMPLE_TEXTS = "sample_texts.txt"
# Tokens that are read at once where neither model nor tokenizer names a limit: attention over a
# document of any length would need memory without a limit, too.
LENGTH_WITHOUT_LIMIT = 512
# A tokenizer that was saved without a limit names a number of some thirty digits.
LARGEST_LIMIT = 2**31 - 1
# Architectures whose first position is the one after the padding token's id.
POSITIONS_FROM_PADDING = {"roberta", "xlm-roberta"}


@dataclass(frozen=True)
class ModelFolder:
    """A sequence classifier ready to run, in fp32: `labels[i]` names logit i."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    labels: list[str]
    max_length: int
    sample_texts: list[str]


def load_model_folder(path: Path) -> ModelFolder:
    """Load and check the folder at `path`; raises ModelError where it cannot be served."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    _require_files(path)
    config = _load(AutoConfig.from_pretrained, path, "config.json")
    labels = _labels(config)
    _check_label_mapping(path / LABEL_MAPPING, labels)
    tokenizer = _load(AutoTokenizer.from_pretrained, path, "tokenizer.json")
    model = _load_weights(path, config)
    _check_vocabulary(tokenizer, model)
    return ModelFolder(
        model, tokenizer, labels, _max_length(tokenizer, config), _sample_texts(path / SAMPLE_TEXTS)
    )


def _require_files(path: Path) -> None:
    missing = [name for name in ("config.json", "tokenizer.json") if not (path / name).is_file()]
    if not any((path / name).is_file() for name in (WEIGHTS, WEIGHTS_INDEX)):
        missing.append(WEIGHTS)
    if missing:
        raise ModelError(
            f"The model folder {path} lacks {', '.join(missing)}. Package a folder saved with "
            "save_pretrained: weights as safetensors (a pickle is never loaded), files at its top."
        )
    if not (path / WEIGHTS).is_file():
        _require_shards(path)


def _require_shards(path: Path) -> None:
    """The index may name safetensors only: transformers would open any other file as a pickle."""
    try:
        shards = set(json.loads((path / WEIGHTS_INDEX).read_bytes())["weight_map"].values())
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(
            f"Cannot read {path / WEIGHTS_INDEX}: {type(error).__name__}: {error}. Package a "
            "folder saved with save_pretrained."
        ) from error
    foreign = [str(name) for name in shards - {file.name for file in path.glob("*.safetensors")}]
    if foreign:
        raise ModelError(
            f"{WEIGHTS_INDEX} names {_some(foreign)}, of which there is no safetensors "
            f"file in {path}. Package a folder saved with save_pretrained, with all its shards."
        )


def _load(from_pretrained: Callable[..., Part], path: Path, name: str, **options: Any) -> Part:
    """Call one of transformers' loaders offline; its many errors become one of ours."""
    try:
        return from_pretrained(path, local_files_only=True, trust_remote_code=False, **options)
    except Exception as error:
        reason = " ".join(str(error).split())[:300].rstrip(".")
        raise ModelError(
            f"Cannot load {path / name}: {type(error).__name__}: {reason}. Package a folder saved "
            "with save_pretrained, whole, of an architecture that transformers itself has: no code "
            "is run from it."
        ) from error


def _labels(config: PreTrainedConfig) -> list[str]:
    label_ids = sorted(config.id2label)
    if label_ids != list(range(len(label_ids))) or not label_ids:
        raise ModelError(
            f"config.json's id2label has the ids {label_ids}, expected 0, 1, 2 … without a gap. "
            "Save the model with one label for each logit."
        )
    return [str(config.id2label[label_id]) for label_id in label_ids]


def _check_label_mapping(path: Path, labels: list[str]) -> None:
    """label_mapping.csv, columns label_id and label, must tell the same as config.json."""
    if not path.is_file():
        return
    rows = list(csv.DictReader(io.StringIO(_text(path), newline=""), restval=""))
    if not rows or not {"label_id", "label"} <= rows[0].keys():
        raise ModelError(f"{path.name} needs a header with the columns label_id and label.")
    mapping = {row["label_id"]: row["label"] for row in rows}
    expected = {str(label_id): label for label_id, label in enumerate(labels)}
    for label_id in sorted(mapping.keys() | expected.keys()):
        if mapping.get(label_id) != expected.get(label_id):
            raise ModelError(
                f"{path.name} names label {label_id} {mapping.get(label_id)!r}, config.json's "
                f"id2label names it {expected.get(label_id)!r}. Make the two agree."
            )


def _load_weights(path: Path, config: PreTrainedConfig) -> PreTrainedModel:
    model, report = _load(
        AutoModelForSequenceClassification.from_pretrained,
        path,
        WEIGHTS,
        config=config,
        use_safetensors=True,
        dtype=torch.float32,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    misshaped = {
        f"{name} {list(saved)} (config.json expects {list(expected)})"
        for name, saved, expected in report["mismatched_keys"]
    }
    complaints = [
        f"{fault} {_some(tensors)}"
        for fault, tensors in (
            ("lack", report["missing_keys"]),
            ("have unknown tensors", report["unexpected_keys"]),
            ("have misshaped tensors", misshaped),
        )
        if tensors
    ]
    if complaints:
        architecture = ", ".join(config.architectures or ["no architecture"])
        raise ModelError(
            f"The weights in {path} {'; they '.join(complaints)}. config.json names {architecture} "
            f"with {config.num_labels} labels: save weights and config of one sequence classifier."
        )
    _check_finite(model)
    return model.eval()


def _check_finite(model: PreTrainedModel) -> None:
    broken = [
        name for name, weights in model.named_parameters() if not torch.isfinite(weights).all()
    ]
    if broken:
        raise ModelError(
            f"The weights hold NaN or infinity in {_some(broken)}: the training diverged. "
            "Package an earlier checkpoint."
        )


def _some(names: Collection[str]) -> str:
    first = sorted(names)[:3]
    more = len(names) - len(first)
    return ", ".join(first) + (f" and {more} more" if more else "")


def _check_vocabulary(tokenizer: PreTrainedTokenizerFast, model: PreTrainedModel) -> None:
    largest = max(tokenizer.get_vocab().values())
    embeddings = model.get_input_embeddings().num_embeddings
    if largest >= embeddings:
        raise ModelError(
            f"The tokenizer's largest token id is {largest}, but the model embeds only "
            f"{embeddings} tokens (ids 0 to {embeddings - 1}). Package the tokenizer that the "
            "model was trained with."
        )


def _max_length(tokenizer: PreTrainedTokenizerFast, config: PreTrainedConfig) -> int:
    """The longest input, in tokens: the shorter of what the tokenizer and the model allow.

    A limit below 1 is none: XLNet's config gives -1.
    """
    positions = getattr(config, "max_position_embeddings", -1)
    if config.model_type in POSITIONS_FROM_PADDING:
        positions -= config.pad_token_id + 1
    limits = [
        int(limit)
        for limit in (tokenizer.model_max_length, positions)
        if 0 < limit <= LARGEST_LIMIT
    ]
    return min(limits, default=LENGTH_WITHOUT_LIMIT)


def _sample_texts(path: Path) -> list[str]:
    """The owner's own documents, one a line, blank lines left out; none without the file."""
    if not path.is_file():
        return []
    return [line.strip() for line in _text(path).split("\n") if line.strip()]


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelError(
            f"Cannot read {path.name} as UTF-8: {error.reason} at byte {error.start}. Convert it, "
            "and package the folder again."
        ) from error
