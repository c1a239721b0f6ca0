"""On a GPU itself: packed rows by its own kernels and attention, its memory, two batches under way.

Skipped on a machine without one.
"""

import random

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from src import inference
from src.device_memory import HalvingForwardPass, fitted_tokens
from src.device_operations import operations_for
from src.forward_pass import PackedForwardPass, forward_pass_for
from src.modernbert_layer import FusedLayer
from src.packed_attention import attend_with_sdpa, attend_with_varlen, attention_for
from src.packed_row import PackedRow
from src.precision import Precision
from tests.custom_container.tiny_model import LABELS, WORDS, save_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
LENGTHS = (1, 2, 63, 64, 65, 128, 5, 17, 100, 33, 128, 128)
# Weights as wide as a trained model's: the tests' own are spread so wildly that no half precision
# holds their logits.
ORDINARY = {"initializer_range": 0.06, "hidden_size": 128}


def documents(lengths=LENGTHS):
    """Documents of these lengths in random tokens."""
    generator = np.random.default_rng(1)
    return [generator.integers(5, 600, length, dtype=np.int32) for length in lengths]


def load(path):
    """The model of a folder on the GPU."""
    return AutoModelForSequenceClassification.from_pretrained(path).float().eval().to("cuda")


def alone(model, docs):
    """The stock forward's logits of each document by itself."""
    with torch.inference_mode():
        inputs = [torch.tensor(document[None], device="cuda").long() for document in docs]
        return torch.cat([model(input_ids=each).logits for each in inputs]).cpu()


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("fp32", 2e-5), ("bf16", 5e-3), ("fp16", 5e-3)]
)
def test_packed_rows_agree_with_the_stock_forward(tmp_path, pooling, precision, tolerance):
    """Every document gets the probabilities it has alone in fp32."""
    save_model(tmp_path, classifier_pooling=pooling, **ORDINARY)
    model = load(tmp_path)
    expected = alone(model, documents()).softmax(dim=-1)

    forward_pass = forward_pass_for(model, 128, Precision(precision))

    assert isinstance(forward_pass, PackedForwardPass)
    assert isinstance(model.base_model.encoder.layers[0], FusedLayer)
    got = forward_pass.logits(documents()).softmax(dim=-1)
    torch.testing.assert_close(got, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("reach", [None, 16, 64])
def test_varlen_attention_is_sdpas(reach):
    """Both kinds of layer: the same documents, the same window, no look beyond either."""
    torch.manual_seed(0)
    row = PackedRow(LENGTHS, "cuda")
    parts = torch.randn(3, 4, sum(LENGTHS), 32, device="cuda")
    expected = attend_with_sdpa(*parts, row, scaling=0.2, reach=reach)

    got = attend_with_varlen(*parts.bfloat16(), row, scaling=0.2, reach=reach)

    torch.testing.assert_close(got.float(), expected, rtol=0, atol=2e-2)


def test_an_answer_does_not_depend_on_its_company(model_dir):
    """Shuffled, alone or together, with two micro-batches under way: scores within the bound."""
    generator = random.Random(5)  # noqa: S311
    texts = [
        " ".join(generator.choices(WORDS, k=generator.choice([1, 9, 60, 200]))) for _ in range(300)
    ]
    classifier = inference.model_fn(
        model_dir, top_k=len(LABELS), max_tokens_per_micro_batch=1024, inference_precision="fp32"
    )
    order = generator.sample(range(300), 300)

    together = classifier.classify(texts).predictions
    shuffled = classifier.classify([texts[place] for place in order]).predictions

    for place, prediction in zip(order, shuffled, strict=True):
        other = together[place]
        assert prediction["predicted_class"] == other["predicted_class"]
        scores = [top["score"] for top in prediction["top_predictions"]]
        assert scores == pytest.approx([top["score"] for top in other["top_predictions"]], abs=2e-5)


def test_a_micro_batch_beyond_the_memory_goes_on_in_halves(tmp_path):
    """Torch's own error, from a GPU that has little left for this process."""
    save_model(tmp_path, **ORDINARY)
    forward_pass = forward_pass_for(load(tmp_path), 128, Precision.BF16)
    many = documents([128] * 4096)
    expected = torch.cat([forward_pass.logits(many[:2048]), forward_pass.logits(many[2048:])])
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    needed = 400 * 2**20  # less than the whole needs, more than an eighth of it
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + needed) / total)
    try:
        got = HalvingForwardPass(forward_pass, torch.cuda.empty_cache).logits(many)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)

    torch.testing.assert_close(got, expected, rtol=0, atol=5e-2)


def test_the_token_budget_is_tried_on_the_gpu(tmp_path):
    """A whole number of the longest documents, as many as are worth it."""
    save_model(tmp_path, **ORDINARY)
    forward_pass = forward_pass_for(load(tmp_path), 128, Precision.BF16)

    fitted = fitted_tokens(forward_pass, torch.device("cuda"), 128, torch.cuda.empty_cache)

    assert fitted % 128 == 0
    assert fitted >= 2**16


def test_without_kernels_the_layers_stay_transformers_own(tmp_path, monkeypatch, caplog):
    """Slower, no more: the answers are the same, and the log says why."""
    from src import gpu_operations  # noqa: PLC0415

    def no_compiler(_device):
        raise RuntimeError("Failed to find C compiler.")

    monkeypatch.setattr(gpu_operations, "try_kernels", no_compiler)
    for choice in (operations_for, attention_for):
        choice.cache_clear()
    save_model(tmp_path, **ORDINARY)
    model = load(tmp_path)
    expected = alone(model, documents()).softmax(dim=-1)

    with caplog.at_level("WARNING"):
        got = forward_pass_for(model, 128, Precision.BF16).logits(documents()).softmax(dim=-1)
    for choice in (operations_for, attention_for):
        choice.cache_clear()

    torch.testing.assert_close(got, expected, rtol=0, atol=2e-2)
    assert "Failed to find C compiler" in caplog.text
    assert not isinstance(model.base_model.encoder.layers[0], FusedLayer)
