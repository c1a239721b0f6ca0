"""Draws what was measured: confusion matrix, calibration and training curve, as PNG files.

Knows matplotlib. Does not know how anything was measured. Needs no screen.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from fine_tuning.evaluation import Evaluation
from fine_tuning.labelled_texts import LabelledText
from fine_tuning.measures import (
    ClassificationMeasures,
    Measures,
    MultiLabelMeasures,
    RegressionMeasures,
)
from fine_tuning.model_card import spoken
from fine_tuning.problem_types import Label, MultiLabel, ProblemType
from fine_tuning.training import TrainingHistory

CONFUSION_MATRIX = "confusion_matrix.png"
CALIBRATION = "calibration.png"
TRAINING_CURVE = "training_curve.png"
PREDICTED_AND_TRUE = "predicted_and_true.png"

_BLUE, _ORANGE, _GREY = "#2a6f97", "#d9772b", "#9aa5b1"
_TICKS = 5
_DPI = 110
_CELL_IN_INCHES, _FEWEST_INCHES, _MOST_INCHES = 0.55, 2.5, 33
"""Of a matrix and its cells, which are larger in a small matrix and smaller in a large one."""
_MOST_CHARACTERS = 40
"""Of a name beside a matrix."""


def draw_answers(
    problem: ProblemType, examples: Sequence[LabelledText], evaluation: Evaluation, folder: Path
) -> None:
    """The picture of right and wrong answers that suits the problem."""
    measures = evaluation.measures
    truth = [example.label for example in examples]
    if isinstance(measures, ClassificationMeasures):
        _draw_confusion_matrix(measures, folder / CONFUSION_MATRIX)
    elif isinstance(measures, MultiLabelMeasures):
        counts = label_counts(problem, truth, evaluation.scores)
        _draw_label_counts(counts, measures, folder / CONFUSION_MATRIX)
    else:
        answers = evaluation.scores.squeeze(-1).tolist()
        _draw_predicted_and_true(truth, answers, problem.labels[0], folder / PREDICTED_AND_TRUE)


def draw_calibration(before: Measures, after: Measures, folder: Path) -> None:
    """Share of answers that were right against their score; nothing for a regression."""
    if isinstance(after, RegressionMeasures):
        return
    figure, axes = _figure(size=5)
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle="--", label="as it should be")
    curves = (("before", before, _ORANGE), ("after", after, _BLUE))
    for name, measures, colour in curves:
        bins = measures.reliability
        answers = sum(one.answers for one in bins)
        scores = [one.mean_score for one in bins]
        shares = [one.share_right for one in bins]
        error = measures.expected_calibration_error
        axes.plot(scores, shares, color=colour, label=f"{name} calibration, ECE {error:.3f}")
        sizes = [12 + 150 * one.answers / answers for one in bins]
        axes.scatter(scores, shares, s=sizes, color=colour)
    share = "share that applies" if isinstance(after, MultiLabelMeasures) else "share right"
    axes.set(xlabel="score", ylabel=share, xlim=(0, 1.02), ylim=(0, 1.02))
    axes.legend(frameon=False)
    _save(figure, folder / CALIBRATION)


def _draw_confusion_matrix(measures: ClassificationMeasures, path: Path) -> None:
    """Documents by true class (rows) and answered class (columns), shaded by share of the row."""
    labels = [one.label for one in measures.classes]
    place = {label: index for index, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    for one in measures.confusions:
        counts[place[one.true], place[one.predicted]] = one.documents
    for one in measures.classes:
        own = place[one.label]
        counts[own, own] = one.support - counts[own].sum()
    figure, axes = _drawn_counts(counts, labels, labels)
    axes.set(xlabel="answered", ylabel="true", title=f"{measures.documents:,} documents")
    _save(figure, path)


def label_counts(problem: MultiLabel, truth: Sequence[Label], scores: Tensor) -> np.ndarray:
    """Documents to which each label was rightly given, wrongly given, or denied; [labels, 3]."""
    applies = problem.targets(truth) > 0
    given = scores >= problem.threshold
    kinds = (applies & given, given & ~applies, applies & ~given)
    return torch.stack([kind.sum(dim=0) for kind in kinds], dim=1).numpy()


def _draw_label_counts(counts: np.ndarray, measures: MultiLabelMeasures, path: Path) -> None:
    """For each label: rightly given, wrongly given and missed."""
    labels = [one.label for one in measures.classes]
    figure, axes = _drawn_counts(counts, labels, ["rightly given", "wrongly given", "missed"])
    axes.set(title=f"{measures.documents:,} documents")
    _save(figure, path)


def draw_training_curve(history: TrainingHistory, problem: ProblemType, folder: Path) -> None:
    """Losses, and the measure that early stopping watches, over the epochs."""
    figure, axes = _figure(size=5)
    curves = (("loss", "training loss", _ORANGE), ("eval_loss", "validation loss", _BLUE))
    for name, title, colour in curves:
        points = [(epoch["epoch"], epoch[name]) for epoch in history.epochs if name in epoch]
        axes.plot(*zip(*points, strict=True), color=colour, marker="o", label=title)
    last_epoch = history.epochs[-1]["epoch"]
    axes.set(xlabel="epoch", ylabel="loss", xlim=(0, 1.05 * last_epoch), ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    measure = axes.twinx()
    points = [(epoch["epoch"], epoch[f"eval_{problem.best_metric}"]) for epoch in history.epochs]
    title = spoken(problem.best_metric)
    measure.plot(*zip(*points, strict=True), color=_GREY, marker="s", linestyle=":", label=title)
    measure.set_ylabel(f"validation {title}")
    # A share is seen against all that it could be, an error against none.
    measure.set_ylim(0, 1.02 if problem.greater_is_better else None)
    measure.yaxis.set_major_formatter("{x:,.6g}")
    figure.legend(loc="upper center", ncols=3, frameon=False, bbox_to_anchor=(0.5, 1.05))
    _save(figure, folder / TRAINING_CURVE)


def _draw_predicted_and_true(
    truth: Sequence[float], answers: Sequence[float], name: str, path: Path
) -> None:
    """Each document's answered number against its true one."""
    figure, axes = _figure(size=5)
    ends = (min(*truth, *answers), max(*truth, *answers))
    axes.plot(ends, ends, color=_GREY, linestyle="--", label="as it should be")
    axes.scatter(truth, answers, s=12, color=_BLUE, alpha=0.6, label="a document")
    axes.set(xlabel=f"true {_plain(name)}", ylabel=f"answered {_plain(name)}", aspect="equal")
    axes.set_title(f"{len(truth):,} documents")
    axes.legend(frameon=False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(_TICKS))
        axis.set_major_formatter("{x:,.6g}")
    _save(figure, path)


