"""Packed attention: every way of every device means the same."""

import inspect

import pytest
import torch
from torch.nn.attention.varlen import varlen_attn

from src import packed_attention
from src.packed_attention import (
    attend_with_matmul,
    attend_with_sdpa,
    attend_with_tiles,
    attend_with_triton,
    attend_with_varlen,
    first_that_runs,
    ways_of,
)
from src.packed_row import BLOCK_TOKENS, PackedRow

LENGTHS = (1, 63, 64, 65, 130, 600, 2)
REACHES = (None, 16, 64, BLOCK_TOKENS + 9)
SCALING = 0.3
# Whatever a device with kernels has; nothing of it is called to choose.
KERNELS = object()
FLASH_ATTENTION = [attend_with_triton, attend_with_varlen, attend_with_sdpa]


def varlen_by_its_documentation(  # noqa: PLR0917
    query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, scale, window_size
):
    """varlen_attn's meaning, [tokens, heads, head_dim], in plain arithmetic."""
    assert cu_seq_q.dtype == cu_seq_k.dtype == torch.int32
    attended = torch.empty_like(query)
    for begin, end in zip(cu_seq_q[:-1].tolist(), cu_seq_q[1:].tolist(), strict=True):
        assert end - begin <= max_q == max_k
        own = slice(begin, end)
        scores = torch.einsum("qhd,khd->hqk", query[own], key[own]) * scale
        distance = torch.arange(end - begin)[:, None] - torch.arange(end - begin)
        left, right = (limit if limit >= 0 else end for limit in window_size)
        scores = scores.masked_fill((distance > left) | (-distance > right), -torch.inf)
        attended[own] = torch.einsum("hqk,khd->qhd", scores.softmax(dim=-1), value[own])
    return attended


def row_and_tensors(dtype=torch.float32):
    """A row and its query, key and value, [heads, tokens, head_dim], strided as a model's are."""
    generator = torch.Generator().manual_seed(2)
    tensors = torch.randn(3, sum(LENGTHS), 4, 16, generator=generator).to(dtype)
    return PackedRow(LENGTHS), *(tensor.transpose(0, 1) for tensor in tensors)


def through_varlen(query, key, value, row, **options):
    """The GPU's way, with a kernel that any device has."""
    return attend_with_varlen(query, key, value, row, varlen=varlen_by_its_documentation, **options)


@pytest.mark.parametrize("reach", REACHES)
@pytest.mark.parametrize(
    ("attend", "dtype", "tolerance"),
    [
        (attend_with_sdpa, torch.float32, 1e-5),
        (attend_with_matmul, torch.float32, 1e-5),
        (attend_with_matmul, torch.bfloat16, 3e-2),
        (attend_with_tiles, torch.bfloat16, 3e-2),
        (attend_with_sdpa, torch.float16, 5e-3),
        (through_varlen, torch.float32, 1e-5),
    ],
)
def test_each_way_is_attention_within_each_document(attend, dtype, tolerance, reach):
    """Documents apart, `reach` tokens either side, against one mask over the whole row."""
    row, query, key, value = row_and_tensors(dtype)
    place = torch.arange(sum(LENGTHS))
    visible = row.document_of_token[:, None] == row.document_of_token
    if reach is not None:
        visible &= (place[:, None] - place).abs() <= reach
    scores = query.float() @ key.float().transpose(1, 2) * SCALING
    expected = scores.masked_fill(~visible, -torch.inf).softmax(dim=-1) @ value.float()

    attended = attend(query, key, value, row, scaling=SCALING, reach=reach)

    torch.testing.assert_close(attended.float(), expected, rtol=0, atol=tolerance)


def test_varlen_attn_takes_what_it_is_given():
    """The kernel of this torch has the parameters by which the GPU's way calls it."""
    parameters = inspect.signature(varlen_attn).parameters

    assert list(parameters)[:7] == [
        "query",
        "key",
        "value",
        "cu_seq_q",
        "cu_seq_k",
        "max_q",
        "max_k",
    ]
    assert {"scale", "window_size"} <= parameters.keys()


@pytest.mark.parametrize(
    ("device", "dtype", "capability", "ways"),
    [
        ("cuda", torch.bfloat16, (9, 0), FLASH_ATTENTION),
        ("cuda", torch.float16, (8, 0), FLASH_ATTENTION),
        ("cuda", torch.float16, (7, 5), [attend_with_sdpa]),
        ("cuda", torch.float32, (9, 0), [attend_with_sdpa]),
    ],
)
def test_each_device_gets_ways_it_can_go(device, dtype, capability, ways, monkeypatch):
    """A T4 has no flash attention; no device has it in fp32."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(packed_attention, "operations_for", lambda device: KERNELS)

    assert ways_of(torch.device(device), dtype, 64) == ways


@pytest.mark.parametrize(
    ("dtype", "has_tiles", "way"),
    [
        (torch.float32, True, attend_with_matmul),
        (torch.bfloat16, False, attend_with_matmul),
        (torch.bfloat16, True, attend_with_tiles),
    ],
)
def test_a_cpu_with_tiles_has_a_way_of_its_own_in_bf16(dtype, has_tiles, way, monkeypatch):
    """torch's own attention multiplies bf16 in tiles where there are some."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": has_tiles})

    assert ways_of(torch.device("cpu"), dtype, 64) == [way]


@pytest.mark.parametrize(("operations", "head_dim"), [(None, 64), (KERNELS, 48), (KERNELS, 128)])
def test_without_kernels_or_their_shapes_attention_is_torchs_own(operations, head_dim, monkeypatch):
    """No compiler, or heads whose size the kernel does not take: flash attention all the same."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 9))
    monkeypatch.setattr(packed_attention, "operations_for", lambda device: operations)

    assert ways_of(torch.device("cuda"), torch.bfloat16, head_dim) == FLASH_ATTENTION[1:]


@pytest.mark.parametrize("windowed_only", [True, False])
def test_a_way_that_does_not_run_gives_way_to_the_next(windowed_only, caplog):
    """In a layer with a window or in one without: a torch, compiler or GPU that lacks it."""

    def attend_with_luck(*_tensors, scaling, reach):
        if windowed_only and reach is None:
            return torch.zeros(1)
        raise RuntimeError("out of resource: shared memory")

    ways = [attend_with_luck, attend_with_sdpa, attend_with_matmul]

    chosen = first_that_runs(ways, torch.device("cpu"), torch.float32, 4, 16)

    assert chosen is attend_with_sdpa
    assert "No attend_with_luck: RuntimeError: out of resource: shared memory" in caplog.text


def test_the_last_way_is_not_tried():
    """There is no other to go."""
    assert first_that_runs([KERNELS], torch.device("cpu"), torch.float32, 4, 16) is KERNELS
