"""
Where the documents stand that a person should read first: those between two classes.

The margin is the best score less the second. Keeps a bounded number, the lowest margins; memory
does not grow with the number of documents.
"""

import csv
import heapq
import io
from dataclasses import astuple, dataclass, fields
from typing import Any

LONGEST_LIST = 10_000
_EXCERPT_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class DoubtfulDocument:
    """One row of review.csv; *text* is the beginning of the document, empty unless asked for."""

    source: str
    line: int
    predicted_class: str
    score: float
    second_class: str
    second_score: float
    margin: float
    text: str


class ReviewList:
    """The most doubtful of all documents with a margin below a limit."""

    def __init__(self, below: float, longest: int = LONGEST_LIST) -> None:
        self.below = below
        self.documents = 0
        self._longest = longest
        self._kept: list[tuple[float, int, DoubtfulDocument]] = []

    def add(self, answer: dict[str, Any], margin: float) -> None:
        """Take an answer whose margin is below the limit; of equal margins the first one stays."""
        self.documents += 1
        order = (-margin, -self.documents)
        if len(self._kept) < self._longest:
            heapq.heappush(self._kept, (*order, _row(answer, margin)))
        elif order > self._kept[0][:2]:
            heapq.heapreplace(self._kept, (*order, _row(answer, margin)))

    def rows(self) -> list[DoubtfulDocument]:
        """Return what was kept, the lowest margin first."""
        return [row for _, _, row in sorted(self._kept, key=lambda kept: kept[:2], reverse=True)]

    def to_csv(self) -> bytes:
        """Return the list as a table that a spreadsheet opens; cells cannot become formulas."""
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(field.name for field in fields(DoubtfulDocument))
        for row in self.rows():
            writer.writerow(map(harmless_cell, astuple(row)))
        return table.getvalue().encode()


def harmless_cell(value: object) -> object:
    """Return a cell that no spreadsheet runs: text that begins like a formula gets a quote."""
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return f"'{value}"
    return value


def margin_of(top_predictions: list[dict[str, Any]]) -> float:
    """Return by how much the best class leads; the whole score where there is no second."""
    best = top_predictions[0]["score"]
    return best - top_predictions[1]["score"] if len(top_predictions) > 1 else best


def _row(answer: dict[str, Any], margin: float) -> DoubtfulDocument:
    top = answer["predictions"]["top_predictions"]
    second = top[1] if len(top) > 1 else {"class": "", "score": 0.0}
    return DoubtfulDocument(
        source=answer["source"],
        line=answer["line"],
        predicted_class=top[0]["class"],
        score=top[0]["score"],
        second_class=second["class"],
        second_score=second["score"],
        margin=round(margin, 6),
        text=answer.get("text", "")[:_EXCERPT_CHARACTERS],
    )
