"""The measures, against figures worked out by hand."""

import pytest
import torch
from transformers import PreTrainedConfig

from fine_tuning.errors import FineTuningError
from fine_tuning.measures import measured, most_confident_mistakes
from fine_tuning.pictures import label_counts
from fine_tuning.problem_types import MultiLabel, Regression, SingleLabel, problem_type_of

CLASSES = SingleLabel(("A", "B", "C"))


def test_class_measures_agree_with_figures_worked_out_by_hand():
    """Two of three right: A has precision 1 and recall 1/2, B has precision 1/2 and recall 1."""
    scores = torch.tensor([[0.9, 0.1, 0.0], [0.4, 0.6, 0.0], [0.4, 0.6, 0.0]])
    measures = measured(CLASSES, ["A", "A", "B"], scores)
    a, b, c = measures.classes
    assert measures.accuracy == pytest.approx(2 / 3)
    assert measures.mean_top_score == pytest.approx(0.7)
    assert (a.precision, a.recall, a.support) == (1.0, 0.5, 2)
    assert (b.precision, b.recall, b.support) == (0.5, 1.0, 1)
    assert (c.precision, c.recall, c.f1) == (0.0, 0.0, 0.0)
    assert measures.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert measures.weighted_f1 == pytest.approx(2 / 3)
    assert [(one.true, one.predicted, one.documents) for one in measures.confusions] == [
        ("A", "B", 1)
    ]
    # One answer of 0.9 was right; of two of 0.6, one.
    assert measures.expected_calibration_error == pytest.approx((0.1 + 2 * 0.1) / 3)


def test_multi_label_measures_agree_with_figures_worked_out_by_hand():
    """Three of five given labels are right and one is missed."""
    problem = MultiLabel(("x", "y"))
    scores = torch.tensor([[0.9, 0.2], [0.8, 0.7], [0.5, 0.6]])
    measures = measured(problem, [("x",), ("y",), ("x",)], scores)
    assert measures.exact_match == pytest.approx(1 / 3)
    assert measures.micro_f1 == pytest.approx(2 * 3 / (3 + 5))
    x, y = measures.classes
    assert (x.precision, x.recall) == (pytest.approx(2 / 3), 1.0)
    assert (y.precision, y.recall) == (0.5, 1.0)


def test_labels_that_are_all_wrongly_given_are_counted_as_such():
    """For the picture: rightly given, wrongly given, missed; a label without a hit is no blank."""
    problem = MultiLabel(("x", "y"))
    scores = torch.tensor([[0.9, 0.2], [0.8, 0.7], [0.1, 0.6]])
    counts = label_counts(problem, [("y",), ("y",), ("y",)], scores)
    assert counts.tolist() == [[0, 2, 0], [2, 0, 1]]


def test_a_label_applies_from_the_threshold_of_the_model_on():
    """Measures, mistakes and the picture count what the container would answer."""
    config = PreTrainedConfig(
        problem_type="multi_label_classification", id2label={0: "x", 1: "y"}, threshold=0.8
    )
    problem = problem_type_of(config)
    truth, scores = [("x",), ("x",)], torch.tensor([[0.8, 0.7], [0.7, 0.1]])
    assert measured(problem, truth, scores).exact_match == pytest.approx(1 / 2)
    (mistake,) = most_confident_mistakes(problem, truth, scores)
    assert (mistake.place, mistake.predicted) == (1, "x: no")
    assert label_counts(problem, truth, scores).tolist() == [[1, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize("threshold", ["0.8", 1.5, None, True])
def test_a_threshold_that_is_no_share_is_refused(threshold):
    """As the container refuses it."""
    config = PreTrainedConfig(problem_type="multi_label_classification", threshold=threshold)
    with pytest.raises(FineTuningError, match=r"threshold is .*, expected a number from 0 to 1"):
        problem_type_of(config)


def test_regression_measures_agree_with_figures_worked_out_by_hand():
    """Off by 1 and by 3: a mean of 2, and a root mean square of the root of 5."""
    measures = measured(Regression(("n",)), [0.0, 10.0], torch.tensor([[1.0], [7.0]]))
    assert measures.mean_absolute_error == pytest.approx(2)
    assert measures.root_mean_square_error == pytest.approx(5**0.5)
    assert measures.r2 == pytest.approx(1 - 10 / 50)
    assert measures.mean_absolute_error_of_the_mean == pytest.approx(5)


def test_the_surest_mistakes_come_first():
    """Right answers are no mistakes, and at most as many as wished are told."""
    scores = torch.tensor([[0.9, 0.1, 0.0], [0.4, 0.6, 0.0], [0.1, 0.8, 0.1]])
    mistakes = most_confident_mistakes(CLASSES, ["A", "A", "C"], scores)
    assert [(one.place, one.true, one.predicted) for one in mistakes] == [
        (2, "C", "B"),
        (1, "A", "B"),
    ]
    assert most_confident_mistakes(CLASSES, ["A", "A", "C"], scores, limit=1) == mistakes[:1]


def test_a_multi_label_mistake_is_sure_of_yes_or_of_no():
    """A label denied at 0.1 is a surer mistake than one claimed at 0.7."""
    problem = MultiLabel(("x", "y"))
    mistakes = most_confident_mistakes(problem, [("x",)], torch.tensor([[0.1, 0.7]]))
    assert [(one.true, one.predicted) for one in mistakes] == [
        ("x: yes", "x: no"),
        ("y: no", "y: yes"),
    ]
