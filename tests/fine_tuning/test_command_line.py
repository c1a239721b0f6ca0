"""The commands as a user types them, up to the exit code."""

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GPT2Config,
    GPT2Model,
)

from fine_tuning.columns import PROBLEM_TYPE_NAMES
from fine_tuning.command_line import main
from fine_tuning.evaluation_commands import print_folds
from fine_tuning.measures import RegressionMeasures
from tests.fine_tuning.label_sets import write_label_set


def test_a_trained_folder_loads_and_names_its_labels(model_dir):
    """Hugging Face loads it, the mapping agrees with the config, and no pickle lies in it."""
    model = AutoModelForSequenceClassification.from_pretrained(model_dir)
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    with (model_dir / "label_mapping.csv").open(encoding="utf-8", newline="") as file:
        mapping = {int(row["label_id"]): row["label"] for row in csv.DictReader(file)}
    logits = model(**tokenizer("The landlord kept the deposit.", return_tensors="pt")).logits
    assert logits.shape == (1, 10)
    assert model.config.id2label == mapping
    assert model.config.problem_type == "single_label_classification"
    assert {path.name for path in model_dir.iterdir()} == {
        *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
        *("special_tokens_map.json", "label_mapping.csv", "metrics.json", "MODEL_CARD.md"),
        *("confusion_matrix.png", "calibration.png", "training_curve.png"),
    }
    assert not model_dir.with_name("final.checkpoints").exists()


def test_a_trained_folder_can_be_saved_again_by_transformers(model_dir, tmp_path):
    """The temperature in its config is none of transformers' own generation parameters."""
    model = AutoModelForSequenceClassification.from_pretrained(model_dir)
    model.save_pretrained(tmp_path)
    kept = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert kept["calibration_temperature"] == model.config.calibration_temperature > 0


def test_what_the_training_curve_shows_is_kept_in_figures(model_dir):
    """Each epoch's losses and measures, so that the picture can be drawn again."""
    (epoch,) = json.loads((model_dir / "metrics.json").read_text(encoding="utf-8"))["epochs"]
    kept = ("mean_top_score", "expected_calibration_error", "weighted_f1", "macro_f1", "accuracy")
    assert set(epoch) == {"epoch", "loss", "eval_loss", *(f"eval_{name}" for name in kept)}
    assert epoch["epoch"] == 1


def test_the_pictures_are_pictures(model_dir):
    """Each can be opened, and none is blank."""
    for name in ("confusion_matrix.png", "calibration.png", "training_curve.png"):
        with Image.open(model_dir / name) as picture:
            assert min(picture.size) > 300
            assert len(picture.convert("RGB").getcolors(maxcolors=1 << 24)) > 20


def test_evaluate_prints_the_measures(fine_tuning, model_dir, disputes_file):
    """All rows are counted, each class with its own."""
    run = fine_tuning("evaluate", "--model-dir", model_dir, "--test", disputes_file, "--json")
    measures = json.loads(run.stdout)
    assert measures["documents"] == 200
    assert [one["support"] for one in measures["classes"]] == [20] * 10
    stated = json.loads((model_dir / "metrics.json").read_text(encoding="utf-8"))
    assert measures["accuracy"] == pytest.approx(stated["test"]["accuracy"])


def test_evaluate_names_the_rows_of_the_surest_mistakes(fine_tuning, model_dir, disputes_file):
    """A model trained for seconds makes mistakes; at most twenty are told, the surest first."""
    run = fine_tuning("evaluate", "--model-dir", model_dir, "--test", disputes_file)
    told = [line for line in run.stdout.splitlines() if line.startswith("  row ")]
    scores = [float(line.split("(")[1].split(")")[0]) for line in told]
    assert 1 <= len(told) <= 20
    assert scores == sorted(scores, reverse=True)
    assert "most confused:" in run.stdout


