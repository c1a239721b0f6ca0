"""Forward passes: packed rows give every document the logits it has alone."""

import json
import shutil

import pytest
import torch
from transformers import AutoModelForSequenceClassification
from transformers.modeling_outputs import BaseModelOutput

from src.errors import ModelError
from src.forward_pass import (
    PackedForwardPass,
    PaddedForwardPass,
    forward_pass_for,
    set_precision,
)
from src.modernbert_layer import FusedLayer
from src.packed_encoder import pack_encoder
from src.packed_row import BLOCK_TOKENS, PackedRow
from src.precision import Precision
from tests.custom_container.tiny_model import encoder, save_model

VARIANTS = {
    "mean pooling": {},
    "cls pooling": {"classifier_pooling": "cls"},
    "a window wider than a block": {"local_attention": 2 * BLOCK_TOKENS + 44},
    "global layers only": {"global_attn_every_n_layers": 1},
    "biases everywhere": {"attention_bias": True, "mlp_bias": True, "norm_bias": True},
}
OTHER_ENCODERS = ("bert", "roberta", "xlm-roberta", "electra", "distilbert")
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


@pytest.mark.parametrize("variant", VARIANTS)
def test_layers_in_fewer_steps_agree_with_the_stock_forward(variant, tmp_path):
    """The CPU's own layers give the stock logits, whatever the config says of ModernBERT."""
    save_model(tmp_path, **VARIANTS[variant])
    model = load(tmp_path)
    expected = alone(model, documents())

    logits = forward_pass_for(model, 128, Precision.FP32).logits(documents())

    assert all(isinstance(layer, FusedLayer) for layer in model.base_model.encoder.layers)
    torch.testing.assert_close(logits, expected, rtol=0, atol=2e-5)


def test_an_activation_that_is_not_gelu_keeps_the_stock_layers(tmp_path):
    """There are steps for gelu only; a model with another activation is packed without them."""
    save_model(tmp_path, hidden_activation="silu")
    model = load(tmp_path)
    expected = alone(model, documents())

    logits = forward_pass_for(model, 128, Precision.FP32).logits(documents())

    assert not any(isinstance(layer, FusedLayer) for layer in model.base_model.encoder.layers)
    torch.testing.assert_close(logits, expected, rtol=0, atol=2e-5)


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


def test_a_document_that_overflows_leaves_its_neighbours_their_numbers(model_dir):
    """0 x NaN is NaN: the blocks of a windowed layer hold the ends of two documents."""
    model = load(model_dir)
    docs = [[5] * 20, [599] * 30, [7] * 25]
    expected = alone(model, docs)
    forward_pass = forward_pass_for(model, 128, Precision.FP32)
    with torch.no_grad():
        model.base_model.encoder.get_input_embeddings().weight[599] = torch.nan

    logits = forward_pass.logits(docs)

    assert logits[1].isnan().all()
    torch.testing.assert_close(logits[[0, 2]], expected[[0, 2]], rtol=0, atol=2e-5)


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


@pytest.mark.parametrize("model_type", OTHER_ENCODERS)
def test_other_encoders_are_packed_and_agree_with_their_stock_forward(model_type, caplog):
    """Every encoder named packs: positions begin where its own do, its own head runs."""
    model = encoder(model_type)
    expected = alone(model, documents())

    forward_pass = forward_pass_for(model, 128)

    assert isinstance(forward_pass, PackedForwardPass), caplog.text
    torch.testing.assert_close(forward_pass.logits(documents()), expected, rtol=0, atol=2e-5)


def test_another_architecture_is_padded_and_the_log_says_so(caplog):
    """An encoder without packed attention runs through its stock forward."""
    model = encoder("deberta-v2", relative_attention=True, pos_att_type=["p2c", "c2p"])
    expected = alone(model, documents())

    with caplog.at_level("INFO"):
        forward_pass = forward_pass_for(model, 128)

    assert isinstance(forward_pass, PaddedForwardPass)
    assert "DebertaV2ForSequenceClassification is not packed" in caplog.text
    assert "Attention by transformers' own" in caplog.text
    torch.testing.assert_close(forward_pass.logits(documents()), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("model_type", "precision", "tolerance"),
    [(model_type, "bf16", 0.03) for model_type in ("modernbert", *OTHER_ENCODERS)]
    + [("modernbert", "int8", 0.06)],
)
def test_a_smaller_format_stays_near_fp32(model_type, precision, tolerance):
    """Logits move by a small part of the largest, yet do move: the format is in use."""
    model = encoder(model_type)
    expected = alone(model, documents())

    logits = forward_pass_for(model, 128, Precision(precision), documents([9] * 100)).logits(
        documents()
    )

    difference = (logits - expected).abs().max() / expected.abs().max()
    assert 0 < difference < tolerance


