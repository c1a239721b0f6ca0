"""
What makes a Hugging Face folder one that the container can serve, told from its files alone.

Reads JSON, CSV and the header of the safetensors file; loads no weights and needs no torch.
"""

import csv
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from batch_transform.errors import InvalidModelFolder

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
LABEL_MAPPING = "label_mapping.csv"
REQUIRED_FILES = ("config.json", WEIGHTS, "tokenizer.json", "tokenizer_config.json", LABEL_MAPPING)
PACKED_SUFFIXES = {".json", ".safetensors", ".txt", ".csv", ".md", ".model"}
PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"}


def check_model_folder(folder: Path) -> None:
    """Raise InvalidModelFolder with a sentence for each thing the container would refuse."""
    if not folder.is_dir():
        raise InvalidModelFolder(
            f"there is no model folder at {folder}: give --model-dir the folder that "
            "fine-tuning wrote"
        )
    if missing := list(_missing_files(folder)):
        raise InvalidModelFolder("\n".join(missing))
    problems = [*_json_problems(folder)]
    if not problems:
        problems = [*_label_problems(folder), *_weight_problems(folder)]
    if problems:
        raise InvalidModelFolder("\n".join(problems))


def files_to_pack(folder: Path) -> tuple[list[Path], list[str]]:
    """
    Return the files that belong in the artefact, by name, and a sentence for each one left out.

    Only kinds of files that cannot run code are taken: loading a pickle runs whatever it holds. A
    link stands for the file it leads to, as in the cache that Hugging Face downloads into.
    """
    packed, left_out = [], []
    for path in sorted(folder.iterdir()):
        if _is_pickle(path):
            left_out.append(f"{path.name}: a pickle can run code when it is loaded")
        elif path.is_dir():
            left_out.append(f"{path.name}/: a folder; the artefact is flat")
        elif path.suffix in PACKED_SUFFIXES and not path.name.startswith("."):
            packed.append(path)
        else:
            left_out.append(f"{path.name}: not a file the container reads")
    return packed, left_out


def _missing_files(folder: Path) -> Iterator[str]:
    for name in REQUIRED_FILES:
        if (folder / name).is_file() or (name == WEIGHTS and (folder / WEIGHTS_INDEX).is_file()):
            continue
        pickles = [path.name for path in sorted(folder.iterdir()) if _is_pickle(path)]
        if name == WEIGHTS and pickles:
            yield (
                f"{folder} lacks {name} (it has {', '.join(pickles)}, which is never packed: save "
                "the model again with save_pretrained, which writes safetensors)"
            )
        else:
            yield f"{folder} lacks {name}"


def _is_pickle(path: Path) -> bool:
    return path.suffix in PICKLE_SUFFIXES


def _json_problems(folder: Path) -> Iterator[str]:
    """Every JSON file that is packed must be one object: the container loads them all."""
    for path in sorted(folder.glob("*.json")):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            yield f"{path} is not JSON: {error}"
        else:
            if not isinstance(found, dict):
                yield f"{path} holds {type(found).__name__}, expected a JSON object"


def _label_problems(folder: Path) -> Iterator[str]:
    try:
        config = _read_json(folder / "config.json")
        in_config = {int(key): str(label) for key, label in config["id2label"].items()}
    except (KeyError, AttributeError, ValueError) as error:
        yield f"{folder / 'config.json'} holds no readable id2label: {error!r}"
        return
    try:
        in_mapping = _read_label_mapping(folder / LABEL_MAPPING)
    except (KeyError, TypeError, ValueError) as error:
        yield f"{folder / LABEL_MAPPING} needs the columns label_id and label: {error!r}"
        return
    for label_id in sorted(in_config.keys() | in_mapping.keys()):
        ours, theirs = in_mapping.get(label_id), in_config.get(label_id)
        if ours != theirs:
            yield (
                f"{LABEL_MAPPING} and config.json disagree on label {label_id}: "
                f"{_quoted(ours)} in {LABEL_MAPPING}, {_quoted(theirs)} in config.json"
            )


def _weight_problems(folder: Path) -> Iterator[str]:
    if (folder / WEIGHTS_INDEX).is_file():
        index = _read_json(folder / WEIGHTS_INDEX)
        files = sorted(set(index.get("weight_map", {}).values()))
    else:
        files = [WEIGHTS]
    for name in files:
        path = folder / name
        if not path.is_file():
            yield f"{folder} lacks {name}, which {WEIGHTS_INDEX} names"
        elif (expected := _safetensors_bytes(path)) is None:
            yield f"{path} is not a safetensors file: its header cannot be read"
        elif expected != path.stat().st_size:
            yield (
                f"{path} is cut short or damaged: its header speaks of {expected:,} bytes, "
                f"the file has {path.stat().st_size:,}"
            )


def _safetensors_bytes(path: Path) -> int | None:
    """Return the size that the header promises; format: 8 bytes of length, JSON, then tensors."""
    with path.open("rb") as file:
        try:
            (header_bytes,) = struct.unpack("<Q", file.read(8))
            header: dict[str, Any] = json.loads(file.read(min(header_bytes, 100_000_000)))
            tensors = [entry for name, entry in header.items() if name != "__metadata__"]
            return 8 + header_bytes + max(entry["data_offsets"][1] for entry in tensors)
        except (struct.error, ValueError, KeyError, TypeError, IndexError, AttributeError):
            return None


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _read_label_mapping(path: Path) -> dict[int, str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {int(row["label_id"]): row["label"] for row in csv.DictReader(file)}


def _quoted(label: str | None) -> str:
    return "nothing" if label is None else repr(label)
