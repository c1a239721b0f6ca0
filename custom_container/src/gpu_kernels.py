"""What lies between a GPU's products of matrices, each in one pass over memory, in Triton.

torch's own operations would pass over the same tokens many times, and memory is what a GPU waits
for. Compiled when first called, by the Triton and the C compiler that torch's image brings.
Pointers in, nothing out: each kernel writes into the tensor named last, or in place; rows are
contiguous. Half precision is read, widened, and rounded again when written. Knows numbers; knows
neither tensors nor what the numbers are for.
"""

import triton
from triton import language as tl


@triton.jit
def _store_norm(values, held, columns, weight, bias, normed, epsilon, size: tl.constexpr):
    """Layer norm of `size` values, of which those not held are 0, to where `normed` points."""
    centred = tl.where(held, values - tl.sum(values) / size, 0.0)
    factor = 1 / tl.sqrt(tl.sum(centred * centred) / size + epsilon)
    values = centred * factor * tl.load(weight + columns, mask=held, other=0.0)
    if bias is not None:
        values += tl.load(bias + columns, mask=held, other=0.0)
    tl.store(normed + columns, values, mask=held)


@triton.jit
def norm(stream, weight, bias, normed, epsilon, size: tl.constexpr, block: tl.constexpr):
    """Layer norm of one token of the fp32 stream [tokens, size]; block is the next power of two."""
    first, columns = tl.program_id(0).to(tl.int64) * size, tl.arange(0, block)
    held = columns < size
    values = tl.load(stream + first + columns, mask=held, other=0.0)
    _store_norm(values, held, columns, weight, bias, normed + first, epsilon, size)


@triton.jit
def add_norm(
    stream, update, weight, bias, normed, epsilon, size: tl.constexpr, block: tl.constexpr
):
    """stream += update, fp32, and then its norm, as `norm` has it."""
    first, columns = tl.program_id(0).to(tl.int64) * size, tl.arange(0, block)
    held = columns < size
    values = tl.load(stream + first + columns, mask=held, other=0.0)
    values += tl.load(update + first + columns, mask=held, other=0.0).to(tl.float32)
    tl.store(stream + first + columns, values, mask=held)
    _store_norm(values, held, columns, weight, bias, normed + first, epsilon, size)


@triton.jit
def add(stream, update, count, block: tl.constexpr):
    """stream += update, the stream in fp32: `block` of `count` numbers."""
    places = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    held = places < count
    values = tl.load(update + places, mask=held, other=0.0).to(tl.float32)
    tl.store(stream + places, tl.load(stream + places, mask=held, other=0.0) + values, mask=held)


@triton.jit
def gelu_gate(product, gated, count, size: tl.constexpr, block: tl.constexpr):
    """gelu(left) x right of the halves of [tokens, 2 x size]: `block` of `count` of these."""
    places = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    held = places < count
    lefts = product + places + places // size * size
    left = tl.load(lefts, mask=held, other=0.0).to(tl.float32)
    right = tl.load(lefts + size, mask=held, other=0.0).to(tl.float32)
    gelu = left * 0.5 * (1 + tl.erf(left * 0.7071067811865476))
    tl.store(gated + places, gelu * right, mask=held)


@triton.jit
def rotate(cosines, sines, product, heads: tl.constexpr, half: tl.constexpr, block: tl.constexpr):
    """Turn one token's queries and keys in place, [tokens, 3, heads, 2 x half].

    Cosines and sines are fp32 [tokens, 2 x half], their second half like the first. `block` is the
    next power of two of 2 x heads x half.
    """
    token, pairs = tl.program_id(0).to(tl.int64), tl.arange(0, block)
    held = pairs < 2 * heads * half
    head, place = pairs // half, pairs % half
    angle = token * 2 * half + place
    cosine = tl.load(cosines + angle, mask=held, other=0.0)
    sine = tl.load(sines + angle, mask=held, other=0.0)
    first = product + (token * 3 * heads + head) * 2 * half + place
    left = tl.load(first, mask=held, other=0.0).to(tl.float32)
    right = tl.load(first + half, mask=held, other=0.0).to(tl.float32)
    tl.store(first, left * cosine - right * sine, mask=held)
    tl.store(first + half, right * cosine + left * sine, mask=held)


@triton.jit
def attend(
    query,
    key,
    value,
    first_seen,
    end_seen,
    attended,
    scale,
    tokens,
    head_stride,
    token_stride,
    reach,
    heads: tl.constexpr,
    head_dim: tl.constexpr,
    queries: tl.constexpr,
    keys: tl.constexpr,
    windowed: tl.constexpr,
):
    """Flash attention of `queries` tokens of one head over the keys that they may see.

    Query, key and value are [heads, tokens, head_dim], strided alike; `attended` is contiguous,
    [tokens, heads, head_dim]. Token t sees the tokens first_seen[t] to end_seen[t], that one left
    out, int32, and, if `windowed`, none further than `reach` from it. The scores are multiplied by
    `scale`, which holds log2(e), for powers of two are taken of them.
    """
    head = tl.program_id(0) % heads
    rows = tl.program_id(0) // heads * queries + tl.arange(0, queries)
    columns = tl.arange(0, head_dim)
    held = rows < tokens
    first = tl.load(first_seen + rows, mask=held, other=tokens)
    end = tl.load(end_seen + rows, mask=held, other=0)
    if windowed:
        first = tl.maximum(first, rows - reach)
        end = tl.minimum(end, rows + reach + 1)
    own = head.to(tl.int64) * head_stride + columns
    q = tl.load(
        query + rows[:, None].to(tl.int64) * token_stride + own, mask=held[:, None], other=0.0
    )
    largest = tl.full([queries], -1.0e9, tl.float32)
    total = tl.zeros([queries], tl.float32)
    sums = tl.zeros([queries, head_dim], tl.float32)
    past = tl.max(end)
    for begin in range(tl.min(first), past, keys):
        places = begin + tl.arange(0, keys)
        beside = places[:, None].to(tl.int64) * token_stride + own
        there = (places < past)[:, None]
        k = tl.load(key + beside, mask=there, other=0.0)
        scores = tl.dot(q, tl.trans(k)) * scale
        seen = (places[None, :] >= first[:, None]) & (places[None, :] < end[:, None])
        scores = tl.where(seen, scores, -1.0e9)
        grown = tl.maximum(largest, tl.max(scores, 1))
        powers = tl.exp2(scores - grown[:, None])
        shrunk = tl.exp2(largest - grown)
        v = tl.load(value + beside, mask=there, other=0.0)
        total = total * shrunk + tl.sum(powers, 1)
        sums = sums * shrunk[:, None] + tl.dot(powers.to(v.dtype), v)
        largest = grown
    into = attended + (rows[:, None].to(tl.int64) * heads + head) * head_dim + columns
    tl.store(into, sums / total[:, None], mask=held[:, None])
