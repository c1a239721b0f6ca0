"""Heads: what logits mean, by what the model was trained for."""

import tracemalloc

import pytest
import torch
from transformers import ModernBertConfig

from src.errors import ModelError
from src.heads import head_for


def head(problem_type=None, labels=("a", "b", "c"), **config):
    """The head of a config with this problem type."""
    config = ModernBertConfig(problem_type=problem_type, num_labels=len(labels), **config)
    return head_for(config, labels, top_k=3)


def test_without_a_problem_type_several_labels_exclude_each_other():
    """The scores are a softmax."""
    (prediction,) = head().predictions(torch.tensor([[0.0, 0.0, 20.0]]), [1])

    assert prediction["predicted_class"] == "c"
    assert sum(top["score"] for top in prediction["top_predictions"]) == pytest.approx(1)


def test_a_multi_label_model_gives_every_label_that_reaches_the_threshold():
    """Scores stand for themselves: two labels may both be almost sure."""
    logits = torch.tensor([[5.0, -5.0, 6.0]])

    (prediction,) = head("multi_label_classification").predictions(logits, [1])

    assert prediction["predicted_classes"] == ["c", "a"]
    assert [top["class"] for top in prediction["top_predictions"]] == ["c", "a", "b"]
    assert prediction["top_predictions"][1]["score"] == pytest.approx(0.993307)


@pytest.mark.parametrize("threshold", ["0.5", None, True, 7, float("nan")])
def test_a_threshold_that_is_no_score_is_refused(threshold):
    """Every request would fail, or every label apply."""
    with pytest.raises(ModelError, match="expected a number from 0 to 1"):
        head("multi_label_classification", threshold=threshold)


@pytest.mark.parametrize(("threshold", "reached"), [(0.4, ["a", "b"]), (0.6, ["a"]), (0.9, [])])
def test_the_threshold_is_the_configs(threshold, reached):
    """Lower lets more labels in, and none may be the answer."""
    logits = torch.tensor([[1.0, 0.0, -5.0]])

    (prediction,) = head("multi_label_classification", threshold=threshold).predictions(logits, [1])

    assert prediction["predicted_classes"] == reached


@pytest.mark.parametrize("problem_type", ["regression", None])
def test_one_label_is_a_measured_value(problem_type):
    """The score is the logit itself, averaged over the windows."""
    logits = torch.tensor([[12.0], [13.0]])

    (prediction,) = head(problem_type, labels=["amount"]).predictions(logits, [2])

    assert prediction["top_predictions"] == [{"class": "amount", "score": 12.5}]


def test_two_labels_are_a_choice():
    """A binary classifier has two logits and a softmax."""
    (prediction,) = head(labels=["no", "yes"]).predictions(torch.tensor([[0.0, 2.0]]), [1])

    assert prediction["predicted_class"] == "yes"
    assert prediction["top_predictions"][0]["score"] == pytest.approx(0.880797)


def test_the_temperature_of_the_config_cools_scores_and_changes_no_class():
    """Logits are divided by it: at 2, a logit of 2 counts as 1."""
    logits = torch.tensor([[0.0, 2.0]])

    (prediction,) = head(labels=["no", "yes"], calibration_temperature=2.0).predictions(logits, [1])

    assert prediction["predicted_class"] == "yes"
    assert prediction["top_predictions"][0]["score"] == pytest.approx(0.731059)


@pytest.mark.parametrize("problem_type", ["ranking", ["regression"]])
def test_a_problem_type_that_is_none_is_refused(problem_type):
    """Nobody knows what its logits mean; the sentence names those that are known."""
    config = ModernBertConfig()
    config.problem_type = problem_type

    with pytest.raises(ModelError, match="expected one of single_label_classification, multi"):
        head_for(config, ["a", "b"], top_k=3)


@pytest.mark.parametrize("temperature", [0, -1.0, "hot", float("inf")])
def test_a_temperature_that_is_none_is_refused(temperature):
    """The sentence names the entry of config.json."""
    with pytest.raises(ModelError, match="calibration_temperature"):
        head(calibration_temperature=temperature)


def test_a_request_takes_little_more_memory_than_its_logits():
    """Answers would take many times as much, were they made for all documents at once."""
    labels = [str(label_id) for label_id in range(1000)]
    logits, windows = torch.zeros(500, 1000), [1] * 500
    tracemalloc.start()
    try:
        head(labels=labels).predictions(logits, windows)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < logits.nbytes