def _drawn_counts(
    counts: np.ndarray, row_names: Sequence[str], column_names: Sequence[str]
) -> tuple[Figure, Axes]:
    """A matrix whose cells have one size, whatever room the names beside it take."""
    longest = max(counts.shape)
    cell = np.clip(_CELL_IN_INCHES, _FEWEST_INCHES / longest, _MOST_INCHES / longest)
    height, width = (cell * length for length in counts.shape)
    figure = Figure(figsize=(width, height), dpi=_DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    columns, rows = ([_plain(_cut(name)) for name in names] for names in (column_names, row_names))
    name_size, count_size = (min(10, size * cell) for size in (60, 25))
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right", size=name_size)
    axes.set_yticks(range(len(rows)), rows, size=name_size)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 0.5 else "black"
            place = {"ha": "center", "va": "center", "size": count_size}
            axes.text(column, row, f"{count:,}", color=colour, **place)
    return figure, axes


def _cut(name: str) -> str:
    return name if len(name) <= _MOST_CHARACTERS else f"{name[: _MOST_CHARACTERS - 1]}…"


def _plain(name: str) -> str:
    """A user's own word: matplotlib would set what stands between two dollar signs as a formula."""
    return name.replace("$", r"\$")


def _figure(size: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(size + 1.2, size), dpi=_DPI, layout="constrained")
    return figure, figure.subplots()


def _save(figure: Figure, path: Path) -> None:
    # Without the program's version the same measures draw the same bytes.
    figure.savefig(path, bbox_inches="tight", metadata={"Software": None})
