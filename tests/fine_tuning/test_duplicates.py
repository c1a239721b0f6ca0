"""Texts that were trained on and are measured on as well."""

from fine_tuning.columns import Columns
from fine_tuning.demonstration_model import HANDWRITTEN_FILE
from fine_tuning.duplicates import duplicates_across
from fine_tuning.labelled_texts import LabelledText, read_training_file


def test_exact_and_near_duplicates_are_found_with_their_rows():
    """Other case and punctuation is the same text; one word of many is nearly the same."""
    texts = read_training_file(HANDWRITTEN_FILE, Columns()).examples
    long_text = max(texts, key=lambda example: len(example.text))
    words = long_text.text.split()
    shouted = LabelledText(texts[0].text.upper().replace(".", " !"), "x", row=7)
    altered = LabelledText(" ".join([*words[:-1], "elsewhere"]), "x", row=8)
    other = LabelledText("Nothing of this was ever written down by anyone else.", "x", row=9)
    found = duplicates_across(texts, [shouted, altered, other])
    assert [(one.held_out.row, one.training.row) for one in found] == [
        (7, texts[0].row),
        (8, long_text.row),
    ]
    assert found[0].shared == 1
    assert 0.8 <= found[1].shared < 1


def test_different_texts_are_no_duplicates():
    """The handwritten descriptions do not repeat one another."""
    texts = read_training_file(HANDWRITTEN_FILE, Columns()).examples
    assert duplicates_across(texts[::2], texts[1::2]) == []


def test_texts_shorter_than_a_run_of_words_are_compared_too():
    """Two words are a text as well."""
    found = duplicates_across([LabelledText("No heating", "a")], [LabelledText("no heating!", "b")])
    assert len(found) == 1
