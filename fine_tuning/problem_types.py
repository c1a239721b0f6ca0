"""The three problems that a labelled file can pose, by transformers' names for them.

Each knows what a label is to the model (a target), what its logits mean (scores) and what it costs
to be wrong (loss). None knows texts, files or how a model is trained.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedConfig

from fine_tuning.columns import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from fine_tuning.errors import FineTuningError

Label = str | tuple[str, ...] | float
"""A class · the labels that apply · a number."""
DEFAULT_THRESHOLD = 0.5
"""The score from which a label applies, where config.json has no `threshold`."""


class ProblemType(Protocol):
    """What training, evaluation and calibration ask of a problem."""

    name: str
    """transformers' `problem_type`."""
    labels: tuple[str, ...]
    """`labels[i]` names logit i."""
    best_metric: str
    """The measure that early stopping watches."""
    greater_is_better: bool

    def targets(self, labels: Sequence[Label]) -> Tensor:
        """Labels as the loss wants them: [documents] or [documents, labels]."""

    def scores(self, logits: Tensor) -> Tensor:
        """What the container answers for logits [documents, labels], in the same shape."""

    def softened(self, targets: Tensor, doubt: float) -> Tensor:
        """Targets in the logits' shape, of which a share ``doubt`` is spread over all answers."""

    def loss(self, logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """The mean loss against `softened` targets; ``weights`` as `class_weights` gives them."""

    def class_weights(self, labels: Sequence[Label]) -> Tensor | None:
        """Weights [labels] that make a rare class count as much as a common one."""


@dataclass(frozen=True)
class SingleLabel:
    """Exactly one class a document."""

    labels: tuple[str, ...]
    name: str = field(default=SINGLE_LABEL, init=False)
    best_metric: str = field(default="macro_f1", init=False)
    greater_is_better: bool = field(default=True, init=False)

    def targets(self, labels: Sequence[Label]) -> Tensor:
        """Class ids [documents]."""
        label_id_of = {label: label_id for label_id, label in enumerate(self.labels)}
        return torch.tensor([label_id_of[label] for label in labels])

    def scores(self, logits: Tensor) -> Tensor:
        """Probabilities that sum to 1."""
        return logits.softmax(dim=-1)

    def softened(self, targets: Tensor, doubt: float) -> Tensor:
        """One probability a class."""
        certain = functional.one_hot(targets, len(self.labels)).float()
        return certain * (1 - doubt) + doubt / len(self.labels)

    def loss(self, logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """Cross-entropy."""
        return functional.cross_entropy(logits, targets, weight=weights)

    def class_weights(self, labels: Sequence[Label]) -> Tensor | None:
        """Documents of an average class over documents of the class."""
        count_of = Counter(labels)
        average = len(labels) / len(self.labels)
        return torch.tensor([average / max(1, count_of[label]) for label in self.labels])


@dataclass(frozen=True)
class MultiLabel:
    """Any number of labels a document, each on its own."""

    labels: tuple[str, ...]
    threshold: float = DEFAULT_THRESHOLD
    """A label applies from this score on."""
    name: str = field(default=MULTI_LABEL, init=False)
    best_metric: str = field(default="macro_f1", init=False)
    greater_is_better: bool = field(default=True, init=False)

    def targets(self, labels: Sequence[Label]) -> Tensor:
        """0.0 or 1.0 for each document and label."""
        return torch.tensor(
            [[float(label in own) for label in self.labels] for own in labels],
            dtype=torch.float32,
        )

    def scores(self, logits: Tensor) -> Tensor:
        """A probability for each label; they do not sum to 1."""
        return logits.sigmoid()

    def softened(self, targets: Tensor, doubt: float) -> Tensor:
        """One probability a label."""
        return targets * (1 - doubt) + doubt / 2

    def loss(self, logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """Binary cross-entropy over all labels."""
        return functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights)

    def class_weights(self, labels: Sequence[Label]) -> Tensor | None:
        """Square root of documents without the label over documents with it.

        The root, because the full ratio makes the model claim rare labels far too often.
        """
        present = self.targets(labels).sum(dim=0).clamp(min=1)
        return ((len(labels) - present).clamp(min=1) / present).sqrt()


@dataclass(frozen=True)
class Regression:
    """One number a document."""

    labels: tuple[str]
    """The name of what is measured, from the file's column."""
    name: str = field(default=REGRESSION, init=False)
    best_metric: str = field(default="mean_absolute_error", init=False)
    greater_is_better: bool = field(default=False, init=False)

    def targets(self, labels: Sequence[Label]) -> Tensor:
        """The numbers themselves [documents]."""
        return torch.tensor(labels, dtype=torch.float32)

    def scores(self, logits: Tensor) -> Tensor:
        """The logit is the number."""
        return logits

    def softened(self, targets: Tensor, doubt: float) -> Tensor:
        """The numbers as a column; there is no other answer to spread anything over."""
        del doubt
        return targets.unsqueeze(-1)

    def loss(self, logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean squared error; a number has no class to weigh."""
        del weights
        return functional.mse_loss(logits, targets)

    def class_weights(self, labels: Sequence[Label]) -> Tensor | None:
        """None: there are no classes."""
        del labels


PROBLEM_TYPES: dict[str, type] = {kind.name: kind for kind in (SingleLabel, MultiLabel, Regression)}


def head_config(problem: ProblemType) -> dict[str, object]:
    """The entries of config.json that tell the problem and the name of each logit."""
    return {
        "problem_type": problem.name,
        "id2label": dict(enumerate(problem.labels)),
        "label2id": {label: label_id for label_id, label in enumerate(problem.labels)},
    }


def problem_type_of(config: PreTrainedConfig) -> ProblemType:
    """The problem that a model was trained for; without a name in its config, one logit is a
    regression and several are classes, as transformers itself has it."""
    labels = tuple(config.id2label[label_id] for label_id in sorted(config.id2label))
    default = SingleLabel.name if len(labels) > 1 else Regression.name
    name = config.problem_type or default
    if name == MultiLabel.name:
        return MultiLabel(labels, _threshold(config))
    return PROBLEM_TYPES[name](labels)


def _threshold(config: PreTrainedConfig) -> float:
    threshold = getattr(config, "threshold", DEFAULT_THRESHOLD)
    if type(threshold) not in {int, float} or not 0 <= threshold <= 1:
        raise FineTuningError(
            f"config.json's threshold is {threshold!r}, expected a number from 0 to 1: the score "
            f"from which a label applies. Correct it, or remove it to take {DEFAULT_THRESHOLD}."
        )
    return threshold
