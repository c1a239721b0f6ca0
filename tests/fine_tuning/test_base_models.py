"""Other encoders than ModernBERT, small ones with random weights, as --base-model."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    RobertaConfig,
    RobertaModel,
)

from fine_tuning.from_scratch import tiny_tokenizer
from tests.fine_tuning.label_sets import FACTS, write_label_set

sys.path.append(str(Path(__file__).parents[2] / "custom_container"))

from src.inference import batch_predict_fn, model_fn

# Random weights, the same ones in every run: of eight seeds, one left a class at 0.55.
SEED = 1
# Spread widely enough that two texts come out apart after one layer.
SMALL = {"initializer_range": 0.1, "intermediate_size": 32}
SMALL |= {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
DISTIL = {"initializer_range": 0.1, "dim": 32, "n_layers": 1, "n_heads": 2, "hidden_dim": 32}
POSITIONS = {"max_position_embeddings": 66, "pad_token_id": 0}
ENCODERS = {
    "bert": lambda words: BertModel(BertConfig(vocab_size=words, **SMALL)),
    "roberta": lambda words: RobertaModel(RobertaConfig(vocab_size=words, **SMALL, **POSITIONS)),
    "distilbert": lambda words: DistilBertModel(DistilBertConfig(vocab_size=words, **DISTIL)),
}
TEXTS = [f"Again {fact}, please advise." for fact in FACTS.values()]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_other_encoders_are_trained_packaged_and_served(request, fine_tuning, tmp_path, encoder):
    """It learns four classes, and the container's answers are transformers' own; the limit of the
    tokenizer, which had none, is the one of the model's positions."""
    write_label_set(tmp_path / "rows.csv", "single_label_classification")
    tokenizer = tiny_tokenizer([(tmp_path / "rows.csv").read_text(encoding="utf-8")])
    tokenizer.model_max_length = int(1e30)
    tokenizer.save_pretrained(tmp_path / "base")
    torch.manual_seed(SEED)
    ENCODERS[encoder](len(tokenizer)).save_pretrained(tmp_path / "base")
    trained = fine_tuning(
        *("train", "--train", tmp_path / "rows.csv", "--base-model", tmp_path / "base"),
        *("--epochs", 15, "--learning-rate", 4e-3, "--output-dir", tmp_path / "final"),
    )
    assert trained.exit_code == 0, trained.stderr
    subprocess.run(
        [sys.executable, request.config.rootpath / "package_model.py", "--model-dir", "final"],
        cwd=tmp_path,
        check=True,
    )
    with tarfile.open(tmp_path / "model.tar.gz") as artifact:
        artifact.extractall(tmp_path / "served", filter="data")

    served = batch_predict_fn(TEXTS, model_fn(tmp_path / "served", inference_precision="fp32"))

    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "final").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "final")
    assert tokenizer.model_max_length == {"bert": 512, "roberta": 65, "distilbert": 512}[encoder]
    assert [answer["predicted_class"] for answer in served.predictions] == list(FACTS)
    for text, answer in zip(TEXTS, served.predictions, strict=True):
        with torch.inference_mode():
            logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
        scores = (logits / model.config.calibration_temperature).softmax(-1)
        assert answer["top_predictions"][0]["score"] > 0.5
        for top in answer["top_predictions"]:
            expected = float(scores[model.config.label2id[top["class"]]])
            assert top["score"] == pytest.approx(expected, abs=1e-4)
