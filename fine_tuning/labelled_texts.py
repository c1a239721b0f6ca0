"""Reads and writes labelled texts, and refuses what no model could learn from.

Knows CSV files with a header. Does not know tokenizers or models. Every refusal names the file
and the row, counted as a spreadsheet shows it: the header is row 1.
"""

import csv
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fine_tuning.errors import FineTuningError

TEXT_COLUMN = "text"
LABEL_COLUMN = "label"


@dataclass(frozen=True)
class LabelledText:
    """One document and the category it belongs to."""

    text: str
    label: str


def read_labelled_texts(
    path: Path, text_column: str = TEXT_COLUMN, label_column: str = LABEL_COLUMN
) -> list[LabelledText]:
    """The rows of a UTF-8 CSV file with a header; FineTuningError names the first bad row."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            _check_columns(path, reader.fieldnames or (), (text_column, label_column))
            examples = [
                _labelled_text(path, row, row_number, text_column, label_column)
                for row_number, row in enumerate(reader, start=2)
            ]
    except OSError as error:
        raise FineTuningError(
            f"Could not read {path}: {error.strerror}. Give the path of a readable CSV file."
        ) from error
    except UnicodeDecodeError as error:
        raise FineTuningError(
            f"Could not read {path}: byte {error.start} is not UTF-8. Save the file as UTF-8."
        ) from error
    except csv.Error as error:
        raise FineTuningError(
            f"Could not read {path}: line {reader.line_num} is not valid CSV ({error}). "
            "Put texts that hold commas, quotes or line breaks in double quotes."
        ) from error
    if not examples:
        raise FineTuningError(f"{path} holds no rows below its header. Give at least two classes.")
    return examples


def write_labelled_texts(path: Path, examples: Iterable[LabelledText]) -> None:
    """A CSV file that `read_labelled_texts` reads back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((TEXT_COLUMN, LABEL_COLUMN))
        writer.writerows((example.text, example.label) for example in examples)


def label_names(examples: Sequence[LabelledText]) -> list[str]:
    """The classes in alphabetical order; FineTuningError where one cannot be learnt."""
    count_of = Counter(example.label for example in examples)
    if len(count_of) < 2:
        raise FineTuningError(
            f"All {len(examples)} rows have the label {next(iter(count_of))!r}: "
            "there is nothing to tell apart. Give rows of two classes or more."
        )
    for label, count in count_of.items():
        if count == 1:
            raise FineTuningError(
                f"The label {label!r} has one row only, so it cannot be both trained and "
                "validated. Add rows, or merge it with another label."
            )
    return sorted(count_of)


def check_known_labels(path: Path, examples: Sequence[LabelledText], known: Sequence[str]) -> None:
    """Raises FineTuningError for the first row whose label the model does not have."""
    for row_number, example in enumerate(examples, start=2):
        if example.label not in known:
            raise FineTuningError(
                f"{path}, row {row_number}: the label {example.label!r} is not one that the model "
                f"knows ({', '.join(known)}). Correct the label, or train with it."
            )


def stratified_split(
    examples: Sequence[LabelledText], validation_share: float, seed: int
) -> tuple[list[LabelledText], list[LabelledText]]:
    """Training and validation rows, each class in the same share and at least one of it in each."""
    rows_of: dict[str, list[LabelledText]] = defaultdict(list)
    for example in examples:
        rows_of[example.label].append(example)
    rng = random.Random(seed)  # noqa: S311 (a split, not a secret)
    training, validation = [], []
    for rows in rows_of.values():
        rng.shuffle(rows)
        held_out = min(max(1, round(len(rows) * validation_share)), len(rows) - 1)
        validation += rows[:held_out]
        training += rows[held_out:]
    return training, validation


def _check_columns(path: Path, found: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [column for column in wanted if column not in found]
    if missing:
        raise FineTuningError(
            f"{path} has no column {' or '.join(map(repr, missing))}; its header has "
            f"{', '.join(map(repr, found)) or 'nothing'}. Name the columns with --text-column "
            "and --label-column."
        )


def _labelled_text(
    path: Path, row: dict[str, str | None], row_number: int, text_column: str, label_column: str
) -> LabelledText:
    text, label = (row[column] or "" for column in (text_column, label_column))
    for column, value in ((text_column, text), (label_column, label)):
        if not value.strip():
            raise FineTuningError(
                f"{path}, row {row_number}: the column {column!r} is empty. "
                "Fill it in or remove the row."
            )
    return LabelledText(text, label)
