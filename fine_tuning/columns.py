"""Which columns of a labelled file are meant, and which problem they pose.

Knows names alone, and imports nothing: the options of `train` are checked where torch is missing.
"""

from dataclasses import dataclass, replace

TEXT_COLUMN = "text"
LABEL_COLUMN = "label"
SEGMENT_SEPARATOR = "[SEP]"
SINGLE_LABEL = "single_label_classification"
MULTI_LABEL = "multi_label_classification"
REGRESSION = "regression"
PROBLEM_TYPE_NAMES = (SINGLE_LABEL, MULTI_LABEL, REGRESSION)
"""transformers' own names, as they stand in config.json."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a file make up a document and its label."""

    text: tuple[str, ...] = (TEXT_COLUMN,)
    label: tuple[str, ...] = (LABEL_COLUMN,)
    problem_type: str | None = None
    """transformers' name of the problem; None to tell it from the label columns."""
    separator: str = SEGMENT_SEPARATOR
    """Stands between the segments where several text columns make one document."""
    allow_no_label: bool = False
    """Take multi-label rows to which no label applies."""

    def parted_by(self, separator: str | None) -> "Columns":
        """The same columns with a tokenizer's own separator; unchanged where it has none."""
        return replace(self, separator=separator or self.separator)
