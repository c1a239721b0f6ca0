"""Attention over packed rows: many documents end to end in one row, none seeing another.

Registered with transformers' AttentionInterface, so that its models run unmodified. position_ids
alone would not do: they reach the rotary embedding only, and documents would silently attend to
each other. Hence the row's bounds travel with every call, as the argument `packed_row`, and an
architecture that drops it fails instead. There is one way for each kind of device, each with the
same meaning. Knows tensors; knows neither models nor texts.
"""

import logging
from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface

from src.cpu_operations import softmax_
from src.device_operations import operations_for
from src.packed_row import PackedRow

logger = logging.getLogger(__name__)
PACKED_ATTENTION = "packed_rows"
# Of one head, held at once: few enough for the CPU's cache, and a bound on the memory of a document
# of 8,192 tokens. For these, 128 queries at once took half the time of 512.
SCORES_AT_ONCE = 2**18
LEAST_QUERIES_AT_ONCE = 128
# Heads of 128 are left to varlen_attn: their keys and values may exceed the 99 KB of shared memory
# of an A10G or L4, and no GPU was at hand to try.
TRITON_HEAD_DIMS = {16, 32, 64}
# Of the row on which a way is tried, in tokens, and the reaches: ModernBERT's own, since Triton
# compiles anew for a number of another kind.
TRIED_LENGTHS = (1, 65)
TRIED_REACHES = (None, 64)

Attend = Callable[..., Tensor]


def packed_attention(
    _module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _attention_mask: Tensor | None,
    scaling: float,
    sliding_window: int | None = None,
    *,
    packed_row: PackedRow,
    **_options: object,
) -> tuple[Tensor, None]:
    """Attention of one packed row; tensors in are [1, heads, tokens, head_dim].

    `sliding_window` counts the query's own position, as transformers does: a token sees
    `sliding_window - 1` tokens either side. Gives [1, tokens, heads, head_dim] and no weights.
    """
    reach = None if sliding_window is None else sliding_window - 1
    _, heads, _, head_dim = query.shape
    attend = attention_for(query.device, query.dtype, heads, head_dim)
    attended = attend(query[0], key[0], value[0], packed_row, scaling=scaling, reach=reach)
    return attended.transpose(0, 1).contiguous()[None], None


@cache
def attention_for(device: torch.device, dtype: torch.dtype, heads: int, head_dim: int) -> Attend:
    """The fastest of the ways below that the device can go: tried once, for all layers."""
    return first_that_runs(ways_of(device, dtype, head_dim), device, dtype, heads, head_dim)


def ways_of(device: torch.device, dtype: torch.dtype, head_dim: int) -> list[Attend]:
    """The ways that are made for the device, the fastest first; it can go the last one for sure.

    Flash attention needs half precision and compute capability 8.0; a T4 has 7.5.
    """
    if device.type == "cpu":
        in_tiles = dtype == torch.bfloat16 and torch.cpu.get_capabilities().get("amx_bf16")
        return [attend_with_tiles if in_tiles else attend_with_matmul]
    if dtype == torch.float32 or torch.cuda.get_device_capability(device) < (8, 0):
        return [attend_with_sdpa]
    if operations_for(device) is None or head_dim not in TRITON_HEAD_DIMS:
        return [attend_with_varlen, attend_with_sdpa]
    return [attend_with_triton, attend_with_varlen, attend_with_sdpa]


def first_that_runs(
    ways: Sequence[Attend], device: torch.device, dtype: torch.dtype, heads: int, head_dim: int
) -> Attend:
    """The first of `ways` that attends to a small row, or else the last; the log tells of others.

    The row is laid out as a model's, so that what is compiled for it is what the model needs.
    """
    row = PackedRow(TRIED_LENGTHS, device)
    parts = torch.zeros(sum(TRIED_LENGTHS), 3, heads, head_dim, device=device, dtype=dtype)
    query, key, value = parts.permute(1, 2, 0, 3)
    *faster, last = ways
    for attend in faster:
        try:
            for reach in TRIED_REACHES:
                attend(query, key, value, row, scaling=1.0, reach=reach).cpu()
        except Exception as error:
            # Whatever is missing, of torch, the compiler or the GPU: it is slower without, no more.
            logger.warning("No %s: %s: %s", attend.__name__, type(error).__name__, error)
        else:
            return attend
    return last


