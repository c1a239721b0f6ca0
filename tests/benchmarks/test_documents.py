"""The benchmark's documents and its account of useful work."""

from statistics import median

import pytest
from transformers import AutoTokenizer, ModernBertConfig

from benchmarks.documents import (
    TOKENIZER,
    complaint_lengths,
    floating_point_operations,
    gemm_shapes,
    generated_texts,
)

SMALL = ModernBertConfig(
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=4,
    num_attention_heads=4,
    global_attn_every_n_layers=3,
    local_attention=8,
)


def test_lengths_are_spread_as_the_complaints():
    """Median, tail and mean of a thousand drawn are those of the published texts."""
    lengths = sorted(complaint_lengths(1000))

    assert median(lengths) == pytest.approx(180, abs=2)
    assert lengths[989] == pytest.approx(1247, rel=0.02)
    assert sum(lengths) / 1000 == pytest.approx(252, rel=0.1)


def test_texts_have_the_lengths_they_should():
    """Counted by the tokenizer that will read them, to within a word or two."""
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)

    counted = [len(tokenizer(text).input_ids) for text in generated_texts(8, tokenizer)]

    for count, length in zip(counted, complaint_lengths(8), strict=True):
        assert length <= count <= length + 12


@pytest.mark.parametrize("length", [1, 3, 5, 40])
def test_useful_work_is_counted_pair_by_pair(length):
    """Two windowed and two whole layers, against a count of every visible pair."""
    near = sum(abs(i - j) <= 4 for i in range(length) for j in range(length))
    linear = sum(2 * rows * columns for rows, columns in gemm_shapes(SMALL)) * 4 * length

    operations = floating_point_operations(SMALL, [length])

    assert operations == linear + 4 * 64 * (2 * near + 2 * length**2)
