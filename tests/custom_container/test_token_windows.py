"""Token windows: a document is read whole, whatever its length and the tokenizer's own limits."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import normalizers, processors
from transformers import AutoTokenizer

from src.errors import ModelError
from src.token_windows import TokenWindows, window_starts


@pytest.fixture(scope="module")
def tokenizer(model_dir):
    """The tokenizer of the tiny model, [CLS] 2 and [SEP] 3."""
    return AutoTokenizer.from_pretrained(model_dir)


@given(length=st.integers(0, 3000), size=st.integers(2, 600))
def test_windows_cover_every_token_and_are_all_full(length, size):
    """No token is left out, no window reaches past the end, neighbours overlap."""
    starts = window_starts(length, size)

    assert starts[0] == 0
    assert starts[-1] == max(0, length - size)
    overlap = round(size / 8)
    for start, following in pairwise(starts):
        assert start < following <= start + max(1, size - overlap)


def test_a_short_document_is_encoded_as_the_tokenizer_does(tokenizer):
    """One window: what the tokenizer itself gives, special tokens included."""
    text = "the landlord kept the deposit"

    ((window,),) = TokenWindows(tokenizer, 128)([text])

    assert window.tolist() == AutoTokenizer.from_pretrained(tokenizer.name_or_path)(text).input_ids


def test_a_long_document_loses_nothing_to_the_tokenizers_truncation(tokenizer):
    """tokenizer.json says truncate at 16; the windows hold all 300 words all the same."""
    text = " ".join(["rent", "deposit", "claim"] * 100)

    ((*windows,),) = TokenWindows(tokenizer, 128)([text])

    assert [len(window) for window in windows] == [128] * len(windows)
    assert all(window[0] == 2 and window[-1] == 3 for window in windows)
    starts = window_starts(300, 126)
    tokens = {}
    for start, window in zip(starts, windows, strict=True):
        tokens |= {start + offset: token for offset, token in enumerate(window[1:-1].tolist())}
    assert tokenizer.decode([tokens[position] for position in range(300)]).strip() == text


def test_a_document_of_which_nothing_is_left_is_an_unknown_token(model_dir):
    """Without special tokens it would be no token at all, and have its neighbour's answer."""
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A")
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("\u200b", "")

    ((window,), (word,)) = TokenWindows(tokenizer, 128)(["\u200b", "rent"])

    assert window.tolist() == [tokenizer.unk_token_id]
    assert len(word) == 1


@pytest.mark.parametrize("max_length", [1, 2])
def test_a_length_that_special_tokens_fill_is_refused(tokenizer, max_length):
    """Its windows would hold nothing of any document, and be answered all the same."""
    with pytest.raises(ModelError, match=f"reads {max_length} tokens at once, and 2 of them are"):
        TokenWindows(tokenizer, max_length)
