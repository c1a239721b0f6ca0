"""One micro-batch through the model: token ids in, logits out, by the fastest way that agrees.

The packed way computes no padding, but it leans on how an architecture's layers call attention;
so a model goes that way only if, on a few documents, it gives the logits of its own stock
forward. Knows tensors and transformers' models; knows neither texts nor labels.
"""

import logging
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from transformers import ModernBertForSequenceClassification, PreTrainedModel

from src.errors import ModelError
from src.micro_batches import MicroBatch, packed_micro_batches, padded_micro_batches
from src.packed_attention import PACKED_ATTENTION, PackedRow

logger = logging.getLogger(__name__)
# Lengths, in tokens, of the documents on which both ways must agree: shorter and longer than
# ModernBERT's window, across the bounds of attention's blocks, and few, for they delay the start.
AGREEMENT_LENGTHS = (3, 150, 17)
# Two fp32 computations of the same logits differ by some 1e-5; documents that see each other
# differ by tenths.
AGREEMENT_TOLERANCE = 1e-3


class ForwardPass(Protocol):
    """A way to run the model, with the micro-batches that suit it."""

    def micro_batches(self, lengths: Sequence[int], max_tokens: int) -> list[MicroBatch]:
        """Divide documents of these lengths, in tokens, into micro-batches."""

    def logits(self, documents: Sequence[Sequence[int]]) -> Tensor:
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
    def logits(self, documents: Sequence[Sequence[int]]) -> Tensor:
        """Logits [documents, labels], fp32, of one micro-batch of token ids."""
        shape = len(documents), max(map(len, documents))
        input_ids = torch.full(shape, self._pad_token_id)
        attention_mask = torch.zeros(shape, dtype=torch.long)
        for row, document in enumerate(documents):
            input_ids[row, : len(document)] = torch.tensor(document)
            attention_mask[row, : len(document)] = 1
        return self._model(input_ids=input_ids, attention_mask=attention_mask).logits.float()


class PackedForwardPass:
    """transformers' ModernBERT over one row of documents end to end, with no padding.

    Attention keeps the documents apart; pooling and head run once per document.
    """

    def __init__(self, model: ModernBertForSequenceClassification) -> None:
        self._model = model
        model.set_attn_implementation(PACKED_ATTENTION)

    def micro_batches(self, lengths: Sequence[int], max_tokens: int) -> list[MicroBatch]:
        """Divide documents of these lengths, in tokens, into micro-batches."""
        return packed_micro_batches(lengths, max_tokens)

    @torch.inference_mode()
    def logits(self, documents: Sequence[Sequence[int]]) -> Tensor:
        """Logits [documents, labels], fp32, of one micro-batch of token ids."""
        row = PackedRow([len(document) for document in documents])
        hidden = self._model.model(
            input_ids=torch.tensor([[token for document in documents for token in document]]),
            position_ids=row.position_ids,
            packed_row=row,
        ).last_hidden_state[0]
        return self._model.classifier(self._model.head(self._pooled(hidden, row))).float()

    def _pooled(self, hidden: Tensor, row: PackedRow) -> Tensor:
        """[tokens, hidden] to [documents, hidden]."""
        if self._model.config.classifier_pooling == "cls":
            return hidden[[begin for begin, _ in row.bounds]]
        lengths = torch.tensor(row.lengths, dtype=hidden.dtype)
        sums = hidden.new_zeros(len(row.lengths), hidden.shape[1])
        return sums.index_add_(0, row.document_of_token, hidden) / lengths[:, None]


def forward_pass_for(model: PreTrainedModel, max_length: int) -> ForwardPass:
    """The packed way if `model` agrees with itself on it, else the padded one; the log says which.

    `max_length` is the longest document the model reads, in tokens. Raises ModelError if the
    model's own logits are no numbers.
    """
    documents = _agreement_documents(model.config.vocab_size, max_length)
    padded = PaddedForwardPass(model)
    expected = torch.cat([padded.logits([document]) for document in documents])
    if not expected.isfinite().all():
        raise ModelError(
            "The model's logits are NaN or infinite for ordinary token ids: its weights are "
            "damaged. Package a checkpoint that gives numbers."
        )
    if not isinstance(model, ModernBertForSequenceClassification):
        logger.info("Padded forward pass: %s is not packed.", type(model).__name__)
        return padded
    stock_attention = model.config._attn_implementation
    packed = PackedForwardPass(model)
    difference = (packed.logits(documents) - expected).abs().max().item()
    if difference <= AGREEMENT_TOLERANCE * max(1.0, expected.abs().max().item()):
        logger.info("Packed forward pass: logits differ from stock by %.1e at most.", difference)
        return packed
    model.set_attn_implementation(stock_attention)
    logger.warning("Padded forward pass: packed logits differ from stock by %.1e.", difference)
    return padded


def _agreement_documents(vocab_size: int, max_length: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randint(vocab_size, (min(length, max_length),), generator=generator).tolist()
        for length in AGREEMENT_LENGTHS
    ]
