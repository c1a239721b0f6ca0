"""transformers' encoders over packed rows, under transformers' own classification heads.

A head takes a sequence's first state, or the mean of its states, and goes on from there. So the
encoder here pools each document of the row and hands the head one sequence of a single state per
document: every head runs as it was written. Knows the encoders that can be packed and where their
positions begin; knows nothing of attention's arithmetic or of labels.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from src.model_folder import POSITIONS_FROM_PADDING
from src.packed_attention import PACKED_ATTENTION
from src.packed_row import PackedRow

# Encoders that take position ids and hand attention's keyword arguments down to it.
PACKED_MODEL_TYPES = {"bert", "distilbert", "electra", "modernbert"} | POSITIONS_FROM_PADDING


class PackedEncoder(nn.Module):
    """In the place of a classifier's encoder: token ids of a packed row in, pooled states out."""

    def __init__(self, encoder: PreTrainedModel) -> None:
        super().__init__()
        self.encoder = encoder
        config = encoder.config
        self._first_position = 0
        if config.model_type in POSITIONS_FROM_PADDING:
            self._first_position = config.pad_token_id + 1
        self._pools_mean = getattr(config, "classifier_pooling", "cls") == "mean"

    def forward(
        self, input_ids: Tensor, packed_row: PackedRow, **_options: Any
    ) -> BaseModelOutputWithPooling:
        """States [documents, 1, hidden] from token ids [1, tokens]."""
        states = self.encoder(
            input_ids=input_ids,
            position_ids=packed_row.position_ids + self._first_position,
            packed_row=packed_row,
        ).last_hidden_state[0]
        pooled = self._pooled(states, packed_row)[:, None]
        pooler = getattr(self.encoder, "pooler", None)
        return BaseModelOutputWithPooling(
            last_hidden_state=pooled, pooler_output=pooler(pooled) if pooler else None
        )

    def _pooled(self, states: Tensor, row: PackedRow) -> Tensor:
        """[tokens, hidden] to [documents, hidden]; sums in fp32, since bf16 cannot count to 300."""
        if not self._pools_mean:
            return states[row.first_tokens]
        sums = torch.zeros(len(row.lengths), states.shape[1], device=states.device)
        sums.index_add_(0, row.document_of_token, states.float())
        return (sums / row.cumulative_lengths.diff()[:, None]).to(states.dtype)


def pack_encoder(model: PreTrainedModel) -> PreTrainedModel:
    """Put `model`'s encoder, one of PACKED_MODEL_TYPES, into a PackedEncoder; gives `model`.

    From then on it takes `input_ids` [1, tokens] and `packed_row`, and gives a row of logits for
    each document.
    """
    model.set_attn_implementation(PACKED_ATTENTION)
    setattr(model, model.base_model_prefix, PackedEncoder(model.base_model))
    return model


def unpack_encoder(model: PreTrainedModel, attn_implementation: str) -> PreTrainedModel:
    """The inverse of `pack_encoder`."""
    setattr(model, model.base_model_prefix, model.base_model.encoder)
    model.set_attn_implementation(attn_implementation)
    return model