def test_folds_measure_every_row_once(fine_tuning, disputes_file):
    """Two folds of 100 rows, each measured with all ten classes."""
    run = fine_tuning(
        *("evaluate", "--test", disputes_file, "--folds", 2, "--from-scratch", "tiny", "--json"),
        *("--epochs", 0.3, "--max-length", 32),
    )
    measured_on = json.loads(run.stdout)
    assert [measured_on[name]["documents"] for name in ("fold 1", "fold 2")] == [100, 100]
    assert run.stderr.count("epoch=0.5;") == 2


def test_the_spread_of_the_folds_is_told(capsys):
    """After each of them: the mean and the standard deviation of what is one number."""
    folds = [
        (f"fold {number}", RegressionMeasures(9, float(number), 4.0, 0.5, 6.0)) for number in (1, 3)
    ]
    print_folds(folds, as_json=False)
    *each, all_folds = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in each] == ["fold 1", "fold 3"]
    assert "all 2 folds, mean ± standard deviation: mean absolute error 2 ± 1.414" in all_folds


@pytest.mark.parametrize(
    "option",
    [("--base-model", "x"), ("--epochs", 3), ("--problem-type", "regression")],
    ids=lambda one: one[0],
)
def test_what_trains_is_refused_where_nothing_is_trained(fine_tuning, disputes_file, option):
    """Else the demonstration model would be measured in the place of the one that was meant."""
    run = fine_tuning("evaluate", "--test", disputes_file, *option)
    assert run.exit_code == 2
    assert f"{option[0]} is for training, which evaluate does with --folds only" in run.stderr


def test_folds_measure_no_model_that_is_there(fine_tuning, disputes_file, model_dir):
    """They train their own, so naming one is a misunderstanding."""
    run = fine_tuning(
        *("evaluate", "--test", disputes_file, "--model-dir", model_dir, "--folds", 2),
        *("--from-scratch", "tiny"),
    )
    assert run.exit_code == 2
    assert "Leave --model-dir out" in run.stderr


def test_more_folds_than_rows_are_refused(fine_tuning, disputes_file):
    """Some fold would hold out nothing."""
    run = fine_tuning(
        *("evaluate", "--test", disputes_file, "--folds", 201, "--from-scratch", "tiny")
    )
    assert run.exit_code == 1
    assert "has 200 rows, too few for 201 folds" in run.stderr


def test_a_trained_folder_can_be_the_base_model(fine_tuning, model_dir, disputes_file, tmp_path):
    """Training goes on from a local folder, as it does from a model of the hub."""
    run = fine_tuning(
        *("train", "--train", disputes_file, "--base-model", model_dir, "--epochs", 0.1),
        *("--output-dir", tmp_path / "next"),
    )
    assert run.exit_code == 0, run.stderr
    assert (tmp_path / "next" / "model.safetensors").exists()


def test_a_folder_that_holds_a_model_is_kept(fine_tuning, model_dir, disputes_file):
    """Without --overwrite nothing is trained over another model."""
    before = (model_dir / "model.safetensors").stat().st_mtime_ns
    run = fine_tuning(
        *("train", "--train", disputes_file, "--from-scratch", "tiny", "--output-dir", model_dir)
    )
    assert run.exit_code == 1
    assert "already holds a model" in run.stderr
    assert (model_dir / "model.safetensors").stat().st_mtime_ns == before


