"""One micro-batch through the model: token ids in, logits out, by the fastest way that agrees.

The packed way computes no padding, but it leans on how an architecture's layers call attention;
so a model goes that way only if, on a few documents, it gives the logits of its own stock
forward. A number format is held to the same documents. Knows tensors and transformers' models;
knows neither texts nor labels.
"""

import logging
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

from src.errors import ModelError
from src.heads import SCORES, problem_type_of
from src.int8_gate import check_int8
from src.linear_layers import Int8Linear, linear_layer, replace_linear_layers
from src.micro_batches import MicroBatch, packed_micro_batches, padded_micro_batches
from src.modernbert_layer import fuse_layers
from src.packed_attention import attention_for
from src.packed_encoder import PACKED_MODEL_TYPES, pack_encoder, unpack_encoder
from src.packed_row import PackedRow
from src.precision import DTYPES, Precision, layers_format
from src.token_windows import TokenIds
from src.transfers import on_cpu, on_device

logger = logging.getLogger(__name__)
# Lengths, in tokens, of the documents on which both ways must agree: shorter and longer than
# ModernBERT's window, across the bounds of attention's blocks, and few, for they delay the start.
AGREEMENT_LENGTHS = (3, 150, 17)
# Parts of the largest logit. Two fp32 computations of the same logits differ by some 1e-5,
# documents that see each other by tenths. Rounding to bf16 or int8 makes hundredths, in a small
# model with wildly spread weights a tenth; activations beyond a format's range make infinity.
AGREEMENT_TOLERANCE = 1e-3
PRECISION_TOLERANCE = 0.25


class ForwardPass(Protocol):
    """A way to run the model, with the micro-batches that suit it."""

    def micro_batches(self, lengths: Sequence[int], max_tokens: int) -> list[MicroBatch]:
        """Divide documents of these lengths, in tokens, into micro-batches."""

    def logits(self, documents: Sequence[TokenIds]) -> Tensor:
        """Logits [documents, labels], fp32, on the CPU, of one micro-batch of token ids."""


class PaddedForwardPass:
    """transformers' own forward over a rectangle of documents, the shorter ones padded."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._pad_token_id = model.config.pad_token_id or 0

    def micro_batches(self, lengths: Sequence[int], max_tokens: int) -> list[MicroBatch]:
        """Divide documents of these lengths, in tokens, into micro-batches."""
        return padded_micro_batches(lengths, max_tokens)

    @torch.inference_mode()
    def logits(self, documents: Sequence[TokenIds]) -> Tensor:
        """Logits [documents, labels], fp32, on the CPU, of one micro-batch of token ids."""
        lengths = torch.tensor([len(document) for document in documents])
        attention_mask = (torch.arange(lengths.max().item()) < lengths[:, None]).long()
        input_ids = torch.full_like(attention_mask, self._pad_token_id)
        input_ids[attention_mask.bool()] = _end_to_end(documents)
        device = self._model.device
        logits = self._model(
            input_ids=on_device(input_ids, device), attention_mask=on_device(attention_mask, device)
        ).logits
        return on_cpu(logits.float())


class PackedForwardPass:
    """transformers' model over one row of documents end to end, with no padding.

    Attention keeps the documents apart; pooling and head run once per document. A document without
    numbers for logits is computed again alone, so that it is by its own fault that it has none.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = pack_encoder(model)
        self._device = model.device

    def micro_batches(self, lengths: Sequence[int], max_tokens: int) -> list[MicroBatch]:
        """Divide documents of these lengths, in tokens, into micro-batches."""
        return packed_micro_batches(lengths, max_tokens)

    @torch.inference_mode()
    def logits(self, documents: Sequence[TokenIds]) -> Tensor:
        """Logits [documents, labels], fp32, on the CPU, of one micro-batch of token ids."""
        logits = self._logits_of_row(documents)
        if len(documents) > 1:
            # Neighbours that give a NaN no weight get a NaN all the same, for 0 x NaN is one.
            for place in (~logits.isfinite().all(dim=-1)).nonzero().flatten().tolist():
                logits[place] = self._logits_of_row([documents[place]])[0]
        return logits

    def _logits_of_row(self, documents: Sequence[TokenIds]) -> Tensor:
        row = PackedRow([len(document) for document in documents], self._device)
        input_ids = on_device(_end_to_end(documents)[None], self._device)
        return on_cpu(self._model(input_ids=input_ids, packed_row=row).logits.float())


def _end_to_end(documents: Sequence[TokenIds]) -> Tensor:
    """Token ids [tokens] of all documents, one after the other."""
    return torch.from_numpy(np.concatenate(documents, dtype=np.int64))


