"""sample_documents/ holds what it should, oddities included, and is what the command writes."""

from pathlib import Path

import pytest

from fine_tuning.model_folder import load_model_folder
from fine_tuning.sample_documents import write_sample_documents

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "sample_documents"


@pytest.fixture(scope="module")
def contents() -> dict[str, str]:
    return {
        path.relative_to(FOLDER).as_posix(): path.read_bytes().decode("utf-8")
        for path in sorted(FOLDER.rglob("*.txt"))
    }


def test_the_command_writes_what_is_committed(contents, tmp_path):
    """The documents can be made anew to the byte."""
    paths = write_sample_documents(tmp_path)
    written = {
        path.relative_to(tmp_path).as_posix(): path.read_bytes().decode("utf-8") for path in paths
    }
    assert written == contents


def test_there_are_enough_files_and_documents(contents):
    """At least 12 files and 300 documents, small enough to clone without thought."""
    documents = [line for text in contents.values() for line in text.split("\n") if line.strip()]
    assert len(contents) >= 12
    assert len(documents) >= 300
    assert sum(len(text.encode()) for text in contents.values()) <= 600_000


@pytest.mark.parametrize(
    ("oddity", "holds"),
    [
        ("one line only", lambda text: text.count("\n") == 1 and text.endswith("\n")),
        ("a blank line inside", lambda text: "\n\n" in text),
        ("Windows line ends", lambda text: text.count("\r\n") == text.count("\n") > 1),
        ("no final newline", lambda text: "\n" in text and not text.endswith("\n")),
        ("beyond the BMP", lambda text: any(ord(character) > 0xFFFF for character in text)),
        ("line ends of others", lambda text: all(c in text for c in "\u2028\x85\x0b")),
    ],
)
def test_each_oddity_is_there(contents, oddity, holds):
    """What real folders hold is met in the demonstration already."""
    assert any(holds(text) for text in contents.values()), oddity


def test_one_document_exceeds_the_models_limit_and_all_together_stay_moderate(contents):
    """One document has more than 8,192 tokens, and the demonstration job stays short."""
    _, tokenizer = load_model_folder(REPOSITORY / "modernbert_dispute_classifier" / "final")
    documents = [line for text in contents.values() for line in text.split("\n") if line.strip()]
    lengths = [len(ids) for ids in tokenizer(documents, truncation=False)["input_ids"]]
    assert sum(length > 8192 for length in lengths) == 1
    assert sum(lengths) <= 120_000
