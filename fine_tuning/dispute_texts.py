"""Writes labelled dispute texts: the data that the demonstration model is trained on.

Knows how an intake note, a letter or a pleading is put together and how people mistype. Does not
know the law's vocabulary, which lies in data/dispute_grammar, nor anything about models.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fine_tuning.dispute_grammar import Category, DisputeGrammar, Words, expand
from fine_tuning.labelled_texts import LabelledText

_TELLERS: tuple[dict[str, str], ...] = (
    {"I": "I", "me": "me", "my": "my", "was": "was", "am": "am"},
    {"I": "we", "me": "us", "my": "our", "was": "were", "am": "are"},
    {"I": "our clients", "me": "them", "my": "their", "was": "were", "am": "are"},
    {"I": "the claimants", "me": "the claimants", "my": "their", "was": "were", "am": "are"},
)
_TELLER_WEIGHTS = (5, 2, 1, 1)
# An abbreviation or a slip a word, as found in messages typed in haste.
_HASTY_WORDS = {
    "and": "&",
    "because": "bc",
    "cannot": "cant",
    "definitely": "definately",
    "does": "dose",
    "please": "pls",
    "received": "recieved",
    "refuses": "refuse",
    "the": "teh",
    "their": "there",
    "with": "w/",
    "without": "w/o",
    "would": "wld",
    "you": "u",
}


@dataclass(frozen=True)
class DocumentShape:
    """How much one document holds; each pair is the fewest and the most, both included."""

    facts: tuple[int, int]
    links: tuple[int, int]
    distractors: tuple[int, int]
    has_frame: bool
    """With an opening, a remedy and a closing, as letters have and one-line messages have not."""


_SHAPES = (
    DocumentShape(facts=(1, 1), links=(0, 0), distractors=(0, 0), has_frame=False),
    DocumentShape(facts=(1, 2), links=(0, 1), distractors=(0, 1), has_frame=False),
    DocumentShape(facts=(1, 3), links=(0, 2), distractors=(1, 3), has_frame=True),
    DocumentShape(facts=(3, 7), links=(1, 4), distractors=(2, 6), has_frame=True),
)
DEFAULT_SHAPE_WEIGHTS = (6, 6, 4, 1)


def dispute_texts(
    grammar: DisputeGrammar,
    documents: int,
    seed: int,
    shape_weights: Sequence[int] = DEFAULT_SHAPE_WEIGHTS,
) -> Iterator[LabelledText]:
    """``documents`` texts, the categories in turn; the same seed writes the same texts.

    ``shape_weights`` says how often each shape comes, from a single sentence to a long letter.
    """
    rng = random.Random(seed)  # noqa: S311 (texts, not secrets)
    for index in range(documents):
        category = grammar.categories[index % len(grammar.categories)]
        shape = rng.choices(_SHAPES, shape_weights)[0]
        text = " ".join(_sentences(grammar, category, shape, rng))
        yield LabelledText(_typed(text, rng), category.label)


def long_dispute_text(grammar: DisputeGrammar, label: str, sentences: int, seed: int) -> str:
    """One text of ``label`` with that many facts, as when a whole file is pasted as one line."""
    category = next(category for category in grammar.categories if category.label == label)
    shape = DocumentShape((sentences, sentences), (0, 0), (0, 0), has_frame=True)
    return " ".join(_sentences(grammar, category, shape, random.Random(seed)))  # noqa: S311


def _sentences(
    grammar: DisputeGrammar, category: Category, shape: DocumentShape, rng: random.Random
) -> list[str]:
    words = _words_of_one_document(grammar, category, rng)

    def some(phrases: Sequence[str], count: tuple[int, int]) -> list[str]:
        wanted = rng.randint(*count)
        rounds = tuple(phrases) * (wanted // len(phrases) + 1)
        return [expand(phrase, words, rng) for phrase in rng.sample(rounds, wanted)]

    body = [
        *some(category.facts, shape.facts),
        *some(grammar.phrases["links"], shape.links),
        *some(grammar.phrases["distractors"], shape.distractors),
    ]
    rng.shuffle(body)
    if not shape.has_frame:
        return [_capitalised(sentence) for sentence in body]
    frame = {name: some(grammar.phrases[name], (0, 1)) for name in ("openings", "closings")}
    remedy = some(grammar.phrases["remedies"], (0, 1))
    return [
        _capitalised(sentence)
        for sentence in (*frame["openings"], *body, *remedy, *frame["closings"])
    ]


def _words_of_one_document(
    grammar: DisputeGrammar, category: Category, rng: random.Random
) -> Words:
    teller = rng.choices(_TELLERS, _TELLER_WEIGHTS)[0]
    return {
        **grammar.words,
        **category.words,
        **{name: (word,) for name, word in teller.items()},
        "they": (rng.choice(category.words["they"]),),
    }


def _capitalised(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _typed(text: str, rng: random.Random) -> str:
    """``text`` as its writer would have typed it: one in four in haste."""
    if rng.random() < 0.75:
        return text
    if rng.random() < 0.5:
        text = text.lower()
    return " ".join(_mistyped(word, rng) for word in text.split(" "))


def _mistyped(word: str, rng: random.Random) -> str:
    chance = rng.random()
    if chance < 0.3:
        return _HASTY_WORDS.get(word, word)
    if chance < 0.33 and len(word) > 4:
        at = rng.randrange(1, len(word) - 2)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word.rstrip(",.") if chance < 0.38 else word
