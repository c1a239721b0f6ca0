"""Scores that mean what they say."""

import pytest
import torch

from fine_tuning.calibration import (
    expected_calibration_error,
    fitted_temperature,
    reliability_bins,
)
from fine_tuning.problem_types import MultiLabel, Regression, SingleLabel


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_made_scores_wrong(factor):
    """Truth drawn from the scores themselves is calibrated; logits blown up are cooled again."""
    chance = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(20_000, 4, generator=chance)
    truth = torch.multinomial(logits.softmax(-1), 1, generator=chance).squeeze(-1)
    problem = SingleLabel(("a", "b", "c", "d"))
    temperature = fitted_temperature(problem, logits * factor, truth)
    assert temperature == pytest.approx(factor, rel=0.07)
    top = (logits * factor / temperature).softmax(-1).max(-1)
    error = expected_calibration_error(reliability_bins(top.values, top.indices == truth))
    assert error < 0.02


def test_labels_on_their_own_are_calibrated_too():
    """The same holds for the scores of a multi-label model."""
    chance = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(20_000, 2, generator=chance)
    truth = torch.bernoulli(logits.sigmoid(), generator=chance)
    problem = MultiLabel(("a", "b"))
    assert fitted_temperature(problem, logits * 2.5, truth) == pytest.approx(2.5, rel=0.07)


def test_answers_that_are_all_right_do_not_sharpen_without_end():
    """The greatest likelihood would be a temperature of nought."""
    logits = torch.eye(3) * 4
    temperature = fitted_temperature(SingleLabel(("a", "b", "c")), logits, torch.arange(3))
    assert 0.9 < (logits / temperature).softmax(-1).max() < 0.9999


def test_a_regression_has_no_temperature():
    """A number is not a score."""
    assert fitted_temperature(Regression(("n",)), torch.ones(3, 1), torch.ones(3)) == 1.0


def test_bins_agree_with_figures_worked_out_by_hand():
    """Ten answers of 0.75 of which eight are right are 0.05 off."""
    bins = reliability_bins(torch.full((10,), 0.75), torch.arange(10) < 8)
    assert [one.answers for one in bins] == [10]
    assert expected_calibration_error(bins) == pytest.approx(0.05)
