"""The generator of dispute texts: repeatable, complete, and apart from the handwritten set."""

import re
from collections import Counter

import pytest

from fine_tuning.columns import Columns
from fine_tuning.demonstration_model import HANDWRITTEN_FILE
from fine_tuning.dispute_grammar import load_grammar
from fine_tuning.dispute_texts import dispute_texts, long_dispute_text
from fine_tuning.labelled_texts import LabelledText, read_training_file

_LONGEST_SHARED_RUN_IN_WORDS = 7


@pytest.fixture(scope="module")
def grammar():
    return load_grammar()


def test_the_same_seed_writes_the_same_texts(grammar):
    """Two runs with one seed agree to the letter, and another seed writes something else."""
    first, again, other = (list(dispute_texts(grammar, 50, seed)) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_every_label_comes_equally_often(grammar):
    """Classes are balanced, and they are the handwritten set's own."""
    counts = Counter(example.label for example in dispute_texts(grammar, 200, 1))
    handwritten = Counter(example.label for example in handwritten_examples())
    assert set(counts.values()) == {20}
    assert set(counts) == set(handwritten)


def test_no_phrase_is_left_unexpanded(grammar):
    """Neither a choice nor a name of a word list shows in any text."""
    texts = [example.text for example in dispute_texts(grammar, 3000, 3)]
    assert [text for text in texts if re.search(r"[\[\]{}|]", text)] == []


def test_every_phrase_of_every_category_expands(grammar):
    """One long text a category uses all its facts, so a misspelt name would raise KeyError."""
    for category in grammar.categories:
        text = long_dispute_text(grammar, category.label, 20 * len(category.facts), seed=1)
        assert len(text.split()) > 20 * len(category.facts)


def test_generated_texts_keep_apart_from_the_handwritten_ones(grammar):
    """No eight words in a row of a handwritten description appear in 4,000 generated texts."""
    length = _LONGEST_SHARED_RUN_IN_WORDS + 1
    generated = set()
    for example in dispute_texts(grammar, 4000, 1):
        generated |= _runs_of_words(example.text, length)
    handwritten = set()
    for example in handwritten_examples():
        handwritten |= _runs_of_words(example.text, length)
    assert len(handwritten) > 1000
    assert handwritten & generated == set()


def test_the_handwritten_set_is_balanced_and_has_no_repeats():
    """At least 120 different descriptions, as many of each class."""
    examples = handwritten_examples()
    assert len({example.text for example in examples}) == len(examples) >= 120
    assert len(set(Counter(example.label for example in examples).values())) == 1


def handwritten_examples() -> list[LabelledText]:
    return read_training_file(HANDWRITTEN_FILE, Columns()).examples


def _runs_of_words(text: str, length: int) -> set[tuple[str, ...]]:
    words = re.findall(r"[a-z']+", text.lower())
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}
