"""How well a model's answers agree with the truth, counted for each of the three problems.

Knows scores and labels only, as arrays and names. Does not know how answers come about, nor where
the measures are printed. Shares lie between 0 and 1; a share whose denominator is zero is 0.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from fine_tuning.calibration import ReliabilityBin, expected_calibration_error, reliability_bins
from fine_tuning.problem_types import Label, MultiLabel, ProblemType, Regression


@dataclass(frozen=True)
class ClassMeasures:
    """How one class fared."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    """Documents that truly belong to the class."""


@dataclass(frozen=True)
class Confusion:
    """How often documents of one class were answered with another."""

    true: str
    predicted: str
    documents: int


@dataclass(frozen=True)
class ClassificationMeasures:
    """Measures of a classifier with one class a document."""

    documents: int
    accuracy: float
    macro_f1: float
    weighted_f1: float
    mean_top_score: float
    """Mean score of the predicted class: near the accuracy where scores can be trusted."""
    expected_calibration_error: float
    classes: tuple[ClassMeasures, ...]
    confusions: tuple[Confusion, ...]
    """The most frequent first; answers that were right are not among them."""
    reliability: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class MultiLabelMeasures:
    """Measures of a classifier with any number of labels a document."""

    documents: int
    exact_match: float
    """Share of documents with exactly the true labels."""
    micro_f1: float
    macro_f1: float
    weighted_f1: float
    expected_calibration_error: float
    """Over every score of every document."""
    classes: tuple[ClassMeasures, ...]
    reliability: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class RegressionMeasures:
    """Measures of a model that answers with a number, in the unit of the number."""

    documents: int
    mean_absolute_error: float
    root_mean_square_error: float
    r2: float
    """1 is perfect, 0 no better than always the mean."""
    mean_absolute_error_of_the_mean: float
    """What always answering the mean of these documents would get."""


Measures = ClassificationMeasures | MultiLabelMeasures | RegressionMeasures


@dataclass(frozen=True)
class Mistake:
    """A wrong answer. It names the document by its place, so that no text gets into a report."""

    place: int
    true: str
    predicted: str
    score: float
    """How sure the model was; for a regression, how far it was off."""


def measured(problem: ProblemType, labels: Sequence[Label], scores: Tensor) -> Measures:
    """The measures of ``scores`` [documents, labels] against the true ``labels``."""
    if problem.name == Regression.name:
        return _regression_measures(problem.targets(labels), scores.squeeze(-1))
    if problem.name == MultiLabel.name:
        return _multi_label_measures(problem, labels, scores)
    return _classification_measures(problem, labels, scores)


def single_numbers(measures: Measures) -> dict[str, float]:
    """The measures that are one number, by name; neither the count of documents nor what there is
    for each class."""
    return {name: value for name, value in asdict(measures).items() if isinstance(value, float)}


def most_confident_mistakes(
    problem: ProblemType, labels: Sequence[Label], scores: Tensor, limit: int = 20
) -> list[Mistake]:
    """Wrong answers, the surest first; of a regression, the farthest off."""
    if problem.name == Regression.name:
        off = (scores.squeeze(-1) - problem.targets(labels)).abs()
        mistakes = [
            Mistake(place, f"{labels[place]:g}", f"{float(scores[place]):g}", float(off[place]))
            for place in range(len(labels))
        ]
    elif problem.name == MultiLabel.name:
        mistakes = [
            Mistake(
                place,
                f"{name}: {'yes' if name in own else 'no'}",
                f"{name}: {'no' if name in own else 'yes'}",
                1 - score if name in own else score,
            )
            for place, own in enumerate(labels)
            for name, score in zip(problem.labels, scores[place].tolist(), strict=True)
            if (score >= problem.threshold) != (name in own)
        ]
    else:
        predicted = [problem.labels[place] for place in scores.argmax(dim=-1).tolist()]
        mistakes = [
            Mistake(place, labels[place], predicted[place], float(scores[place].max()))
            for place in range(len(labels))
            if predicted[place] != labels[place]
        ]
    return sorted(mistakes, key=lambda mistake: -mistake.score)[:limit]


def _classification_measures(
    problem: ProblemType, labels: Sequence[str], scores: Tensor
) -> ClassificationMeasures:
    top = scores.max(dim=-1)
    predicted = [problem.labels[place] for place in top.indices.tolist()]
    right = torch.tensor([one == other for one, other in zip(predicted, labels, strict=True)])
    classes = _class_measures(
        problem.labels,
        [{label} for label in labels],
        [{label} for label in predicted],
    )
    confusions = Counter(pair for pair in zip(labels, predicted, strict=True) if len(set(pair)) > 1)
    reliability = reliability_bins(top.values, right)
    return ClassificationMeasures(
        documents=len(labels),
        accuracy=float(right.float().mean()),
        macro_f1=_macro_f1(classes),
        weighted_f1=_weighted_f1(classes),
        mean_top_score=float(top.values.mean()),
        expected_calibration_error=expected_calibration_error(reliability),
        classes=classes,
        confusions=tuple(Confusion(*pair, count) for pair, count in confusions.most_common()),
        reliability=reliability,
    )


def _multi_label_measures(
    problem: MultiLabel, labels: Sequence[tuple[str, ...]], scores: Tensor
) -> MultiLabelMeasures:
    truth = [set(own) for own in labels]
    predicted = [
        {problem.labels[place] for place, score in enumerate(row) if score >= problem.threshold}
        for row in scores.tolist()
    ]
    classes = _class_measures(problem.labels, truth, predicted)
    hits = sum(len(own & answer) for own, answer in zip(truth, predicted, strict=True))
    reliability = reliability_bins(scores.flatten(), problem.targets(labels).flatten() > 0)
    return MultiLabelMeasures(
        documents=len(labels),
        exact_match=_share(
            sum(own == answer for own, answer in zip(truth, predicted, strict=True)), len(labels)
        ),
        micro_f1=_share(2 * hits, sum(map(len, truth)) + sum(map(len, predicted))),
        macro_f1=_macro_f1(classes),
        weighted_f1=_weighted_f1(classes),
        expected_calibration_error=expected_calibration_error(reliability),
        classes=classes,
        reliability=reliability,
    )


def _regression_measures(truth: Tensor, answers: Tensor) -> RegressionMeasures:
    truth, answers = truth.double(), answers.double()
    off, spread = answers - truth, truth - truth.mean()
    return RegressionMeasures(
        documents=len(truth),
        mean_absolute_error=float(off.abs().mean()),
        root_mean_square_error=float(off.square().mean().sqrt()),
        r2=1 - _share(float(off.square().sum()), float(spread.square().sum())),
        mean_absolute_error_of_the_mean=float(spread.abs().mean()),
    )


def _class_measures(
    labels: Sequence[str], truth: Sequence[set[str]], predicted: Sequence[set[str]]
) -> tuple[ClassMeasures, ...]:
    support, answered, right = Counter(), Counter(), Counter()
    for own, answer in zip(truth, predicted, strict=True):
        support.update(own)
        answered.update(answer)
        right.update(own & answer)
    return tuple(
        ClassMeasures(
            label=label,
            precision=_share(right[label], answered[label]),
            recall=_share(right[label], support[label]),
            f1=_share(2 * right[label], answered[label] + support[label]),
            support=support[label],
        )
        for label in labels
    )


def _macro_f1(classes: Sequence[ClassMeasures]) -> float:
    return _share(sum(one.f1 for one in classes), len(classes))


def _weighted_f1(classes: Sequence[ClassMeasures]) -> float:
    return _share(sum(one.f1 * one.support for one in classes), sum(one.support for one in classes))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