def attend_with_sdpa(
    query: Tensor, key: Tensor, value: Tensor, row: PackedRow, *, scaling: float, reach: int | None
) -> Tensor:
    """torch's own attention: any device, any number format. [heads, tokens, head_dim] in and out.

    Layers without a window go document by document, the others all at once, block by block, with
    a mask that keeps the documents apart.
    """
    if reach is None:
        attended = torch.empty_like(query)
        for begin, end in row.bounds:
            own = (slice(None), slice(begin, end))
            attended[own] = functional.scaled_dot_product_attention(
                query[own][None], key[own][None], value[own][None], scale=scaling
            )[0]
        return attended
    window = row.window(reach)
    attended = functional.scaled_dot_product_attention(
        window.query_blocks(query).transpose(0, 1),
        window.key_blocks(key).transpose(0, 1),
        window.key_blocks(value).transpose(0, 1),
        attn_mask=window.mask(query.dtype)[:, None],
        scale=scaling,
    )
    return window.joined(attended.transpose(0, 1))


def attend_with_matmul(
    query: Tensor, key: Tensor, value: Tensor, row: PackedRow, *, scaling: float, reach: int | None
) -> Tensor:
    """Products of matrices and a softmax between them, on CPU.

    Scores are rounded to the format of the tensors, the softmax is taken in fp32.
    [heads, tokens, head_dim] in and out.
    """
    if reach is None:
        attended = torch.empty_like(query)
        for begin, end in row.bounds:
            keys, values = key[:, begin:end].transpose(1, 2), value[:, begin:end]
            all_keys = torch.tensor([0]), torch.tensor([end - begin])
            at_once = max(LEAST_QUERIES_AT_ONCE, SCORES_AT_ONCE // (end - begin))
            for first in range(begin, end, at_once):
                queries = slice(first, min(end, first + at_once))
                scores = torch.matmul(query[:, queries], keys)
                attended[:, queries] = torch.matmul(softmax_(scores, *all_keys, scaling), values)
        return attended
    window = row.window(reach)
    scores = torch.matmul(window.query_blocks(query), window.key_blocks(key).transpose(-1, -2))
    softmax_(scores.view(len(scores), -1, scores.shape[-1]), *window.seen_keys, scaling)
    return window.joined(torch.matmul(scores, window.key_blocks(value)))


def attend_with_tiles(
    query: Tensor, key: Tensor, value: Tensor, row: PackedRow, *, scaling: float, reach: int | None
) -> Tensor:
    """On a CPU with AMX, bf16: whole documents by torch's own attention, which uses its tiles.

    Windows are faster by products all the same. [heads, tokens, head_dim] in and out.
    """
    attend = attend_with_sdpa if reach is None else attend_with_matmul
    return attend(query, key, value, row, scaling=scaling, reach=reach)


def _varlen_attn(*tensors: object, **options: object) -> Tensor:
    """torch's own, imported when it is called: a torch that lacks it is none for the CPU alone."""
    from torch.nn.attention.varlen import varlen_attn  # noqa: PLC0415

    return varlen_attn(*tensors, **options)


def attend_with_varlen(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    row: PackedRow,
    *,
    scaling: float,
    reach: int | None,
    varlen: Callable[..., Tensor] = _varlen_attn,
) -> Tensor:
    """torch's flash attention for rows of documents: no mask, no padding, one kernel a layer.

    CUDA, compute capability 8.0, half precision. [heads, tokens, head_dim] in and out.
    """
    either_side = -1 if reach is None else reach  # -1 is varlen_attn's word for no limit
    ends, longest = row.cumulative_lengths, max(row.lengths)
    attended = varlen(
        query.transpose(0, 1),
        key.transpose(0, 1),
        value.transpose(0, 1),
        ends,
        ends,
        longest,
        longest,
        scale=scaling,
        window_size=(either_side, either_side),
    )
    return attended.transpose(0, 1)


def attend_with_triton(
    query: Tensor, key: Tensor, value: Tensor, row: PackedRow, *, scaling: float, reach: int | None
) -> Tensor:
    """Flash attention of our own, which reads no key beyond a window's reach.

    CUDA, compute capability 8.0, half precision, head_dim one of TRITON_HEAD_DIMS.
    [heads, tokens, head_dim] in and out.
    """
    from src.gpu_operations import attended  # noqa: PLC0415

    return attended(query, key, value, row.seen_tokens, scaling=scaling, reach=reach)


AttentionInterface.register(PACKED_ATTENTION, packed_attention)
