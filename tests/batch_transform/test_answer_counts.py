"""Answers summed up: whatever the model's scores are."""

import pytest

from batch_transform.answer_counts import CONFIDENCE_BINS, AnswerCounts


def test_scores_that_are_no_probabilities_stand_in_no_column() -> None:
    """A regression model answers any number: the mean is one, a column of confidence is none."""
    counts = AnswerCounts()
    scores = [1200.5, -5.0, -0.3, 0.0, 1.0]
    for score in scores:
        counts.add_prediction("amount", score)
    assert counts.answered == len(scores)
    assert counts.mean_confidence() == pytest.approx(sum(scores) / len(scores))
    assert counts.documents_by_confidence == [1, *[0] * (CONFIDENCE_BINS - 2), 1]
