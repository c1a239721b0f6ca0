"""Small labelled files of the three problems, whose labels follow from a few words of each text."""

import csv
import itertools
from pathlib import Path

OPENINGS = ("Since spring", "Last week", "For two years", "Again", "On Monday", "Now", "Still")
FACTS = {
    "rent": "the landlord raised the rent",
    "noise": "the neighbour makes noise at night",
    "wages": "the employer withheld wages",
    "refund": "the shop refused a refund",
}
DEMANDS = (
    "we want an answer",
    "I ask for help",
    "please advise",
    "a letter was sent",
    "it goes on",
)


def write_label_set(path: Path, problem_type: str) -> tuple[str, ...]:
    """Write a CSV file for a problem and return the columns of its labels."""
    rows = [
        (opening, fact, demand)
        for opening, fact, demand in itertools.product(OPENINGS, FACTS, DEMANDS)
    ]
    header, labelled = _LABELLED[problem_type](rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", *header))
        writer.writerows(labelled)
    return header


def _classes(rows):
    return ("label",), [(_text(*row), row[1]) for row in rows]


def _labels(rows):
    names = list(FACTS)
    pairs = [(row, names[(names.index(row[1]) + len(row[2])) % 4]) for row in rows]
    labelled = [
        (f"{_text(*row)} {FACTS[other]}.", *(int(name in (row[1], other)) for name in names))
        for row, other in pairs
    ]
    return tuple(names), labelled


def _amounts(rows):
    amounts = dict(zip(FACTS, (900.5, 4000.5, 12000.5, 60.5), strict=True))
    return ("damages",), [(_text(*row), amounts[row[1]]) for row in rows]


def _text(opening, fact, demand):
    return f"{opening} {FACTS[fact]}, {demand}."


_LABELLED = {
    "single_label_classification": _classes,
    "multi_label_classification": _labels,
    "regression": _amounts,
}
