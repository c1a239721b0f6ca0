"""One micro-batch through the model: token ids in, logits out.

Knows tensors and transformers' models; knows neither texts nor labels.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from src.micro_batches import MicroBatch, padded_micro_batches
from transformers import PreTrainedModel


class ForwardPass(Protocol):
    """A way to run the model, with the micro-batches that suit it."""

    def micro_batches(self, lengths: Sequence[int], max_tokens: int) -> list[MicroBatch]:
        """Divide documents of these lengths, in tokens, into micro-batches."""

    def logits(self, documents: Sequence[Sequence[int]]) -> torch.Tensor:
        """Logits [documents, labels], fp32, of one micro-batch of token ids."""


class PaddedForwardPass:
    """transformers' own forward over a rectangle of documents, the shorter ones padded."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._pad_token_id = model.config.pad_token_id or 0

    def micro_batches(self, lengths: Sequence[int], max_tokens: int) -> list[MicroBatch]:
        """Divide documents of these lengths, in tokens, into micro-batches."""
        return padded_micro_batches(lengths, max_tokens)

    @torch.inference_mode()
    def logits(self, documents: Sequence[Sequence[int]]) -> torch.Tensor:
        """Logits [documents, labels], fp32, of one micro-batch of token ids."""
        shape = len(documents), max(map(len, documents))
        input_ids = torch.full(shape, self._pad_token_id)
        attention_mask = torch.zeros(shape, dtype=torch.long)
        for row, document in enumerate(documents):
            input_ids[row, : len(document)] = torch.tensor(document)
            attention_mask[row, : len(document)] = 1
        return self._model(input_ids=input_ids, attention_mask=attention_mask).logits.float()
