"""Labelled files: what is read, and what is refused with a sentence that names the row."""

import json
import re

import pyarrow
import pytest
from pyarrow import parquet

from fine_tuning.columns import PROBLEM_TYPE_NAMES, Columns
from fine_tuning.errors import FineTuningError
from fine_tuning.labelled_texts import (
    LabelledText,
    read_examples,
    read_training_file,
    write_labelled_texts,
)
from fine_tuning.problem_types import PROBLEM_TYPES, MultiLabel, Regression, SingleLabel

ROWS = [{"text": f"text {place}", "label": "AB"[place % 2]} for place in range(4)]


def written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_what_is_written_is_read_back(tmp_path):
    """Commas, quotes, line breaks and characters that Python takes for line ends survive."""
    texts = ('He said "no", twice.\nThen left.', "é 😡", "a\u2028b\x85c", "d\r\ne")
    examples = [LabelledText(text, "AB"[place % 2]) for place, text in enumerate(texts)]
    write_labelled_texts(tmp_path / "new" / "rows.csv", examples)
    labelled = read_training_file(tmp_path / "new" / "rows.csv", Columns())
    assert labelled.examples == examples
    assert labelled.problem == SingleLabel(("A", "B"))
    assert [example.row for example in labelled.examples] == [2, 3, 4, 5]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_every_kind_of_file_tells_the_same(tmp_path, suffix):
    """CSV, TSV, JSON Lines and Parquet with the same rows give the same examples."""
    path = tmp_path / f"rows.{suffix}"
    if suffix == "parquet":
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    elif suffix == "jsonl":
        written(path, "\n".join(map(json.dumps, ROWS)))
    else:
        mark = {"csv": ",", "tsv": "\t"}[suffix]
        written(path, "\n".join(mark.join(row) for row in (ROWS[0], *map(dict.values, ROWS))))
    examples = read_training_file(path, Columns()).examples
    assert [(one.text, one.label) for one in examples] == [tuple(row.values()) for row in ROWS]


def test_a_file_as_excel_writes_it_is_read(tmp_path):
    """Byte order mark, CR LF, and semicolons, as where a comma stands in numbers, or tabs."""
    content = '\ufefftext;label\r\n"one, two; three";A\r\nx, y;B\r\nz;A\r\nv;B\r\n'
    for mark in (";", "\t"):
        path = written(tmp_path / "a.csv", content.replace(";", mark))
        texts = [example.text for example in read_training_file(path, Columns()).examples]
        assert texts == [f"one, two{mark} three", "x, y", "z", "v"]


def test_several_text_columns_are_segments(tmp_path):
    """They are joined by the tokenizer's separator, and an empty one keeps its place."""
    path = written(tmp_path / "a.csv", "casePart1,casePart2,label\nx,y,A\nz,,A\nv,w,B\nu,t,B\n")
    columns = Columns(text=("casePart1", "casePart2")).parted_by("</s>")
    texts = [example.text for example in read_training_file(path, columns).examples]
    assert texts == ["x </s> y", "z </s> ", "v </s> w", "u </s> t"]


