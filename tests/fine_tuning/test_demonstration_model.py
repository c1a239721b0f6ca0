"""The model that is committed: whole, small, honest about itself, and good enough to show."""

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from fine_tuning.columns import Columns
from fine_tuning.demonstration_model import HANDWRITTEN_FILE
from fine_tuning.evaluation import evaluate_classifier
from fine_tuning.labelled_texts import read_training_file
from fine_tuning.model_folder import load_model_folder
from fine_tuning.pictures import TRAINING_CURVE, draw_training_curve
from fine_tuning.problem_types import SingleLabel
from fine_tuning.training import TrainingHistory

FOLDER = Path(__file__).parents[2] / "modernbert_dispute_classifier" / "final"


@pytest.fixture(scope="module")
def model_and_tokenizer():
    return load_model_folder(FOLDER)


def test_the_folder_is_small():
    """A clone stays quick: 12 MB at most."""
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 12_000_000


def test_label_mapping_agrees_with_the_config(model_and_tokenizer):
    """The CSV and config.json name the same classes in the same order."""
    model, _ = model_and_tokenizer
    with (FOLDER / "label_mapping.csv").open(encoding="utf-8", newline="") as file:
        mapping = {int(row["label_id"]): row["label"] for row in csv.DictReader(file)}
    assert mapping == model.config.id2label


def test_the_tokenizer_frames_a_document_and_knows_its_limit(model_and_tokenizer):
    """A document stands between [CLS] and [SEP], and 8,192 tokens is the longest."""
    _, tokenizer = model_and_tokenizer
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("A 𠮷 dispute")["input_ids"])
    assert (tokens[0], tokens[-1]) == ("[CLS]", "[SEP]")
    assert "[UNK]" not in tokens
    assert tokenizer.model_max_length == 8192
    assert tokenizer.is_fast


@pytest.fixture(scope="module")
def measures(model_and_tokenizer):
    """Of the handwritten descriptions."""
    examples = read_training_file(HANDWRITTEN_FILE, Columns()).examples
    return evaluate_classifier(*model_and_tokenizer, examples).measures


def test_accuracy_on_the_handwritten_descriptions(measures):
    """At least 85%, and the figures are those that metrics.json and the card state."""
    stated = json.loads((FOLDER / "metrics.json").read_text(encoding="utf-8"))
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert measures.accuracy >= 0.85
    assert measures.accuracy == pytest.approx(stated["test"]["accuracy"], abs=0.01)
    assert f"accuracy {stated['test']['accuracy']:.1%}" in card


def test_scores_are_calibrated_on_the_validation_texts(model_and_tokenizer):
    """ECE is at most 0.05 after calibration, and the temperature is in config.json."""
    model, _ = model_and_tokenizer
    stated = json.loads((FOLDER / "metrics.json").read_text(encoding="utf-8"))
    assert stated["validation"]["expected_calibration_error"] <= 0.05
    assert model.config.calibration_temperature > 0


def test_the_card_says_what_calibration_on_faultless_answers_is_worth():
    """Without a wrong answer among them the calibration error is the doubt that was put in."""
    stated = json.loads((FOLDER / "metrics.json").read_text(encoding="utf-8"))
    card = " ".join((FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8").split())
    faultless = stated["validation"]["accuracy"] == 1
    assert ("None of these was answered wrongly" in card) == faultless


def test_the_training_curve_is_drawn_from_the_figures_that_are_kept(tmp_path):
    """Each epoch's figures are in metrics.json, and drawing them again gives the same picture."""
    epochs = json.loads((FOLDER / "metrics.json").read_text(encoding="utf-8"))["epochs"]
    draw_training_curve(TrainingHistory(epochs), SingleLabel(()), tmp_path)
    drawn, kept = (Image.open(folder / TRAINING_CURVE) for folder in (tmp_path, FOLDER))
    assert drawn.tobytes() == kept.tobytes()


def test_scores_are_not_all_near_one(measures):
    """The mean score of the predicted class stays below 0.97, so that doubt can be seen."""
    assert measures.accuracy - 0.25 < measures.mean_top_score < 0.97
