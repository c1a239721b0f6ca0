"""Attention over packed rows: many documents end to end in one row, none seeing another.

Registered with transformers' AttentionInterface, so that its models run unmodified. position_ids
alone would not do: they reach the rotary embedding only, and documents would silently attend to
each other. Hence the row's bounds travel with every call, as the argument `packed_row`, and an
architecture that drops it fails instead. Knows tensors; knows neither models nor texts.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, pairwise

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface

PACKED_ATTENTION = "packed_rows"
# Queries of a windowed layer are computed in blocks of this many, each against the keys in its
# reach; measured best on CPU for ModernBERT's window of 64 tokens either side.
BLOCK_TOKENS = 64
# Finite, so that the padding queries after a row's end give numbers instead of NaN.
MASKED = -1e9


class PackedRow:
    """Where each document of a row begins and ends, and what follows from it."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = list(lengths)
        self._windows: dict[int, Window] = {}

    @cached_property
    def bounds(self) -> list[tuple[int, int]]:
        """First and past-the-end position of each document."""
        return list(pairwise(accumulate(self.lengths, initial=0)))

    @cached_property
    def document_of_token(self) -> Tensor:
        """The document that each position belongs to, [tokens]."""
        return torch.repeat_interleave(torch.tensor(self.lengths))

    @cached_property
    def position_ids(self) -> Tensor:
        """The position of each token in its own document, [1, tokens]."""
        return torch.cat([torch.arange(length) for length in self.lengths])[None]

    def window(self, reach: int) -> "Window":
        """The blocks of a layer in which a token sees `reach` tokens either side.

        Made once for all layers of this reach.
        """
        if reach not in self._windows:
            self._windows[reach] = Window(self.document_of_token, reach)
        return self._windows[reach]


class Window:
    """A row as blocks of BLOCK_TOKENS queries, each with the keys within `reach` of the block."""

    def __init__(self, document_of_token: Tensor, reach: int) -> None:
        self._tokens = len(document_of_token)
        self._reach = reach
        self._blocks = -(-self._tokens // BLOCK_TOKENS)
        self._padding = self._blocks * BLOCK_TOKENS - self._tokens
        self.mask = self._mask(document_of_token)

    def _mask(self, document_of_token: Tensor) -> Tensor:
        """Added to the scores, [blocks, 1, BLOCK_TOKENS, BLOCK_TOKENS + 2 x reach].

        0 where the key is of the query's document and at most `reach` tokens away, else MASKED.
        """
        around = (self._reach, self._padding + self._reach)
        documents = functional.pad(document_of_token, around, value=-1)
        block = torch.arange(self._blocks)[:, None, None] * BLOCK_TOKENS
        queries = block + self._reach + torch.arange(BLOCK_TOKENS)[:, None]
        keys = block + torch.arange(BLOCK_TOKENS + 2 * self._reach)
        near = (queries - keys).abs() <= self._reach
        visible = near & (documents[queries] == documents[keys])
        return torch.zeros(visible.shape).masked_fill_(~visible, MASKED).unsqueeze(1)

    def query_blocks(self, queries: Tensor) -> Tensor:
        """[heads, tokens, head_dim] to [blocks, heads, BLOCK_TOKENS, head_dim]."""
        padded = functional.pad(queries, (0, 0, 0, self._padding))
        return padded.unflatten(1, (self._blocks, BLOCK_TOKENS)).transpose(0, 1)

    def key_blocks(self, keys: Tensor) -> Tensor:
        """[heads, tokens, head_dim] to [blocks, heads, BLOCK_TOKENS + 2 x reach, head_dim].

        Neighbouring blocks overlap: they are views of the same keys.
        """
        padded = functional.pad(keys, (0, 0, self._reach, self._padding + self._reach))
        return padded.unfold(1, BLOCK_TOKENS + 2 * self._reach, BLOCK_TOKENS).permute(1, 0, 3, 2)

    def joined(self, blocks: Tensor) -> Tensor:
        """The inverse of `query_blocks`, without its padding."""
        return blocks.transpose(0, 1).flatten(1, 2)[:, : self._tokens]


def packed_attention(
    _module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _attention_mask: Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    *,
    packed_row: PackedRow,
    **_options: object,
) -> tuple[Tensor, None]:
    """Attention of one packed row; tensors in are [1, heads, tokens, head_dim].

    `sliding_window` counts the query's own position, as transformers does: a token sees
    `sliding_window - 1` tokens either side. Gives [1, tokens, heads, head_dim] and no weights.
    """
    if sliding_window is None:
        attended = _attend_documents(query, key, value, packed_row, scaling)
    else:
        attended = _attend_window(query, key, value, packed_row.window(sliding_window - 1), scaling)
    return attended.transpose(1, 2).contiguous(), None


def _attend_documents(
    query: Tensor, key: Tensor, value: Tensor, row: PackedRow, scaling: float | None
) -> Tensor:
    """Each document on its own, every token of it seeing all of it."""
    attended = torch.empty_like(query)
    for begin, end in row.bounds:
        attended[:, :, begin:end] = functional.scaled_dot_product_attention(
            query[:, :, begin:end], key[:, :, begin:end], value[:, :, begin:end], scale=scaling
        )
    return attended


def _attend_window(
    query: Tensor, key: Tensor, value: Tensor, window: Window, scaling: float | None
) -> Tensor:
    """All documents at once, block by block; the mask keeps them apart."""
    attended = functional.scaled_dot_product_attention(
        window.query_blocks(query[0]),
        window.key_blocks(key[0]),
        window.key_blocks(value[0]),
        attn_mask=window.mask.to(query.dtype),
        scale=scaling,
    )
    return window.joined(attended)[None]


AttentionInterface.register(PACKED_ATTENTION, packed_attention)