def test_a_run_that_fails_after_training_is_not_trained_again(fine_tuning, disputes_file, tmp_path):
    """Checkpoints go when the folder is written; until then the same command goes on from them, and
    finds no half of a model that it would have to be allowed to replace."""
    folder, checkpoints = tmp_path / "final", tmp_path / "checkpoints"
    command = (
        *("train", "--train", disputes_file, "--from-scratch", "tiny", "--output-dir", folder),
        *("--checkpoint-dir", checkpoints, "--epochs", 1, "--max-length", 16),
    )
    (folder / "MODEL_CARD.md").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        main([str(argument) for argument in command])
    (folder / "MODEL_CARD.md").rmdir()
    again = fine_tuning(*command)
    assert again.exit_code == 0, again.stderr
    assert "epoch=" not in again.stderr
    assert list(checkpoints.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told_before_training(fine_tuning, tmp_path):
    """Nothing can lie below a file."""
    (tmp_path / "notes.txt").touch()
    run = fine_tuning(
        *("train", "--train", "nowhere.csv", "--from-scratch", "tiny"),
        *("--output-dir", tmp_path / "notes.txt" / "final"),
    )
    assert run.exit_code == 1
    assert "notes.txt is a file. Give a folder as --output-dir" in run.stderr


@pytest.mark.parametrize("problem_type", PROBLEM_TYPE_NAMES)
@pytest.mark.parametrize("patience", [(), ("--patience", 1)], ids=["the last", "the best epoch"])
def test_a_model_that_diverged_is_not_written(fine_tuning, tmp_path, problem_type, patience):
    """Its answers are no numbers, and a smaller learning rate is what helps."""
    labels = write_label_set(tmp_path / "rows.csv", problem_type)
    run = fine_tuning(
        *("train", "--train", tmp_path / "rows.csv", "--label-column", ",".join(labels)),
        *("--from-scratch", "tiny", "--epochs", 1, "--max-length", 16, "--learning-rate", 1e30),
        *("--output-dir", tmp_path / "final", *patience),
    )
    assert run.exit_code == 1
    assert "it diverged" in run.stderr
    assert "a smaller --learning-rate" in run.stderr
    assert not (tmp_path / "final").exists()


@pytest.mark.parametrize(
    "fault",
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer"),
        (b"half of a download", "Could not load the"),
    ],
    ids=["a pointer", "broken"],
)
def test_weights_that_are_none_are_told(fine_tuning, model_dir, disputes_file, tmp_path, fault):
    """By the two commands that read a folder, before and after training."""
    weights, sentence = fault
    folder = shutil.copytree(model_dir, tmp_path / "copy")
    (folder / "model.safetensors").write_bytes(weights)
    for command in (
        ("evaluate", "--model-dir", folder, "--test", disputes_file),
        ("train", "--base-model", folder, "--train", disputes_file, "--output-dir", tmp_path / "x"),
    ):
        run = fine_tuning(*command)
        assert run.exit_code == 1
        assert sentence in run.stderr


@pytest.mark.parametrize("kept", [(), ("config.json", "tokenizer.json")], ids=len)
def test_a_base_model_in_parts_is_told_at_once(fine_tuning, model_dir, tmp_path, kept):
    """What the folder lacks is named, before even the rows are read."""
    folder = tmp_path / "base"
    folder.mkdir()
    for name in kept:
        shutil.copy(model_dir / name, folder)
    run = fine_tuning(
        *("train", "--train", "nowhere.csv", "--base-model", folder),
        *("--output-dir", tmp_path / "final"),
    )
    assert run.exit_code == 1
    lacks = "weights" if kept else "config.json, a tokenizer, weights"
    assert f"{folder} lacks {lacks}. Give --base-model" in run.stderr


def test_a_decoder_is_refused_as_base_model(fine_tuning, model_dir, disputes_file, tmp_path):
    """It has no position embeddings to tell how long a text may be, and no padding."""
    shutil.copytree(model_dir, tmp_path / "base")
    words = AutoTokenizer.from_pretrained(model_dir).vocab_size
    GPT2Model(GPT2Config(vocab_size=words, n_embd=8, n_layer=1, n_head=1)).save_pretrained(
        tmp_path / "base"
    )
    run = fine_tuning(
        *("train", "--train", disputes_file, "--base-model", tmp_path / "base"),
        *("--output-dir", tmp_path / "final"),
    )
    assert run.exit_code == 1
    assert "is a gpt2, expected an encoder such as ModernBERT" in run.stderr


