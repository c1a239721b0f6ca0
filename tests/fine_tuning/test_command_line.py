"""The commands as a user types them, up to the exit code."""

import contextlib
import csv
import io
import json
from dataclasses import dataclass

import pytest
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from fine_tuning.command_line import main


@dataclass(frozen=True)
class Ended:
    exit_code: int
    stdout: str
    stderr: str


def fine_tuning(*arguments: object) -> Ended:
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        pytest.raises(SystemExit) as ended,
    ):
        main([str(argument) for argument in arguments])
    return Ended(ended.value.code, stdout.getvalue(), stderr.getvalue())


@pytest.fixture(scope="module")
def disputes_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "disputes.csv"
    generated = fine_tuning("generate-disputes", "--output", path, "--documents", 200)
    assert generated.exit_code == 0, generated.stderr
    return path


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory, disputes_file):
    folder = tmp_path_factory.mktemp("model") / "final"
    trained = fine_tuning(
        *("train", "--train", disputes_file, "--from-scratch", "tiny"),
        *("--output-dir", folder, "--epochs", 1, "--max-length", 64),
    )
    assert trained.exit_code == 0, trained.stderr
    assert "accuracy" in trained.stdout
    return folder


def test_a_trained_folder_loads_and_names_its_labels(model_dir):
    """Hugging Face loads it, the mapping agrees with the config, and no pickle lies in it."""
    model = AutoModelForSequenceClassification.from_pretrained(model_dir)
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    with (model_dir / "label_mapping.csv").open(encoding="utf-8", newline="") as file:
        mapping = {int(row["label_id"]): row["label"] for row in csv.DictReader(file)}
    logits = model(**tokenizer("The landlord kept the deposit.", return_tensors="pt")).logits
    assert logits.shape == (1, 10)
    assert model.config.id2label == mapping
    assert {path.name for path in model_dir.iterdir()} == {
        *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
        *("special_tokens_map.json", "label_mapping.csv", "metrics.json", "MODEL_CARD.md"),
    }


def test_evaluate_prints_the_measures(model_dir, disputes_file):
    """All rows are counted, each class with its own."""
    run = fine_tuning("evaluate", "--model-dir", model_dir, "--test", disputes_file, "--json")
    measures = json.loads(run.stdout)
    assert measures["documents"] == 200
    assert [one["support"] for one in measures["classes"]] == [20] * 10


def test_a_trained_folder_can_be_the_base_model(model_dir, disputes_file, tmp_path):
    """Training goes on from a local folder, as it does from a model of the hub."""
    run = fine_tuning(
        *("train", "--train", disputes_file, "--base-model", model_dir, "--epochs", 0.1),
        *("--output-dir", tmp_path / "next"),
    )
    assert run.exit_code == 0, run.stderr
    assert (tmp_path / "next" / "model.safetensors").exists()


def test_a_folder_that_holds_a_model_is_kept(model_dir, disputes_file):
    """Without --overwrite nothing is trained over another model."""
    before = (model_dir / "model.safetensors").stat().st_mtime_ns
    run = fine_tuning(
        *("train", "--train", disputes_file, "--from-scratch", "tiny", "--output-dir", model_dir)
    )
    assert run.exit_code == 1
    assert "already holds a model" in run.stderr
    assert (model_dir / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "exit_code", "sentence"),
    [
        (("--from-scratch", "tiny", "--text-column", "words"), 1, "no column 'words'"),
        (("--base-model", "no/such/folder"), 1, "Could not load the base model"),
        ((), 2, "Give either --base-model or --from-scratch"),
        (("--from-scratch", "tiny", "--base-model", "x"), 2, "Give either"),
    ],
)
def test_a_wrong_call_is_one_sentence(disputes_file, tmp_path, arguments, exit_code, sentence):
    """The fault is named, and no folder is left behind."""
    folder = tmp_path / "final"
    run = fine_tuning("train", "--train", disputes_file, *arguments, "--output-dir", folder)
    assert run.exit_code == exit_code
    assert sentence in run.stderr
    assert not folder.exists()
