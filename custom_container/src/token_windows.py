"""Documents to token ids, whole: a long document becomes several windows, never a shorter one.

Knows the tokenizer and the model's longest input; knows nothing of the model's arithmetic.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from src.errors import ModelError

# Of one document, or of a window of it: [tokens]. An array, so that micro-batches are put together
# without a look at each of them.
TokenIds = NDArray[np.int32]
# Neighbouring windows share at least this part of their tokens, so that no sentence is only ever
# seen cut in two.
OVERLAP = 1 / 8


class TokenWindows:
    """Cuts documents into windows of at most `max_length` token ids, special tokens included.

    Raises ModelError if special tokens leave no room in them.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, max_length: int) -> None:
        self._tokenizer = tokenizer.backend_tokenizer
        # tokenizer.json keeps the truncation and padding of its training.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._prefix, self._suffix = self._special_tokens()
        # A window is never empty: what a normalizer leaves nothing of is one unknown token.
        unknown = tokenizer.unk_token_id or 0
        self._nothing = [] if self._prefix or self._suffix else [unknown]
        self._size = max_length - len(self._prefix) - len(self._suffix)
        if self._size < 1:
            raise ModelError(
                f"The model reads {max_length} tokens at once, and {max_length - self._size} of "
                "them are special ones, which leaves none for a document. Correct model_max_length "
                "in tokenizer_config.json, or max_position_embeddings in config.json."
            )

    def __call__(self, texts: Sequence[str]) -> list[list[TokenIds]]:
        """The windows of each document, in order, each begun and ended by the special tokens."""
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [self._windows(encoding.ids) for encoding in encodings]

    def _windows(self, ids: list[int]) -> list[TokenIds]:
        ids = ids or self._nothing
        return [
            np.array([*self._prefix, *ids[start : start + self._size], *self._suffix], np.int32)
            for start in window_starts(len(ids), self._size)
        ]

    def _special_tokens(self) -> tuple[list[int], list[int]]:
        encoding = self._tokenizer.encode("a")
        inner = [place for place, special in enumerate(encoding.special_tokens_mask) if not special]
        return encoding.ids[: inner[0]], encoding.ids[inner[-1] + 1 :]


def window_starts(length: int, size: int) -> list[int]:
    """Where windows of `size` tokens begin so that they cover `length` tokens.

    As few windows as overlap by OVERLAP allow, spread evenly; all of them are full, so that
    none weighs less than another when their answers are combined.
    """
    if length <= size:
        return [0]
    last_start = length - size
    step = max(1, size - round(size * OVERLAP))
    gaps = -(-last_start // step)
    return [last_start * gap // gaps for gap in range(gaps + 1)]