@pytest.mark.parametrize("problem_type", PROBLEM_TYPE_NAMES)
def test_a_label_with_dollar_signs_is_drawn_as_it_is(fine_tuning, tmp_path, problem_type):
    """What stands between two of them is no formula."""
    names = write_label_set(tmp_path / "rows.csv", problem_type)
    rows = (tmp_path / "rows.csv").read_text(encoding="utf-8")
    # Of the four classes one, of the four label columns one, and the one column of numbers.
    name = {"label": "rent"}.get(names[0], names[0])
    rows = rows.replace(f",{name}", ",$^{$")
    columns = [word for one in names for word in ("--label-column", one.replace(name, "$^{$"))]
    (tmp_path / "rows.csv").write_text(rows, encoding="utf-8")
    run = fine_tuning(
        *("train", "--train", tmp_path / "rows.csv", *columns, "--from-scratch", "tiny"),
        *("--epochs", 1, "--max-length", 16, "--output-dir", tmp_path / "final"),
    )
    assert run.exit_code == 0, run.stderr
    assert len(list((tmp_path / "final").glob("*.png"))) >= 2


class Terminal(io.StringIO):
    """A person at the keyboard who types what is given."""

    def isatty(self):
        """Tell that somebody can be asked."""
        return True


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [("n\n", "already holds a model"), ("y\n", "nowhere.csv: No such file")],
)
def test_a_person_is_asked_before_a_model_is_replaced(
    fine_tuning, model_dir, monkeypatch, typed, sentence
):
    """No ends it there, yes goes on to the data; nothing is asked where nobody sits."""
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    run = fine_tuning(
        *("train", "--train", "nowhere.csv", "--from-scratch", "tiny", "--output-dir", model_dir)
    )
    assert run.exit_code == 1
    assert "holds a model. Replace it?" in run.stderr
    assert sentence in run.stderr


def test_a_hub_that_cannot_be_reached_is_told_at_once(disputes_file, tmp_path):
    """Asked once, where the hub's own client would try for a minute."""
    run = subprocess.run(
        [
            *(sys.executable, "-m", "fine_tuning", "train", "--train", disputes_file),
            *("--base-model", "nobody/nothing", "--output-dir", tmp_path / "final"),
        ],
        cwd=Path(__file__).parents[2],
        # A port that nobody listens on.
        env={"HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert run.returncode == 1
    assert "Could not load the base model 'nobody/nothing'" in run.stderr
    assert "give --base-model the path of a local folder" in run.stderr


def test_what_is_not_installed_is_told():
    """The README installs what training needs in a step of its own, which may be left out."""
    without_torch = "import sys; sys.modules['torch'] = None"
    train = "from fine_tuning.command_line import main; main(['train'])"
    run = subprocess.run(
        [sys.executable, "-c", f"{without_torch}; {train}"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr == (
        "Error: `train` needs torch, which is not installed. Install requirements-training.txt.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "ends_with"),
    [
        (("--from-scratch", "tiny", "--text-column", "words"), (1, "no column 'words'")),
        (("--base-model", "no/such/folder"), (1, "give --base-model the path of a local folder")),
        ((), (2, "Give either --base-model or --from-scratch")),
        (("--from-scratch", "tiny", "--base-model", "x"), (2, "Give either")),
        (("--from-scratch", "tiny", "--label-column", ","), (2, "no column is named")),
        (
            ("--from-scratch", "tiny", "--text-column", "x,y,x"),
            (2, "a column is named twice among"),
        ),
        (("--from-scratch", "tiny", "--label-column", "text"), (2, "'text' is given as --text-co")),
    ],
)
def test_a_wrong_call_is_one_sentence(fine_tuning, disputes_file, tmp_path, arguments, ends_with):
    """The fault is named, and no folder is left behind."""
    folder = tmp_path / "final"
    run = fine_tuning("train", "--train", disputes_file, *arguments, "--output-dir", folder)
    exit_code, sentence = ends_with
    assert run.exit_code == exit_code
    assert sentence in run.stderr
    assert list(tmp_path.iterdir()) == []
