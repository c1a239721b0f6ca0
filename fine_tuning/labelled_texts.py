"""Labelled texts out of a table, and a refusal of whatever no model could learn from.

Knows which columns make a document and which labels can be learnt. Does not know file formats,
tokenizers or models. Every refusal names the file and the row.
"""

import csv
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fine_tuning.columns import LABEL_COLUMN, TEXT_COLUMN, Columns
from fine_tuning.errors import FineTuningError
from fine_tuning.label_columns import is_number, problem_posed_by, read_labels
from fine_tuning.problem_types import (
    PROBLEM_TYPES,
    Label,
    MultiLabel,
    ProblemType,
    Regression,
)
from fine_tuning.table_files import Row, Table, read_table


@dataclass(frozen=True)
class LabelledText:
    """One document and what it is labelled with."""

    text: str
    label: Label
    row: int = field(default=0, compare=False)
    """Its row in its file; 0 for a text that comes from none."""


@dataclass(frozen=True)
class LabelledFile:
    """A file's checked rows and the problem that they pose."""

    path: Path
    examples: list[LabelledText]
    problem: ProblemType


def read_training_file(path: Path, columns: Columns) -> LabelledFile:
    """The rows to learn from and the problem they pose; FineTuningError names the first bad row."""
    table = _table(path, columns)
    name = columns.problem_type or problem_posed_by(table, columns.label)
    examples = _examples(table, columns, name)
    if name == Regression.name:
        _check_spread(path, examples)
        return LabelledFile(path, examples, Regression(columns.label))
    _check_spelling(path, examples)
    labels = columns.label if len(columns.label) > 1 else tuple(sorted(set(_all_labels(examples))))
    _check_counts(path, examples, labels)
    return LabelledFile(path, examples, PROBLEM_TYPES[name](labels))


def read_examples(path: Path, columns: Columns, problem: ProblemType) -> list[LabelledText]:
    """The rows of a file for a problem known already; a label that the problem lacks is refused.

    So are several label columns that leave out one of the problem's, which would count as none.
    """
    lacks = [label for label in problem.labels if label not in columns.label]
    if problem.name == MultiLabel.name and len(columns.label) > 1 and lacks:
        raise FineTuningError(
            f"{path}: the label columns leave out {', '.join(map(repr, lacks))}, which the model "
            "answers too. Name a --label-column for each of its labels."
        )
    examples = _examples(_table(path, columns), columns, problem.name)
    if problem.name == Regression.name:
        return examples
    for example in examples:
        for label in _own_labels(example):
            if label not in problem.labels:
                raise FineTuningError(
                    f"{path}, row {example.row}: the label {label!r} is not one that the model "
                    f"knows ({', '.join(map(repr, problem.labels))}). Correct the label, or train "
                    "with it."
                )
    return examples


def write_labelled_texts(path: Path, examples: Iterable[LabelledText]) -> None:
    """A CSV file of texts and classes that `read_training_file` reads back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((TEXT_COLUMN, LABEL_COLUMN))
        writer.writerows((example.text, example.label) for example in examples)


def _table(path: Path, columns: Columns) -> Table:
    table = read_table(path)
    missing = [name for name in (*columns.text, *columns.label) if name not in table.columns]
    if missing:
        raise FineTuningError(
            f"{path} has no column {' or '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, table.columns)) or 'none'}. Name the columns with "
            "--text-column and --label-column."
        )
    return table


def _examples(table: Table, columns: Columns, problem_type: str) -> list[LabelledText]:
    texts = [_document(table.path, row, columns) for row in table.rows]
    labels = read_labels(table, columns.label, problem_type)
    examples = [
        LabelledText(text, label, row.number)
        for text, label, row in zip(texts, labels, table.rows, strict=True)
    ]
    if problem_type == MultiLabel.name and not columns.allow_no_label:
        _check_some_label(table.path, examples)
    return examples


def _document(path: Path, row: Row, columns: Columns) -> str:
    segments = [row.cells.get(column) for column in columns.text]
    for column, segment in zip(columns.text, segments, strict=True):
        if segment is not None and not isinstance(segment, str):
            raise FineTuningError(
                f"{path}, row {row.number}: the column {column!r} holds {segment!r}, expected text."
            )
    if not any(segment and segment.strip() for segment in segments):
        names = " and ".join(repr(column) for column in columns.text)
        raise FineTuningError(
            f"{path}, row {row.number}: the column {names} is empty. Fill it in or remove the row."
        )
    return f" {columns.separator} ".join(segment or "" for segment in segments)


def _own_labels(example: LabelledText) -> tuple[str, ...]:
    return (example.label,) if isinstance(example.label, str) else example.label


def _all_labels(examples: Sequence[LabelledText]) -> Iterator[str]:
    for example in examples:
        yield from _own_labels(example)


def _check_some_label(path: Path, examples: Sequence[LabelledText]) -> None:
    for example in examples:
        if not example.label:
            raise FineTuningError(
                f"{path}, row {example.row}: no label applies to it. Give it one, remove the row, "
                "or say --allow-no-label where that is meant."
            )


def _check_spelling(path: Path, examples: Sequence[LabelledText]) -> None:
    first_with: dict[str, tuple[str, int]] = {}
    for example in examples:
        for label in _own_labels(example):
            spelling, row = first_with.setdefault(_as_it_looks(label), (label, example.row))
            if spelling != label:
                raise FineTuningError(
                    f"{path}, row {example.row}: the label {label!r} and row {row}'s {spelling!r} "
                    "differ by case, spaces or invisible characters only. Write them the same way."
                )


def _as_it_looks(label: str) -> str:
    """The same for labels that a reader would take for one."""
    characters = unicodedata.normalize("NFKC", label)
    seen = "".join(one for one in characters if unicodedata.category(one) != "Cf")
    return " ".join(seen.split()).casefold()


def _check_counts(path: Path, examples: Sequence[LabelledText], labels: Sequence[str]) -> None:
    count_of = Counter(_all_labels(examples))
    if unused := [label for label in labels if label not in count_of]:
        raise FineTuningError(
            f"{path}: the label {unused[0]!r} applies to no row. Add rows, or leave the column out."
        )
    if len(count_of) < 2:
        raise FineTuningError(
            f"{path}: all {len(examples)} rows have the label {next(iter(count_of), None)!r}, so "
            "there is nothing to tell apart. Give rows of two classes or more."
        )
    remedy = "Add rows, or merge it with another label."
    if all(is_number(example.label) for example in examples):
        remedy += f" If the labels are numbers to learn, give --problem-type {Regression.name}."
    for example in examples:
        for label in _own_labels(example):
            if count_of[label] == 1:
                raise FineTuningError(
                    f"{path}, row {example.row}: the label {label!r} has one row only, so it "
                    f"cannot be both trained and validated. {remedy}"
                )


def _check_spread(path: Path, examples: Sequence[LabelledText]) -> None:
    if len({example.label for example in examples}) < 2:
        raise FineTuningError(
            f"{path}: every row has the number {examples[0].label}, so there is nothing to learn."
        )
