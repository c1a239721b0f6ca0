"""Labelled files: what is read, and what is refused with a sentence that names the row."""

import pytest

from fine_tuning.errors import FineTuningError
from fine_tuning.labelled_texts import (
    LabelledText,
    label_names,
    read_labelled_texts,
    stratified_split,
    write_labelled_texts,
)


def test_what_is_written_is_read_back(tmp_path):
    """Commas, quotes and line breaks survive."""
    examples = [LabelledText('He said "no", twice.\nThen left.', "A"), LabelledText("é 😡", "B")]
    write_labelled_texts(tmp_path / "new" / "rows.csv", examples)
    assert read_labelled_texts(tmp_path / "new" / "rows.csv") == examples


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"words,label\nx,A\n", "no column 'text'"),
        (b"text,label\nx,A\n  ,B\n", "row 3: the column 'text' is empty"),
        (b"text,label\nx\n", "row 2: the column 'label' is empty"),
        (b"text,label\n", "no rows below its header"),
        (b"", "no column 'text' or 'label'"),
        (b"text,label\n\xff\xfe,A\n", "not UTF-8"),
        (b'text,label\n"open,A\n', "not valid CSV"),
    ],
)
def test_a_bad_file_is_refused(tmp_path, content, sentence):
    """Each fault of a file gets the sentence that names it."""
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(FineTuningError, match=sentence):
        read_labelled_texts(path)


def test_a_missing_file_is_refused(tmp_path):
    """A path that does not exist is named."""
    with pytest.raises(FineTuningError, match=r"nowhere\.csv: No such file"):
        read_labelled_texts(tmp_path / "nowhere.csv")


@pytest.mark.parametrize(
    ("labels", "sentence"), [("AAA", "nothing to tell apart"), ("AAB", "'B' has one row only")]
)
def test_labels_that_cannot_be_learnt_are_refused(labels, sentence):
    """One class alone, and a class with a single row, leave nothing to train or to validate."""
    with pytest.raises(FineTuningError, match=sentence):
        label_names([LabelledText("x", label) for label in labels])


def test_a_split_holds_out_the_same_share_of_each_class():
    """Every row lands on one side, rare classes on both sides."""
    examples = [LabelledText(f"{label}{n}", label) for label in "AB" for n in range(20)]
    examples += [LabelledText("C0", "C"), LabelledText("C1", "C")]
    training, validation = stratified_split(examples, 0.1, seed=1)
    assert sorted(example.label for example in validation) == ["A", "A", "B", "B", "C"]
    assert {*training, *validation} == set(examples)
    assert len(training) + len(validation) == len(examples)
