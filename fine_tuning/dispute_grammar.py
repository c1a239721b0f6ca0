"""Reads the phrase files of data/dispute_grammar and expands one phrase into a sentence.

Knows the notation of those files: ``[one|another]`` is a choice, ``{town}`` a word list, and
``{number}`` and ``{money}`` are made up. Does not know what a document looks like.
"""

import random
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

GRAMMAR_FOLDER = Path(__file__).parent / "data" / "dispute_grammar"
_SHARED_FILE = "shared.toml"
_CHOICE_OR_NAME = re.compile(r"\[([^\[\]]*)\]|\{(\w+)\}")

Words = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Category:
    """One label with the facts that make it up and the words its phrases draw on."""

    label: str
    facts: tuple[str, ...]
    words: Words


@dataclass(frozen=True)
class DisputeGrammar:
    """All categories, and the phrases that every category shares."""

    categories: tuple[Category, ...]
    phrases: Words
    words: Words


def load_grammar(folder: Path = GRAMMAR_FOLDER) -> DisputeGrammar:
    """The grammar in ``folder``: one TOML file a category, and ``shared.toml``."""
    shared = tomllib.loads((folder / _SHARED_FILE).read_text(encoding="utf-8"))
    shared_words = _word_lists(shared.pop("words"))
    return DisputeGrammar(
        categories=tuple(
            _category(path) for path in sorted(folder.glob("*.toml")) if path.name != _SHARED_FILE
        ),
        phrases={name: _lines(text) for name, text in shared.items()},
        words=shared_words,
    )


def expand(phrase: str, words: Words, rng: random.Random) -> str:
    """``phrase`` with every choice made and every name replaced, until none is left.

    Raises KeyError for a name that ``words`` does not hold.
    """

    def replacement(match: re.Match[str]) -> str:
        choices, name = match.groups()
        if name is None:
            return rng.choice(choices.split("|"))
        if name == "number":
            return str(rng.randint(2, 29))
        if name == "money":
            return _money(rng)
        return rng.choice(words[name])

    while _CHOICE_OR_NAME.search(phrase):
        phrase = _CHOICE_OR_NAME.sub(replacement, phrase)
    return phrase


def _category(path: Path) -> Category:
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return Category(content["label"], _lines(content["facts"]), _word_lists(content["words"]))


def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.strip().splitlines())


def _word_lists(texts: Mapping[str, str]) -> Words:
    return {
        name: tuple(word.strip() for word in text.replace("\n", "|").split("|") if word.strip())
        for name, text in texts.items()
    }


def _money(rng: random.Random) -> str:
    amount = rng.choice(
        (rng.randint(20, 999), rng.randint(10, 99) * 100, rng.randint(5, 450) * 500)
    )
    return f"{rng.choice('£$€')}{amount:,}" if rng.random() < 0.9 else f"{amount} {_unit(rng)}"


def _unit(rng: random.Random) -> str:
    return rng.choice(("pounds", "dollars", "euros", "quid"))
