"""
What a stream of answers says, summed up one answer at a time in constant memory.

Knows an answer of the container once it is read; knows no shards and no files.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

CONFIDENCE_BINS = 20


@dataclass
class AnswerCounts:
    """Errors by code, classes, and how sure the model was."""

    answered: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    documents_by_class: Counter[str] = field(default_factory=Counter)
    confidence_by_class: Counter[str] = field(default_factory=Counter)
    documents_by_confidence: list[int] = field(default_factory=lambda: [0] * CONFIDENCE_BINS)

    def add_error(self, error: dict[str, Any]) -> None:
        """Count a document that got no class."""
        self.errors[error["code"]] += 1

    def add_prediction(self, label: str, score: float) -> None:
        """Count a document whose best class is *label*."""
        self.answered += 1
        self.documents_by_class[label] += 1
        self.confidence_by_class[label] += score
        if 0 <= score <= 1:  # what a regression model answers may be no probability
            column = min(int(score * CONFIDENCE_BINS), CONFIDENCE_BINS - 1)
            self.documents_by_confidence[column] += 1

    @property
    def documents(self) -> int:
        """All answers, errors included."""
        return self.answered + self.errors.total()

    def classes(self) -> dict[str, dict[str, float]]:
        """Return documents and mean confidence of each class, the most frequent class first."""
        return {
            label: {
                "documents": documents,
                "mean_confidence": round(self.confidence_by_class[label] / documents, 4),
            }
            for label, documents in self.documents_by_class.most_common()
        }

    def mean_confidence(self) -> float | None:
        """Return the mean over all predictions, or None where there is none."""
        if not self.answered:
            return None
        return round(sum(self.confidence_by_class.values()) / self.answered, 4)