def forward_pass_for(
    model: PreTrainedModel,
    max_length: int,
    precision: Precision = Precision.FP32,
    sample_documents: Sequence[TokenIds] = (),
) -> ForwardPass:
    """The packed way if `model` agrees with itself on it, else the padded one; the log says which.

    `model` comes in fp32 on its device and is changed to `precision`; `max_length` is the longest
    document it reads, in tokens; int8 is held to fp32 on `sample_documents`. Raises ModelError if
    the logits are no numbers or `precision` changes them too much.
    """
    documents = _agreement_documents(model.config, max_length)
    padded = PaddedForwardPass(model)
    expected = torch.cat([padded.logits([document]) for document in documents])
    if not expected.isfinite().all():
        raise ModelError(
            "The model's logits are NaN or infinite for ordinary token ids: its weights are "
            "damaged. Package a checkpoint that gives numbers."
        )
    forward_pass = _packed(model, documents, expected) or padded
    samples = sample_documents if precision == Precision.INT8 else ()
    expected_of_samples = [forward_pass.logits([document]) for document in samples]
    is_packed = forward_pass is not padded
    set_precision(model, precision, is_packed)
    logger.info("Attention by %s.", _way_of_attention(model, precision, is_packed))
    _check_precision(precision, forward_pass.logits(documents), expected)
    if precision == Precision.INT8:
        got_of_samples = [forward_pass.logits([document]) for document in samples]
        scores = SCORES[problem_type_of(model.config)]
        check_int8(expected_of_samples, got_of_samples, scores)
    return forward_pass


def _packed(
    model: PreTrainedModel, documents: list[TokenIds], expected: Tensor
) -> PackedForwardPass | None:
    """The packed way, or None with `model` as it was."""
    if model.config.model_type not in PACKED_MODEL_TYPES:
        logger.info("Padded forward pass: %s is not packed.", type(model).__name__)
        return None
    stock_attention = model.config._attn_implementation
    packed = PackedForwardPass(model)
    difference = _relative_difference(packed.logits(documents), expected)
    if difference <= AGREEMENT_TOLERANCE:
        logger.info("Packed forward pass: logits differ from stock by %.1e at most.", difference)
        return packed
    unpack_encoder(model, stock_attention)
    logger.warning("Padded forward pass: packed logits differ from stock by %.1e.", difference)
    return None


def set_precision(model: PreTrainedModel, precision: Precision, is_packed: bool) -> None:
    """Change `model`, in fp32, to `precision`; raises ModelError if it cannot be.

    ModernBERT's layers, packed, go into fewer steps. Of these, and of any packed encoder on a CPU,
    the linear layers change; otherwise the whole encoder does. The head stays in fp32: half
    precision would round a regression's logit of 2011 to 2008 or 2016.
    """
    is_fused = is_packed and fuse_layers(model.base_model.encoder)
    if is_packed and model.device.type == "cpu":
        make = Int8Linear if precision == Precision.INT8 else linear_layer
        replace_linear_layers(model.base_model, make, layers_format(precision))
    elif is_fused:
        replace_linear_layers(model.base_model, nn.Linear.to, layers_format(precision))
    elif precision in DTYPES:
        # Not the buffers: a rotary frequency rounded to bf16 turns a token 8,000 away by up to two
        # radians too many. transformers keeps them in fp32 as well.
        for parameter in model.base_model.parameters():
            parameter.data = parameter.data.to(DTYPES[precision])
        model.base_model.register_forward_hook(_states_in_fp32)
    else:
        raise ModelError(
            f"INFERENCE_PRECISION is {precision}, which only the packed forward pass computes, and "
            f"{type(model).__name__} is not packed. Leave it unset."
        )


def _way_of_attention(model: PreTrainedModel, precision: Precision, is_packed: bool) -> str:
    """What computes it, for the log."""
    if not is_packed:
        return f"transformers' own {model.config._attn_implementation}"
    heads = model.config.num_attention_heads
    head_dim = model.config.hidden_size // heads
    way = attention_for(model.device, layers_format(precision), heads, head_dim)
    return way.__name__.removeprefix("attend_with_")


def _states_in_fp32(_encoder: nn.Module, _inputs: object, states: ModelOutput) -> ModelOutput:
    """What an encoder in half precision hands to its head."""
    for name in ("last_hidden_state", "pooler_output"):
        if states.get(name) is not None:
            states[name] = states[name].float()
    return states


def _check_precision(precision: Precision, logits: Tensor, expected: Tensor) -> None:
    """Hold the format to the fp32 logits of a few documents; NaN is a difference too."""
    difference = _relative_difference(logits, expected)
    if not difference <= PRECISION_TOLERANCE:
        raise ModelError(
            f"In {precision} this model's logits differ from those in fp32 by {difference:.2g} of "
            f"the largest, expected {PRECISION_TOLERANCE} at most. Set INFERENCE_PRECISION=fp32 in "
            "the transform job's environment."
        )
    logger.info("Precision %s: logits differ from fp32 by %.1e at most.", precision, difference)


def _relative_difference(logits: Tensor, expected: Tensor) -> float:
    """The largest difference, as a part of the largest logit where that is above 1."""
    return (logits - expected).abs().max().item() / max(1.0, expected.abs().max().item())


def _agreement_documents(config: PreTrainedConfig, max_length: int) -> list[TokenIds]:
    """Random token ids, but for the padding's, which RoBERTa gives no position of its own."""
    generator = torch.Generator().manual_seed(0)
    token_ids = torch.arange(config.vocab_size, dtype=torch.int32)
    token_ids = token_ids[token_ids != (config.pad_token_id or 0)]
    return [
        token_ids[
            torch.randint(len(token_ids), (min(length, max_length),), generator=generator)
        ].numpy()
        for length in AGREEMENT_LENGTHS
    ]
