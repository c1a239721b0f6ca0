"""Documents as long as real complaints are, and a model as large as ModernBERT-base.

The texts are this project's sample documents' words in random order, the weights are random:
neither changes how long anything takes. Knows lengths and shapes; measures nothing.
"""

import random
from bisect import bisect
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import torch
from transformers import (
    AutoTokenizer,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    PreTrainedTokenizerFast,
)

ROOT = Path(__file__).parents[1]
TOKENIZER = ROOT / "modernbert_dispute_classifier" / "final"
# ModernBERT tokens, special ones included, of 2,827 complaints that the Consumer Financial
# Protection Bureau published: quantile and length.
COMPLAINT_LENGTHS = (
    (0.0, 4),
    (0.01, 16),
    (0.05, 34),
    (0.1, 52),
    (0.25, 100),
    (0.5, 180),
    (0.75, 311),
    (0.9, 529),
    (0.95, 685),
    (0.99, 1247),
    (1.0, 3950),
)


def complaint_lengths(count: int) -> list[int]:
    """`count` lengths, in tokens, spread evenly over the distribution, in random order."""
    lengths = [_length_at((place + 0.5) / count) for place in range(count)]
    random.Random(0).shuffle(lengths)  # noqa: S311
    return lengths


def _length_at(quantile: float) -> int:
    after = bisect(COMPLAINT_LENGTHS, (quantile, 0))
    (low, shorter), (high, longer) = COMPLAINT_LENGTHS[after - 1], COMPLAINT_LENGTHS[after]
    return round(shorter + (longer - shorter) * (quantile - low) / (high - low))


def generated_texts(count: int, tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """Texts of `complaint_lengths`, to within a word."""
    words = _words()
    return [_text_of(length, words, tokenizer) for length in complaint_lengths(count)]


def _text_of(length: int, words: Iterator[str], tokenizer: PreTrainedTokenizerFast) -> str:
    text = next(words)
    while (missing := length - len(tokenizer(text).input_ids)) > 0:
        text = " ".join([text, *(next(words) for _ in range(max(1, missing // 2)))])
    return text


def _words() -> Iterator[str]:
    files = sorted((ROOT / "sample_documents").rglob("*.txt"))
    words = sorted({word for file in files for word in file.read_text("utf-8", "replace").split()})
    generator = random.Random(1)  # noqa: S311
    while True:
        yield generator.choice(words)


def save_base_model(folder: Path) -> None:
    """A classifier of ModernBERT-base's shapes with random weights, 600 MB, and its tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    tokenizer.model_max_length = 8192
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    special_tokens = {
        f"{name}_token_id": getattr(tokenizer, f"{token}_token_id")
        for name, token in (
            ("pad", "pad"),
            ("cls", "cls"),
            ("bos", "cls"),
            ("sep", "sep"),
            ("eos", "sep"),
        )
    }
    config = ModernBertConfig(num_labels=12, classifier_pooling="mean", **special_tokens)
    ModernBertForSequenceClassification(config).save_pretrained(folder)


def floating_point_operations(config: ModernBertConfig, lengths: list[int]) -> float:
    """Of the forward pass: linear layers and the pairs of tokens that may see each other.

    Padding, masked pairs, norms and activations are no useful work and do not count.
    """
    hidden, layers = config.hidden_size, config.num_hidden_layers
    linear = layers * hidden * (4 * hidden + 3 * config.intermediate_size)
    windowed = config.layer_types.count("sliding_attention")
    reach = config.local_attention // 2

    def pairs(length: int) -> int:
        edge = min(reach, length - 1)
        near = length * (2 * edge + 1) - edge * (edge + 1)
        return windowed * near + (layers - windowed) * length**2

    return float(sum(2 * linear * length + 4 * hidden * pairs(length) for length in lengths))


def gemm_shapes(config: ModernBertConfig) -> list[tuple[int, int]]:
    """(in_features, out_features) of a layer's matrices."""
    hidden, intermediate = config.hidden_size, config.intermediate_size
    shapes = [hidden, 3 * hidden, hidden, hidden, hidden, 2 * intermediate, intermediate, hidden]
    return list(pairwise(shapes))[::2]
