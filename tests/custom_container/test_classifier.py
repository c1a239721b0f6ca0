"""The classifier: a document's answer depends on the document alone, and all of it is read."""

import random

import pytest
import torch

from src import inference
from src.classifier import TEXTS_AT_ONCE, Classifier
from src.documents import Document
from src.heads import SCORES, Head
from src.scheduler import Scheduler
from tests.custom_container.tiny_model import LABELS, WORDS


@pytest.fixture(scope="module")
def classifier(model_dir):
    """The tiny model, giving every label's score."""
    return inference.model_fn(model_dir, top_k=len(LABELS), inference_precision="fp32")


class FixedForwardPass:
    """Gives each token-id list the logits written down for it."""

    def __init__(self, logits):
        self._logits = logits

    def micro_batches(self, lengths, max_tokens):
        """One micro-batch for each input."""
        return [[position] for position in range(len(lengths))]

    def logits(self, documents):
        """The logits written down, [documents, labels]."""
        return torch.tensor([self._logits[document[0]] for document in documents])


def fixed_classifier(logits, top_k=3, problem_type="single_label_classification"):
    """A classifier whose "texts" are tuples of windows, each one index into `logits`."""
    return Classifier(
        lambda texts: [[[window] for window in text] for text in texts],
        Scheduler(FixedForwardPass(logits), max_tokens_per_micro_batch=100),
        Head(["a", "b", "c", "d"], top_k, SCORES[problem_type]),
    )


def texts(count):
    """Documents of 1 to 200 words, some longer than the model reads at once."""
    generator = random.Random(5)  # noqa: S311
    return [
        " ".join(generator.choices(WORDS, k=generator.choice([1, 3, 20, 60, 110, 200])))
        for _ in range(count)
    ]


def scores(prediction):
    """Score by class."""
    return {top["class"]: top["score"] for top in prediction["top_predictions"]}


def test_an_answer_does_not_depend_on_its_company(classifier):
    """Shuffled, alone or all together: the same class, scores within 1e-5."""
    documents = texts(60)
    together = classifier.classify(documents).predictions
    order = random.Random(6).sample(range(60), 60)  # noqa: S311
    shuffled = classifier.classify([documents[place] for place in order]).predictions
    alone = [classifier.classify([document]).predictions[0] for document in documents]

    for place, prediction in zip(order, shuffled, strict=True):
        for other in (together[place], alone[place]):
            assert prediction["predicted_class"] == other["predicted_class"]
            assert scores(prediction) == pytest.approx(scores(other), abs=1.1e-5)


def test_different_documents_get_different_scores(classifier):
    """The model of these tests tells documents apart, so that the others can fail."""
    predictions = classifier.classify(texts(60)).predictions

    assert len({prediction["predicted_class"] for prediction in predictions}) > 1
    assert len({tuple(scores(prediction).items()) for prediction in predictions}) > 50


def test_scores_are_probabilities_best_first(classifier):
    """With all labels asked for, the scores fall and add up to 1."""
    (prediction,) = classifier.classify(["the tenant has unpaid rent"]).predictions
    values = [top["score"] for top in prediction["top_predictions"]]

    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(1, abs=1e-5)
    assert prediction["predicted_class"] == prediction["top_predictions"][0]["class"]


def test_a_document_of_one_window_does_not_speak_of_windows(classifier):
    """The member windows is there for long documents only."""
    (prediction,) = classifier.classify(["rent"]).predictions

    assert "windows" not in prediction


def test_the_end_of_a_long_document_counts(classifier):
    """Two documents alike for 400 words and different after them get different scores."""
    beginning = " ".join(["rent"] * 400)
    first, second = classifier.classify(
        [beginning + " custody" * 90, beginning + " invoice" * 90]
    ).predictions

    assert first["windows"] == second["windows"] == 5
    assert scores(first) != pytest.approx(scores(second), abs=1e-3)


def test_windows_are_combined_by_the_mean_of_their_probabilities():
    """Two windows sure of different labels share the score between them."""
    classifier = fixed_classifier([[20.0, 0, 0, 0], [0, 20.0, 0, 0], [0, 20.0, 0, 0]])

    (prediction,) = classifier.classify([(0, 1, 2)]).predictions

    assert prediction == {
        "predicted_class": "b",
        "top_predictions": [
            {"class": "b", "score": 0.666667},
            {"class": "a", "score": 0.333333},
            {"class": "c", "score": 0.0},
        ],
        "windows": 3,
    }


def test_equal_scores_keep_the_order_of_label_ids():
    """A tie is answered the same way every time."""
    (prediction,) = fixed_classifier([[1.0, 1, 1, 1]], top_k=4).classify([(0,)]).predictions

    assert [top["class"] for top in prediction["top_predictions"]] == ["a", "b", "c", "d"]


def test_top_k_beyond_the_labels_gives_all_of_them():
    """Asking for ten of four labels is no error."""
    (prediction,) = fixed_classifier([[1.0, 2, 3, 4]], top_k=10).classify([(0,)]).predictions

    assert [top["class"] for top in prediction["top_predictions"]] == ["d", "c", "b", "a"]


def test_the_work_is_counted(classifier):
    """Tokens and micro-batches of a call are those computed, special tokens included."""
    assert classifier.classify([]).tokens == 0
    classification = classifier.classify(["rent deposit"] * 10)

    assert classification.tokens == 40
    assert classification.micro_batches == 1


def test_the_token_budget_divides_the_work(model_dir):
    """Ten documents of four tokens under a budget of eight are five micro-batches."""
    classifier = inference.model_fn(str(model_dir), max_tokens_per_micro_batch=8)

    assert classifier.classify(["rent deposit"] * 10).micro_batches == 5


def test_a_document_whose_logits_are_no_numbers_gets_an_error_record():
    """NaN is no JSON and the largest of nothing; its neighbours are answered."""
    model = fixed_classifier([[0.0, 1.0, 0.0, 0.0], [float("nan"), 1.0, 0.0, 0.0]])

    answers = inference.predict_fn([Document((1,)), Document((0,)), Document((0, 1))], model)

    assert [answer.get("error", {}).get("code") for answer in answers] == [
        "NotANumber",
        None,
        "NotANumber",
    ]
    assert answers.failed == 2


class FirstFails(FixedForwardPass):
    """Fails at its first micro-batch."""

    def __init__(self):
        super().__init__([[0.0]])
        self.calls = 0

    def logits(self, documents):
        """Zero for each document."""
        self.calls += 1
        if self.calls == 1:
            raise RuntimeError("broken")
        return super().logits(documents)


def test_a_request_that_has_failed_leaves_the_device_to_others():
    """A text of its first part fails: those of its other parts are not computed."""
    forward_pass = FirstFails()
    scheduler = Scheduler(forward_pass, max_tokens_per_micro_batch=100)
    classifier = Classifier(
        lambda texts: [[[0]] for _ in texts], scheduler, Head(["a"], 1, SCORES["regression"])
    )

    with pytest.raises(RuntimeError, match="broken"):
        classifier.classify(["text"] * 3 * TEXTS_AT_ONCE)
    scheduler.submit([[0]]).result()

    assert forward_pass.calls == 2