@pytest.mark.parametrize("way", [PaddedForwardPass, PackedForwardPass])
@pytest.mark.parametrize("model_type", ["modernbert", *OTHER_ENCODERS])
def test_the_head_of_an_encoder_in_half_precision_stays_in_fp32(model_type, way):
    """As on a GPU: a number in the last layer's bias, where bf16 counts by eights, is exact."""
    model = encoder(model_type)
    last_layer = getattr(model.classifier, "out_proj", model.classifier)
    torch.nn.init.zeros_(last_layer.weight)
    torch.nn.init.constant_(last_layer.bias, 2011.3)
    forward_pass = way(model)

    set_precision(model, Precision.BF16, is_packed=False)

    logits = forward_pass.logits(documents())
    assert {weights.dtype for weights in model.base_model.parameters()} == {torch.bfloat16}
    torch.testing.assert_close(logits, torch.full_like(logits, 2011.3))


def test_positions_of_an_encoder_in_half_precision_stay_in_fp32():
    """As transformers loads it: tokens far apart would else be turned to somewhere else."""
    model = encoder("modernbert")
    frequencies = model.base_model.rotary_emb.full_attention_inv_freq.clone()

    set_precision(model, Precision.BF16, is_packed=False)

    rotary = model.base_model.rotary_emb
    torch.testing.assert_close(rotary.full_attention_inv_freq, frequencies, rtol=0, atol=0)


@pytest.mark.parametrize(("precision", "tolerance"), [("bf16", 5e-3), ("int8", 5e-3)])
def test_in_a_smaller_format_an_answer_does_not_depend_on_its_company(precision, tolerance):
    """Alone, with others, in another order: every probability within the bound."""
    forward_pass = forward_pass_for(
        encoder("modernbert"), 128, Precision(precision), documents([9] * 100)
    )
    together = forward_pass.logits(documents()).softmax(dim=-1)
    reversed_ = forward_pass.logits(documents()[::-1]).flip(0).softmax(dim=-1)
    each = torch.cat([forward_pass.logits([document]) for document in documents()])

    torch.testing.assert_close(together, reversed_, rtol=0, atol=tolerance)
    torch.testing.assert_close(together, each.softmax(dim=-1), rtol=0, atol=tolerance)


def test_a_format_whose_range_the_activations_exceed_is_refused(model_dir, monkeypatch):
    """fp16 ends at 65,504: a model that goes beyond is refused with the way out."""
    model = load(model_dir)
    monkeypatch.setattr("src.forward_pass.linear_layer", OverflowingLinear)

    with pytest.raises(ModelError, match="Set INFERENCE_PRECISION=fp32"):
        forward_pass_for(model, 128, Precision.BF16)


class OverflowingLinear(torch.nn.Module):
    """Gives infinity, as a format with too small a range does."""

    def __init__(self, linear, dtype):
        super().__init__()
        self.dtype = dtype
        self._out_features = linear.out_features

    def forward(self, x):
        """Infinity in the shape of the product."""
        return torch.full((*x.shape[:-1], self._out_features), torch.inf, dtype=self.dtype)


def test_int8_without_samples_is_refused(model_dir):
    """Nobody has looked at what it changes."""
    with pytest.raises(ModelError, match=r"got 0, expected at least 100 in .*sample_texts.txt"):
        forward_pass_for(load(model_dir), 128, Precision.INT8)


def test_int8_is_refused_to_a_model_that_is_not_packed():
    """Its layers may reach for the weights themselves."""
    model = encoder("deberta-v2")

    with pytest.raises(ModelError, match="DebertaV2ForSequenceClassification is not packed"):
        forward_pass_for(model, 128, Precision.INT8, documents([9] * 100))


def test_the_mean_of_a_long_document_is_exact_in_bf16():
    """A GPU's whole model is bf16, whose sums of a thousand ones end at 256."""
    model = encoder("modernbert", classifier_pooling="mean").to(torch.bfloat16)
    pack_encoder(model)
    row = PackedRow([1000, 3])
    model.base_model.encoder.forward = lambda **_inputs: BaseModelOutput(
        last_hidden_state=torch.ones(1, 1003, 64, dtype=torch.bfloat16)
    )

    pooled = model.base_model(torch.zeros(1, 1003, dtype=torch.long), row).last_hidden_state

    assert pooled.unique().tolist() == [1.0]
