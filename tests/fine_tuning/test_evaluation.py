"""The measures, against figures worked out by hand."""

import pytest

from fine_tuning.evaluation import measured


def test_measures_agree_with_figures_worked_out_by_hand():
    """Two of three right: A has precision 1 and recall 1/2, B has precision 1/2 and recall 1."""
    evaluation = measured(["A", "A", "B"], ["A", "B", "B"], [0.9, 0.6, 0.6], ["A", "B", "C"])
    a, b, c = evaluation.classes
    assert evaluation.accuracy == pytest.approx(2 / 3)
    assert evaluation.mean_top_score == pytest.approx(0.7)
    assert (a.precision, a.recall, a.support) == (1.0, 0.5, 2)
    assert (b.precision, b.recall, b.support) == (0.5, 1.0, 1)
    assert (c.precision, c.recall, c.f1) == (0.0, 0.0, 0.0)
    assert evaluation.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
