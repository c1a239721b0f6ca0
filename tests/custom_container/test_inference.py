"""SageMaker's verbs: one answer per record, in order, whichever records are bad."""

import json
import tracemalloc

import pytest

from src import inference


@pytest.fixture(scope="module")
def classifier(model_dir):
    """The tiny model."""
    return inference.model_fn(model_dir)


def answers_of(body, content_type, classifier):
    """The answers of a body, through all verbs, read back from the response."""
    answers = inference.predict_fn(inference.input_fn(body, content_type), classifier)
    response = inference.output_fn(answers)
    return [json.loads(line) for line in response.split(b"\n") if line], answers


def test_good_and_bad_records_are_answered_in_their_places(classifier):
    """Fields first, then predictions or error; never the text."""
    body = (
        b'{"source": "a.txt", "line": 1, "text": "unpaid rent"}\n'
        b'{"source": "a.txt", "line": 2, "text": ""}\n'
        b"{broken\n"
        b'{"source": "a.txt", "line": 4, "text": "custody"}\n'
    )

    lines, answers = answers_of(body, "application/jsonlines", classifier)

    assert [list(line) for line in lines] == [
        ["source", "line", "predictions"],
        ["source", "line", "error"],
        ["error"],
        ["source", "line", "predictions"],
    ]
    assert [line.get("line") for line in lines] == [1, 2, None, 4]
    assert (answers.failed, len(answers)) == (2, 4)


def test_answers_follow_their_own_text_among_bad_records(classifier):
    """Removing the bad records changes no good record's answer."""
    mixed, _ = answers_of(b"rent\n\nwages\n\xff\ncustody", "text/plain", classifier)
    good, _ = answers_of(b"rent\nwages\ncustody", "text/plain", classifier)

    assert [line for line in mixed if "predictions" in line] == good


def test_only_bad_records_need_no_forward_pass(classifier):
    """A body of blank lines is answered without the device."""
    lines, answers = answers_of(b"\n\n\n", "text/plain", classifier)

    assert [line["error"]["code"] for line in lines] == ["EmptyDocument"] * 3
    assert (answers.classification.tokens, answers.classification.micro_batches) == (0, 0)


@pytest.mark.parametrize(("line", "bytes_each"), [(b"\n", 200), (b"{\n", 900), (b'"a"\n', 600)])
def test_a_record_of_a_few_bytes_takes_little_memory(line, bytes_each, classifier):
    """A body may hold millions: an answer stands in memory as the line that is sent, no earlier."""
    tracemalloc.start()
    answers_of(line * 1000, "application/jsonlines", classifier)  # what is made once
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    records = inference.input_fn(line * 10_000, "application/jsonlines")
    inference.output_fn(inference.predict_fn(records, classifier))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (peak - before) / len(records) < bytes_each


def test_a_document_of_a_million_characters_is_answered(classifier):
    """It is read whole, in many windows, as one record."""
    lines, _ = answers_of(b"rent " * 200_000, "text/plain", classifier)

    assert len(lines) == 1
    assert lines[0]["predictions"]["windows"] > 1000


def test_batch_predict_fn_is_what_predict_fn_answers(classifier):
    """The verb for plain texts gives the same predictions."""
    texts = ["unpaid rent", "custody of the fence"]
    _, answers = answers_of("\n".join(texts).encode(), "text/plain", classifier)

    predictions = inference.batch_predict_fn(texts, classifier).predictions

    assert list(predictions) == [answer["predictions"] for answer in answers]
