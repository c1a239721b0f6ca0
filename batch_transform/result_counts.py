"""
How the lines of a job's input fared, in the words that the page and the terminal share.

Knows a summary; draws nothing.
"""

from dataclasses import dataclass
from typing import Any, Self

from batch_transform.wording import counted

_BLANK = "EmptyDocument"
"""How a summary calls a line that was not sent because there is nothing on it."""


@dataclass(frozen=True, slots=True)
class ResultCounts:
    """
    Documents and lines by what became of them.

    Of the documents *packed*, those *answered* have any answer, those *classified* a class.
    Lines *not_sent* hold something that cannot be a document; *blank* ones hold nothing.
    """

    packed: int
    answered: int
    classified: int
    not_sent: int
    blank: int

    @classmethod
    def of(cls, summary: dict[str, Any]) -> Self:
        """Count what a summary tells."""
        blank = summary["left_out"].get(_BLANK, 0)
        return cls(
            packed=summary["documents_packed"],
            answered=summary["documents"],
            classified=summary["answered"],
            not_sent=sum(summary["left_out"].values()) - blank,
            blank=blank,
        )

    @property
    def unclassified(self) -> int:
        """The documents whose answer is an error."""
        return self.answered - self.classified

    def without_class(self) -> list[str]:
        """Return what errors.jsonl lists, a phrase each."""
        found = {
            f"{counted(self.unclassified, 'document')} got no class": self.unclassified,
            f"{counted(self.not_sent, 'line')} {_were(self.not_sent)} never sent": self.not_sent,
        }
        return [phrase for phrase, count in found.items() if count]


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What a job's results are worth, in a sentence.

    *rank* is `good`, `partial` where documents have no answer, and between them `reserved`.
    """

    rank: str
    sentence: str

    @classmethod
    def on(cls, summary: dict[str, Any]) -> Self:
        """Judge: good is only what has a class for every line that is not blank."""
        counts = ResultCounts.of(summary)
        if not summary["is_complete"]:
            packed = counted(counts.packed, "document")
            return cls("partial", f"Partial: {counts.answered:,} of {packed} answered.")
        sentence = "Every packed document was answered exactly once"
        if not (reservations := counts.without_class()):
            return cls("good", f"{sentence}.")
        return cls("reserved", f"{sentence}; {', '.join(reservations)}.")


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
