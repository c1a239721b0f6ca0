"""The gate before int8: it opens on measured agreement, and says what it measured."""

import pytest
import torch

from src.errors import ModelError
from src.heads import SCORES
from src.int8_gate import check_int8

SOFTMAX = SCORES["single_label_classification"]


def logits_of(winners):
    """Logits [1, 3] that make these labels win clearly."""
    return [3 * torch.eye(3)[[winner]] for winner in winners]


def test_answers_that_stay_are_admitted_with_the_figures(caplog):
    """One text in a hundred may change its class for a label that was as likely."""
    in_fp32 = [*logits_of([0] * 99), torch.tensor([[1.0, 1.0, 0.0]])]
    in_int8 = [*logits_of([0] * 99), torch.tensor([[1.0, 1.1, 0.0]])]

    with caplog.at_level("INFO"):
        check_int8(in_fp32, in_int8, SOFTMAX)

    assert "99.00% of 100 sample texts keep their class" in caplog.text
    assert "change by 0.025 at most" in caplog.text


def test_two_changed_classes_in_a_hundred_are_refused():
    """The bar is 99%."""
    in_fp32 = [*logits_of([0] * 98), *[torch.tensor([[1.0, 1.0, 0.0]])] * 2]
    in_int8 = [*logits_of([0] * 98), *[torch.tensor([[1.0, 1.1, 0.0]])] * 2]

    with pytest.raises(ModelError, match=r"98.00% of 100 sample texts keep their class"):
        check_int8(in_fp32, in_int8, SOFTMAX)


@pytest.mark.parametrize("logit", [3.6, float("nan")])
def test_one_probability_that_moves_far_is_refused(logit):
    """Though every class stays: the scores are an answer too, and NaN is none."""
    in_int8 = [*logits_of([0] * 99), torch.tensor([[logit, 0, 0]])]

    with pytest.raises(ModelError, match="int8 changes this model's answers too much"):
        check_int8([*logits_of([0] * 99), torch.tensor([[1.5, 0, 0]])], in_int8, SOFTMAX)


@pytest.mark.parametrize(
    ("problem_type", "in_fp32", "in_int8"),
    [
        ("regression", [[0.3]], [[0.4]]),
        ("multi_label_classification", [[2.0, 2.0]], [[1.0, 1.0]]),
    ],
)
def test_scores_are_what_the_head_makes_of_logits(problem_type, in_fp32, in_int8):
    """A softmax of one logit is always 1, and one of two that move together stays."""
    before, after = ([torch.tensor(logits)] * 100 for logits in (in_fp32, in_int8))

    with pytest.raises(ModelError, match="int8 changes this model's answers too much"):
        check_int8(before, after, SCORES[problem_type])