@pytest.mark.parametrize(
    ("name", "content", "problem", "first"),
    [
        ("a.csv", "text,x,y\na,1,0\nb,0,1\nc,1,1\nd,1,1\n", MultiLabel(("x", "y")), ("x",)),
        (
            "a.jsonl",
            '{"text":"a","label":["q","p"]}\n{"text":"b","label":["q"]}\n{"text":"c","label":["p"]}',
            MultiLabel(("p", "q")),
            ("q", "p"),
        ),
        (
            "a.csv",
            'text,label\na,"[\'q\', ""it\'s""]"\nb,[\'q\']\nc,"[""it\'s""]"\n',
            MultiLabel(("it's", "q")),
            ("q", "it's"),
        ),
        ("a.csv", "text,label\na,1.5\nb,2\nc,3.5\n", Regression(("label",)), 1.5),
        ("a.csv", "text,label\na,1\nb,2\nc,2e5\nd,3\n", Regression(("label",)), 1.0),
        ("a.csv", "text,label\na,1\nb,2\nc,1\nd,2\n", SingleLabel(("1", "2")), "1"),
        (
            "a.jsonl",
            "".join(
                f'{{"text":"{word}","label":{["true", "false"][word > "b"]}}}\n' for word in "abcd"
            ),
            SingleLabel(("False", "True")),
            "True",
        ),
    ],
    ids=[
        *("columns of 0 and 1", "lists", "lists as pandas writes them", "fractions"),
        *("one exponent", "whole numbers are classes", "true and false"),
    ],
)
def test_the_label_columns_tell_the_problem(tmp_path, name, content, problem, first):
    """Multi-label, regression and classes are told apart without a flag."""
    path = written(tmp_path / name, content)
    labels = ("x", "y") if "x" in problem.labels else ("label",)
    labelled = read_training_file(path, Columns(label=labels))
    assert labelled.problem == problem
    assert labelled.examples[0].label == first


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("words,label\nx,A\n", "no column 'text'"),
        ("text,label\nx,A\n  ,B\n", "row 3: the column 'text' is empty"),
        ("text,label\nx\n", "row 2: the column 'label' is empty"),
        ("text,label\nx,A,more\n", "row 2 has more cells than the header"),
        ("text,label,text\nx,A,y\n", "several of them named 'text'"),
        ("text,label\n", "no rows below its header"),
        ("", "no rows below its header"),
        (b"text,label\nx,A\n\xe9t\xe9,A\n", "line 3, byte 15 of the file, is not UTF-8"),
        ("text,label\nx,A\n".encode("utf-16"), "looks like UTF-16"),
        ('text,label\nx,A\n"open,A\ny,A\nz,B\n', "row 3 is not valid CSV"),
        ("text,label\nx,A\ny,A\n", "nothing to tell apart"),
        ("text,label\nx,A\ny,A\nz,B\n", "row 4: the label 'B' has one row only"),
        ("text,label\nx,Rent\ny,rent \nz,Rent\n", "row 3: the label 'rent ' and row 2's 'Rent'"),
        (
            "text,label\nx,Rent\ny,Re\u200bnt\nz,Rent\n",
            "row 3: the label 'Re\\u200bnt' and row 2's 'Rent'",
        ),
        (
            "text,label\na,100\nb,200\nc,300\n",
            "If the labels are numbers to learn, give --problem-type regression",
        ),
        ("text,label\na,1.5\nb,2.5\nc,n/a\nd,3.5\n", "row 4: the column 'label' holds 'n/a'"),
        ('text,label\na,["p"]\nb,["q"]\nc,["p"\n', "row 4: the column 'label' holds '[\"p\"', exp"),
        ("text,label\na,['p' 'q']\nb,['p' 'q']\n", "row 2: the column 'label' holds \"['p' 'q']\""),
        (
            "text;label\na;12,5\nb;13,5\n",
            "row 2: the column 'label' holds '12,5', expected a finite",
        ),
        ('text,label\na,"[""p"", """"]"\nb,[]\n', "in which a label is empty"),
        (
            'text,label\na,"[""p"", ""p""]"\nb,"[""q""]"\nc,"[""q""]"\n',
            "row 2: the label 'p' has one row only",
        ),
        ("text,label\na,1.5\nb,1.5\n", "every row has the number 1.5"),
        ('\ntext,label\n"x\n\ny",A\n\n\n  ,B\n', "row 6: the column 'text' is empty"),
        ("text,label\nx,A\n\ny,B,C\n", "row 4 has more cells than the header"),
    ],
)
def test_a_bad_file_is_refused(tmp_path, content, sentence):
    """Each fault of a file gets the sentence that names it."""
    path = written(tmp_path / "bad.csv", content)
    with pytest.raises(FineTuningError, match=re.escape(sentence)):
        read_training_file(path, Columns())


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("text,x,y\na,1,0\nb,2,1\n", "row 3: the column 'x' holds '2', expected 0 or 1"),
        ("text,x,y\na,1,0\nb,0,0\n", "row 3: no label applies to it"),
        ("text,x,y\na,1,0\nb,1,0\n", "the label 'y' applies to no row"),
    ],
)
def test_bad_label_columns_are_refused(tmp_path, content, sentence):
    """Several label columns hold 0 and 1, and each row and each label has its use."""
    path = written(tmp_path / "bad.csv", content)
    with pytest.raises(FineTuningError, match=re.escape(sentence)):
        read_training_file(path, Columns(label=("x", "y")))


