"""Other encoders than ModernBERT, small ones with random weights, as --base-model."""

import sys
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

from fine_tuning.dispute_grammar import load_grammar
from fine_tuning.dispute_texts import dispute_texts
from fine_tuning.from_scratch import tiny_tokenizer

sys.path.append(str(Path(__file__).parents[2] / "custom_container"))

from src.inference import batch_predict_fn, model_fn

SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
ENCODERS = {
    "bert": lambda words: BertModel(BertConfig(vocab_size=words, intermediate_size=32, **SMALL)),
    "roberta": lambda words: RobertaModel(
        RobertaConfig(
            vocab_size=words,
            intermediate_size=32,
            max_position_embeddings=66,
            pad_token_id=0,
            **SMALL,
        )
    ),
    "distilbert": lambda words: DistilBertModel(
        DistilBertConfig(vocab_size=words, dim=32, n_layers=1, n_heads=2, hidden_dim=32)
    ),
}


@pytest.mark.parametrize("encoder", ENCODERS)
def test_other_encoders_are_trained_and_served(fine_tuning, disputes_file, tmp_path, encoder):
    """A document longer than the positions of the model is cut where the container cuts too."""
    base = tmp_path / "base"
    texts = [example.text for example in dispute_texts(load_grammar(), 100, seed=1)]
    tokenizer = tiny_tokenizer(texts)
    tokenizer.model_max_length = int(1e30)
    tokenizer.save_pretrained(base)
    ENCODERS[encoder](len(tokenizer)).save_pretrained(base)
    run = fine_tuning(
        *("train", "--train", disputes_file, "--base-model", base, "--epochs", 0.2),
        *("--output-dir", tmp_path / "final"),
    )
    assert run.exit_code == 0, run.stderr
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "final").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "final")
    assert tokenizer.model_max_length == {"bert": 512, "roberta": 65, "distilbert": 512}[encoder]
    with torch.inference_mode():
        logits = model(**tokenizer(texts[0], return_tensors="pt", truncation=True)).logits[0]
    scores = (logits / model.config.calibration_temperature).softmax(-1)
    (answer,) = batch_predict_fn(texts[:1], model_fn(tmp_path / "final")).predictions
    top = answer["top_predictions"][0]
    assert top["score"] == pytest.approx(
        float(scores[model.config.label2id[top["class"]]]), abs=0.02
    )
