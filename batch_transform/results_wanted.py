"""
What an operator wants of a job's answers.

Kept in the job's record, so that whoever consolidates the job, on any machine, makes what was
asked for at its start. Knows neither options nor files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self


@dataclass(frozen=True)
class ResultsWanted:
    """
    The results of one job.

    Attributes
    ----------
    output_format
        The form of the one file with all answers.
    review_below
        Documents whose two best classes lie closer than this are to be read by a person.
    with_text
        Whether results hold the documents' texts, which are confidential.
    keeps_shards
        Whether the packed texts stay after every answer was verified.
    """

    output_format: str = "json"
    review_below: float = 0.2
    with_text: bool = False
    keeps_shards: bool = False

    def changed(self, asked: Mapping[str, Any]) -> Self:
        """Return these wants but for those that *asked* names, a field each."""
        return replace(self, **asked)
