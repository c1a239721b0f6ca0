"""Forward passes: packed rows give every document the logits it has alone."""

import json
import shutil

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
)

from src.forward_pass import PackedForwardPass, PaddedForwardPass, forward_pass_for
from src.packed_attention import BLOCK_TOKENS, PackedRow
from tests.custom_container.tiny_model import save_model

VARIANTS = {
    "mean pooling": {},
    "cls pooling": {"classifier_pooling": "cls"},
    "a window wider than a block": {"local_attention": 2 * BLOCK_TOKENS + 44},
    "global layers only": {"global_attn_every_n_layers": 1},
    "biases everywhere": {"attention_bias": True, "mlp_bias": True, "norm_bias": True},
}
LENGTHS = (1, 2, 63, 64, 65, 128, 5, 17, 100, 33)


def load(path):
    """The model of a folder, as served."""
    return AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32).eval()


def documents(lengths=LENGTHS):
    """Documents of these lengths in random tokens."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(5, 600, (length,), generator=generator).tolist() for length in lengths]


def alone(model, docs):
    """The stock forward's logits of each document by itself, with nothing to pad."""
    with torch.inference_mode():
        return torch.cat([model(input_ids=torch.tensor([document])).logits for document in docs])


@pytest.mark.parametrize("variant", VARIANTS)
def test_packed_rows_agree_with_the_stock_forward(variant, tmp_path):
    """Pooling, window and biases as configured: the packed logits are the stock ones."""
    save_model(tmp_path, **VARIANTS[variant])
    model = load(tmp_path)
    expected = alone(model, documents())

    packed = PackedForwardPass(model).logits(documents())

    torch.testing.assert_close(packed, expected, rtol=0, atol=2e-5)


def test_a_config_as_transformers_4_48_saved_it_is_packed_alike(model_dir, tmp_path):
    """Its window and rope are told by older names, and mean the same."""
    folder = shutil.copytree(model_dir, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    for newer in ("layer_types", "rope_parameters", "dtype"):
        del config[newer]
    older = {
        "global_attn_every_n_layers": 3,
        "global_rope_theta": 160000.0,
        "local_rope_theta": 10000.0,
        "position_embedding_type": "absolute",
        "reference_compile": None,
        "torch_dtype": "float32",
        "transformers_version": "4.48.0",
    }
    (folder / "config.json").write_text(json.dumps({**config, **older}))

    packed = PackedForwardPass(load(folder)).logits(documents())

    torch.testing.assert_close(packed, alone(load(model_dir), documents()), rtol=0, atol=2e-5)


def test_padded_rectangles_agree_with_the_stock_forward(model_dir):
    """Padding far beyond the window changes no logit."""
    model = load(model_dir)

    padded = PaddedForwardPass(model).logits(documents())

    torch.testing.assert_close(padded, alone(model, documents()), rtol=0, atol=2e-5)


@pytest.mark.parametrize("way", [PaddedForwardPass, PackedForwardPass])
def test_a_document_does_not_see_its_neighbours(way, model_dir):
    """Other company in the same micro-batch leaves a document's logits as they were."""
    forward_pass = way(load(model_dir))
    document, *company = documents((40, 90, 7, 64))

    first = forward_pass.logits([document, company[0]])[0]
    last = forward_pass.logits([company[1], company[2], document])[-1]

    torch.testing.assert_close(first, last, rtol=0, atol=1e-5)


def test_a_packed_way_in_which_documents_see_each_other_is_refused(model_dir, monkeypatch, caplog):
    """The trap: one attention over the whole row, position ids right, gives plausible logits."""
    monkeypatch.setattr(PackedRow, "bounds", property(lambda row: [(0, sum(row.lengths))]))
    model = load(model_dir)
    expected = alone(model, documents())

    with caplog.at_level("INFO"):
        forward_pass = forward_pass_for(model, 128)

    assert isinstance(forward_pass, PaddedForwardPass)
    assert "packed logits differ" in caplog.text
    torch.testing.assert_close(forward_pass.logits(documents()), expected, rtol=0, atol=2e-5)


def test_modernbert_is_packed(model_dir):
    """The path this container is made for is taken."""
    assert isinstance(forward_pass_for(load(model_dir), 128), PackedForwardPass)


def test_another_architecture_is_padded_and_the_log_says_so(caplog):
    """BERT runs through its stock forward until it has a packed way of its own."""
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=600,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=128,
            num_labels=4,
        )
    ).eval()

    with caplog.at_level("INFO"):
        forward_pass = forward_pass_for(model, 128)

    assert isinstance(forward_pass, PaddedForwardPass)
    assert "BertForSequenceClassification" in caplog.text
    torch.testing.assert_close(
        forward_pass.logits(documents()), alone(model, documents()), rtol=0, atol=2e-5
    )
