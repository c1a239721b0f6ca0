"""ModernBERT's encoder layer in fewer steps, in the place of transformers' own.

The same arithmetic on the same weights: products of matrices by the linear layers it takes over,
attention by the packed rows' own, and what lies between them by one kernel each. The residual
stream stays fp32 and is changed in place. Knows ModernBERT's layer; knows neither number formats
nor how documents are packed.
"""

from types import ModuleType
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.modernbert.modeling_modernbert import ModernBertEncoderLayer

from src.device_operations import operations_for
from src.linear_layers import input_format
from src.packed_attention import attention_for
from src.packed_row import PackedRow


class FusedLayer(nn.Module):
    """In the place of one ModernBertEncoderLayer whose activation is gelu.

    `operations` is the module of the device's kernels, cpu_operations or gpu_operations.
    """

    def __init__(self, layer: ModernBertEncoderLayer, operations: ModuleType) -> None:
        super().__init__()
        self._operations = operations
        attention, mlp = layer.attn, layer.mlp
        self.attention_type = layer.attention_type
        self._head_dim = attention.head_dim
        # transformers counts the query's own position.
        window = attention.sliding_window
        self._reach = None if window is None else window - 1
        # The first layer's input comes normed from the embeddings.
        self.attention_norm = layer.attn_norm
        self.qkv, self.attention_out = attention.Wqkv, attention.Wo
        self.mlp_norm = layer.mlp_norm
        self.mlp_in, self.mlp_out = mlp.Wi, mlp.Wo

    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: tuple[Tensor, Tensor],
        packed_row: PackedRow,
        **_options: Any,
    ) -> Tensor:
        """The stream [1, tokens, hidden], fp32, changed in place."""
        stream = hidden_states[0]
        cosines, sines = (angles[0] for angles in position_embeddings)
        operations = self._operations
        attended = self._attended(stream, cosines, sines, packed_row)
        dtype = input_format(self.mlp_in)
        normed = operations.added_norm(stream, attended, self.mlp_norm, dtype)
        operations.add_(stream, self.mlp_out(operations.gelu_gated(self.mlp_in(normed))))
        return hidden_states

    def _attended(self, stream: Tensor, cosines: Tensor, sines: Tensor, row: PackedRow) -> Tensor:
        """What attention adds to the stream [tokens, hidden]."""
        dtype = input_format(self.qkv)
        if isinstance(self.attention_norm, nn.LayerNorm):
            normed = self._operations.layer_norm(stream, self.attention_norm, dtype)
        else:
            normed = stream.to(dtype)
        query, key, value = self._operations.rotated_heads(
            self.qkv(normed), self._head_dim, cosines, sines
        )
        attend = attention_for(query.device, query.dtype, len(query), self._head_dim)
        scaling = self._head_dim**-0.5
        attended = attend(query, key, value, row, scaling=scaling, reach=self._reach)
        return self.attention_out(attended.transpose(0, 1).flatten(1))


def fuse_layers(encoder: PreTrainedModel) -> bool:
    """Put ModernBERT's layers into fewer steps; leave alone, and give False, whatever differs."""
    config = encoder.config
    if config.model_type != "modernbert" or config.hidden_activation != "gelu":
        return False
    operations = operations_for(encoder.device)
    if operations is None:
        return False
    encoder.layers = nn.ModuleList(FusedLayer(layer, operations) for layer in encoder.layers)
    return True
