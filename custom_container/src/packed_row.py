"""Where the documents of a packed row lie, and what attention needs to know of it.

A packed row is many documents end to end with no padding. Knows lengths and positions; knows
neither models nor how attention is computed.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, pairwise

import torch
from torch import Tensor
from torch.nn import functional

from src.transfers import on_device

# Queries of a windowed layer are computed in blocks of this many, each against the keys in its
# reach; of 32, 64 and 128 the fastest on CPU for ModernBERT's window of 64 tokens either side.
BLOCK_TOKENS = 64
# Finite, so that the padding queries after a row's end give numbers instead of NaN.
MASKED = -1e9


class PackedRow:
    """Where each document of a row begins and ends, and what follows from it, on one device."""

    def __init__(self, lengths: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.lengths = list(lengths)
        self._device = torch.device(device)
        self._windows: dict[int, Window] = {}

    @cached_property
    def bounds(self) -> list[tuple[int, int]]:
        """First and past-the-end position of each document."""
        return list(pairwise(self._ends))

    @cached_property
    def cumulative_lengths(self) -> Tensor:
        """Where documents begin, and the row's end, [documents + 1], int32."""
        return on_device(torch.tensor(self._ends, dtype=torch.int32), self._device)

    @cached_property
    def first_tokens(self) -> Tensor:
        """The position in the row of each document's first token, [documents]."""
        return self.cumulative_lengths[:-1].long()

    @cached_property
    def document_of_token(self) -> Tensor:
        """The document that each position belongs to, [tokens]."""
        lengths = self.cumulative_lengths.diff()
        return torch.repeat_interleave(lengths, output_size=self._ends[-1]).long()

    @cached_property
    def seen_tokens(self) -> tuple[Tensor, Tensor]:
        """The document of each position: its first and past-the-end position, [tokens], int32."""
        ends, documents = self.cumulative_lengths, self.document_of_token
        return ends[documents], ends[documents + 1]

    @cached_property
    def position_ids(self) -> Tensor:
        """The position of each token in its own document, from 0, [1, tokens]."""
        tokens = torch.arange(self._ends[-1], device=self._device)
        return (tokens - self.first_tokens[self.document_of_token])[None]

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(self.lengths, initial=0))

    def window(self, reach: int) -> "Window":
        """The blocks of a layer in which a token sees `reach` tokens either side.

        Made once for all layers of this reach.
        """
        if reach not in self._windows:
            self._windows[reach] = Window(self, reach)
        return self._windows[reach]


class Window:
    """A row as blocks of BLOCK_TOKENS queries, each with the keys within `reach` of the block."""

    def __init__(self, row: PackedRow, reach: int) -> None:
        self._row = row
        self._reach = reach
        self._tokens = len(row.document_of_token)
        self._blocks = -(-self._tokens // BLOCK_TOKENS)
        self._padding = self._blocks * BLOCK_TOKENS - self._tokens
        self._masks: dict[torch.dtype, Tensor] = {}

    @cached_property
    def seen_keys(self) -> tuple[Tensor, Tensor]:
        """The keys that each query may see, first and past-the-end, [blocks x BLOCK_TOKENS].

        Counted among the BLOCK_TOKENS + 2 x reach keys of its block; queries that pad the last
        block may see none.
        """
        ends, documents = self._row.cumulative_lengths.long(), self._row.document_of_token
        documents = functional.pad(documents, (0, self._padding), value=len(ends) - 2)
        queries = torch.arange(len(documents), device=documents.device)
        first_key_of_block = queries // BLOCK_TOKENS * BLOCK_TOKENS - self._reach
        first = torch.maximum(ends[documents], queries - self._reach)
        end = torch.minimum(ends[documents + 1], queries + self._reach + 1)
        return first - first_key_of_block, end - first_key_of_block

    def mask(self, dtype: torch.dtype) -> Tensor:
        """Added to the scores, [blocks, BLOCK_TOKENS, BLOCK_TOKENS + 2 x reach].

        0 where the query may see the key, else MASKED.
        """
        if dtype not in self._masks:
            first, end = (bound[:, None] for bound in self.seen_keys)
            keys = torch.arange(BLOCK_TOKENS + 2 * self._reach, device=first.device)
            masked = max(MASKED, torch.finfo(dtype).min)
            mask = torch.zeros(len(first), len(keys), dtype=dtype, device=first.device)
            mask.masked_fill_((keys < first) | (keys >= end), masked)
            self._masks[dtype] = mask.unflatten(0, (self._blocks, BLOCK_TOKENS))
        return self._masks[dtype]

    def query_blocks(self, queries: Tensor) -> Tensor:
        """[heads, tokens, head_dim] to [heads, blocks, BLOCK_TOKENS, head_dim]."""
        padded = functional.pad(queries, (0, 0, 0, self._padding))
        return padded.unflatten(1, (self._blocks, BLOCK_TOKENS))

    def key_blocks(self, keys: Tensor) -> Tensor:
        """[heads, tokens, head_dim] to [heads, blocks, BLOCK_TOKENS + 2 x reach, head_dim].

        Neighbouring blocks overlap, and each has its own copy of their keys: a product of matrices
        would copy them anyway, along the wrong dimension.
        """
        padded = functional.pad(keys, (0, 0, self._reach, self._padding + self._reach))
        blocks = padded.unfold(1, BLOCK_TOKENS + 2 * self._reach, BLOCK_TOKENS)
        return blocks.transpose(-1, -2).contiguous()

    def joined(self, blocks: Tensor) -> Tensor:
        """The inverse of `query_blocks`, without its padding."""
        return blocks.flatten(1, 2)[:, : self._tokens]
