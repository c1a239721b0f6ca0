"""Writes sample_documents/: text files as a legal team would hand them in, one document a line.

Knows which files there are and which oddity each of them holds. Does not know how texts are made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fine_tuning.dispute_grammar import DisputeGrammar, load_grammar
from fine_tuning.dispute_texts import dispute_texts, long_dispute_text

_WEB_FORM_MESSAGES = Path(__file__).parent / "data" / "web_form_messages.txt"
"""Written by hand; characters that editors take for line ends stand there as escapes."""

_ESCAPED_CHARACTERS = {"\\u2028": "\u2028", "\\x0b": "\x0b", "\\x85": "\x85"}
# Texts that no training run of the demonstration model has seen.
_FIRST_SEED = 20_260_101

_MESSAGES = (4, 4, 1, 0)
_NOTES = (0, 3, 5, 1)
_LETTERS = (0, 0, 2, 5)


@dataclass(frozen=True)
class _SampleFile:
    path: str
    documents: int
    shape_weights: Sequence[int]
    line_end: str = "\n"
    has_final_newline: bool = True
    blank_lines: int = 0
    long_document_facts: int = 0
    """Facts in one document more; 550 of them exceed ModernBERT's 8,192 tokens."""


_FILES = (
    _SampleFile("2025-11-backlog/helpline-messages.txt", 24, _MESSAGES),
    _SampleFile("2025-11-backlog/evening-clinic.txt", 24, _NOTES),
    _SampleFile("2026-01-intake-north-office.txt", 32, _NOTES, blank_lines=1),
    _SampleFile("2026-01-intake-south-office.txt", 32, _NOTES, has_final_newline=False),
    _SampleFile("2026-02-letters-received.txt", 24, _LETTERS),
    _SampleFile("2026-02-scanned-on-windows.txt", 28, _NOTES, line_end="\r\n"),
    _SampleFile("2026-03-duty-solicitor-notes.txt", 30, _NOTES),
    _SampleFile("2026-03-hotline-messages.txt", 40, _MESSAGES),
    _SampleFile("2026-04-mediation-referrals.txt", 26, _NOTES),
    _SampleFile("2026-04-urgent-matter.txt", 1, _LETTERS),
    _SampleFile("2026-05-small-claims.txt", 36, _MESSAGES),
    _SampleFile("2026-05-whole-case-file.txt", 2, _LETTERS, long_document_facts=550),
    _SampleFile("2026-06-letters-received.txt", 24, _LETTERS),
)
_WEB_FORM_FILE = "2026-06-web-form.txt"


def write_sample_documents(folder: Path) -> list[Path]:
    """Writes every file below ``folder``, always the same bytes; the paths written."""
    grammar = load_grammar()
    content_of = {
        sample.path: _content(sample, _FIRST_SEED + index, grammar)
        for index, sample in enumerate(_FILES)
    }
    content_of[_WEB_FORM_FILE] = _web_form_messages()
    paths = []
    for name, content in content_of.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8"))
        paths.append(path)
    return paths


def _content(sample: _SampleFile, seed: int, grammar: DisputeGrammar) -> str:
    lines = [
        example.text
        for example in dispute_texts(grammar, sample.documents, seed, sample.shape_weights)
    ]
    middle = len(lines) // 2
    lines[middle:middle] = [""] * sample.blank_lines
    if sample.long_document_facts:
        label = grammar.categories[0].label
        lines.append(long_dispute_text(grammar, label, sample.long_document_facts, seed))
    return sample.line_end.join(lines) + (sample.line_end if sample.has_final_newline else "")


def _web_form_messages() -> str:
    text = _WEB_FORM_MESSAGES.read_text(encoding="utf-8")
    for escape, character in _ESCAPED_CHARACTERS.items():
        text = text.replace(escape, character)
    return text