@pytest.mark.parametrize("problem_type", ["single_label_classification", "regression"])
def test_one_label_a_text_lies_in_one_column(tmp_path, problem_type):
    """Of several columns the first would be taken, and the others left unread."""
    path = written(tmp_path / "two.csv", "text,x,y\na,1,0\nb,0,1\n")
    with pytest.raises(FineTuningError, match="2 label columns are named, expected one"):
        read_training_file(path, Columns(label=("x", "y"), problem_type=problem_type))


def test_a_document_may_be_long(tmp_path):
    """Longer than the cells that Python's csv takes by itself."""
    text = "word " * 40_000
    path = written(tmp_path / "a.csv", f"text,label\n{text},A\nb,B\nc,A\nd,B\n")
    assert read_training_file(path, Columns()).examples[0].text == text


def test_rows_without_a_label_are_taken_where_that_is_meant(tmp_path):
    """With allow_no_label a row of zeros is an example like another."""
    path = written(tmp_path / "a.csv", "text,x,y\na,1,0\nb,0,0\nc,1,1\nd,0,1\n")
    columns = Columns(label=("x", "y"), allow_no_label=True)
    assert read_training_file(path, columns).examples[1].label == ()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.jsonl", '{"text": "a"', "row 1 is not JSON"),
        ("a.jsonl", "[" * 100_000, "row 1 is not JSON: maximum recursion depth"),
        (
            "a.jsonl",
            "".join(f'{{"text": "a", "label": {one}}}\n' for one in (1.5, 2.5, "9" * 400)),
            "row 3: the column 'label' holds 999",
        ),
        ("a.jsonl", "\n[1]\n", "row 2 is a JSON list"),
        ("a.jsonl", '{"text": 5, "label": "A"}', "row 1: the column 'text' holds 5"),
        (
            "a.jsonl",
            '{"text": "a", "label": "A"}\n{"text": "b", "label": ["A"]}',
            "row 2: the column 'label' holds ['A'], expected one class",
        ),
        ("a.jsonl", r'{"text": "a\ud83d", "label": "A"}', r"row 1 holds '\ud83d', one half of a"),
        ("a.parquet", "PAR0", "it is not Parquet"),
        ("a.xlsx", "x", "its name ends in '.xlsx'"),
    ],
)
def test_other_broken_files_are_refused(tmp_path, name, content, sentence):
    """A file is what its ending says, or a sentence says where it is not."""
    path = written(tmp_path / name, content)
    with pytest.raises(FineTuningError, match=re.escape(sentence)):
        read_training_file(path, Columns())


def test_a_missing_file_is_refused(tmp_path):
    """A path that does not exist is named."""
    with pytest.raises(FineTuningError, match=r"nowhere\.csv: No such file"):
        read_training_file(tmp_path / "nowhere.csv", Columns())


def test_a_label_unseen_in_training_is_refused(tmp_path):
    """A validation or test file may not bring a label of its own."""
    path = written(tmp_path / "test.csv", "text,label\nx,A\n\ny,C\n")
    with pytest.raises(FineTuningError, match=r"row 4: the label 'C' is not one .* \('A', 'B'\)"):
        read_examples(path, Columns(), SingleLabel(("A", "B")))


def test_label_columns_that_leave_out_a_label_are_refused(tmp_path):
    """The model would be measured as if that label never applied."""
    path = written(tmp_path / "test.csv", "text,x,y,z\na,1,0,1\nb,0,1,0\n")
    with pytest.raises(FineTuningError, match="the label columns leave out 'z', which the model"):
        read_examples(path, Columns(label=("x", "y")), MultiLabel(("x", "y", "z")))


def test_a_problem_can_be_asked_for_by_each_name_that_there_is():
    """The options know the names alone, which is all that can be known without torch."""
    assert tuple(PROBLEM_TYPES) == PROBLEM_TYPE_NAMES
