"""What a CPU computes between the products of matrices, each step in one pass over memory.

torch would make some ten operators of each, and every one of them writes to memory what the next
one reads back. numba compiles these when they are first called, unless such are kept. Tensors come
as numpy's views of them; bf16, which numpy lacks, as its bits in uint16. Knows arrays; knows
neither torch nor models.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any, TypeVar

import numba
import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from src.kept_kernels import share_kernels

share_kernels()

Array = NDArray[Any]
Kernel = TypeVar("Kernel", bound=Callable[..., None])
# Rows that a thread takes at once.
ROWS = 32
LOG2_OF_E = np.float32(1.4426950408889634)
LOWEST = np.float32(-3e38)
SMALLEST = np.float32(1e-12)
BYTE_OF_ZERO = 128
# 1.5 x 2^23: added to a small fp32, it leaves that as a whole number in the lowest bits.
WHOLE = 12582912
# numba's own threads, which it has where there is no OpenMP library, serve one caller at a time.
_one_at_a_time = threading.Lock()

# What is allowed to the compiler where sums are made: any order, so that they are made in parallel.
FASTMATH = {"nnan", "nsz", "arcp", "contract", "afn", "reassoc"}


class _Calls(threading.local):
    """What this thread's calls of kernels do."""

    only_compile = False


_calls = _Calls()


@contextmanager
def only_compiled() -> Iterator[None]:
    """Within, this thread's calls compile kernels, or find them kept, and run none."""
    _calls.only_compile = True
    try:
        yield
    finally:
        _calls.only_compile = False


def _kernel(function: Kernel) -> Kernel:
    """Compile `function` on its first call; kept for the next process where there is a place."""
    compile_ = numba.njit(parallel=True, fastmath=FASTMATH, error_model="numpy", nogil=True)
    compiled = compile_(function)
    with suppress(RuntimeError):
        compiled.enable_caching()

    @wraps(function)
    def run(*arguments: Any) -> None:
        with _one_at_a_time:
            if _calls.only_compile:
                compiled.compile(tuple(map(numba.typeof, arguments)))
            else:
                compiled(*arguments)

    return run


_part = numba.njit(fastmath=FASTMATH, error_model="numpy")
# Without `reassoc`, which would drop the rounding by a large addend.
_exact_part = numba.njit(fastmath=FASTMATH - {"reassoc"}, error_model="numpy")


def _widened(x):
    """The fp32 value of what an array holds: fp32 itself, or the bits of bf16."""


@overload(_widened, inline="always")
def _(x):
    if x == numba.uint16:
        return lambda x: np.uint32(np.uint32(x) << np.uint32(16)).view(np.float32)
    return lambda x: x


def _narrowed(x, like):
    """fp32 as what an array like `like` holds, rounded to the nearest, ties to even."""


@overload(_narrowed)
def _(x, like):  # noqa: ARG001
    if like.dtype == numba.uint16:

        def bf16(x, like):  # noqa: ARG001
            bits = np.float32(x).view(np.uint32)
            even = (bits >> np.uint32(16)) & np.uint32(1)
            return np.uint16((bits + np.uint32(0x7FFF) + even) >> np.uint32(16))

        return bf16
    return lambda x, like: np.float32(x)  # noqa: ARG005


@_exact_part
def _power_of_two(x: float) -> np.float32:
    """2 to the power of `x`, which is below 127, to 1e-7 of it; 0 from -127 down."""
    clamped = x if x > np.float32(-127) else np.float32(-127)
    shifted = np.float32(clamped + np.float32(WHOLE))
    rest = clamped - (shifted - np.float32(WHOLE))
    power = np.float32(1.340043217e-3)
    power = power * rest + np.float32(9.676037098e-3)
    power = power * rest + np.float32(5.550327214e-2)
    power = power * rest + np.float32(2.402210736e-1)
    power = power * rest + np.float32(6.931472067e-1)
    power = power * rest + np.float32(1)
    exponent = np.int32((np.float32(shifted).view(np.int32) + np.int32(127)) << np.int32(23))
    return power * np.int32(exponent).view(np.float32)


@_part
def _in_order(bits: int) -> np.int32:
    """fp32 bits as whole numbers of the same order, and back.

    The compiler makes vector instructions of a maximum of integers, but not of floats.
    """
    return np.int32(bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))


@_part
def _largest(row: Array) -> np.float32:
    """The largest of an fp32 row."""
    largest = np.int32(-0x80000000)
    for column in range(len(row)):
        largest = max(largest, _in_order(np.float32(row[column]).view(np.int32)))
    return np.int32(_in_order(largest)).view(np.float32)


@_part
def _largest_magnitude(row: Array) -> np.float32:
    """The largest of an fp32 row without its signs."""
    largest = np.int32(0)
    for column in range(len(row)):
        bits = np.float32(row[column]).view(np.int32)
        magnitude = bits & np.int32(0x7FFFFFFF)
        largest = max(largest, np.int32(magnitude))
    return np.int32(largest).view(np.float32)


@_part
def _widen_row(row: Array, widened: Array) -> None:
    for column in range(len(row)):
        widened[column] = _widened(row[column])


@_part
def _softmax_row(scores: Array, first: int, end: int, scale: float, powers: Array) -> None:
    """Softmax of `scale` x scores[first:end] in place; 0 elsewhere. `powers` is room for a row."""
    for column in range(len(scores)):
        score, place = _widened(scores[column]) * scale, np.int32(column)
        powers[column] = score if (place >= first) & (place < end) else LOWEST
    largest = _largest(powers)
    total = np.float32(0)
    for column in range(len(scores)):
        power = _power_of_two((powers[column] - largest) * LOG2_OF_E)
        powers[column] = power
        total += power
    for column in range(len(scores)):
        scores[column] = _narrowed(powers[column] / total, scores)


@_kernel
def softmax(scores: Array, first: Array, end: Array, scale: float) -> None:
    """Softmax of `scale` x scores [rows, keys], in place, over the keys each row may see.

    Row r sees the keys first[r % len(first)] to end[r % len(first)], that one left out; at least
    one. The others' scores become 0.
    """
    rows = len(scores)
    scale = np.float32(scale)
    for chunk in numba.prange(-(-rows // ROWS)):
        powers = np.empty(scores.shape[1], np.float32)
        for row in range(chunk * ROWS, min(rows, (chunk + 1) * ROWS)):
            # 32 bits, like the scores: a vector instruction compares as many as it multiplies.
            seen = np.int32(first[row % len(first)]), np.int32(end[row % len(first)])
            _softmax_row(scores[row], seen[0], seen[1], scale, powers)


@_part
def _norm_row(row: Array, weight: Array, bias: Array, epsilon: float, normed: Array) -> None:
    size = np.float32(len(row))
    total = np.float32(0)
    for column in range(len(row)):
        total += row[column]
    mean = total / size
    squares = np.float32(0)
    for column in range(len(row)):
        squares += (row[column] - mean) * (row[column] - mean)
    factor = np.float32(1) / np.sqrt(squares / size + np.float32(epsilon))
    for column in range(len(row)):
        value = (row[column] - mean) * factor * weight[column] + bias[column]
        normed[column] = _narrowed(value, normed)


@_kernel
def norm(stream: Array, weight: Array, bias: Array, epsilon: float, normed: Array) -> None:
    """Layer norm of the fp32 stream [tokens, hidden] into `normed`."""
    for token in numba.prange(len(stream)):
        _norm_row(stream[token], weight, bias, epsilon, normed[token])


@_kernel
def add(stream: Array, update: Array) -> None:
    """stream += update, both [tokens, hidden]; the stream is fp32."""
    for token in numba.prange(len(stream)):
        for column in range(stream.shape[1]):
            stream[token, column] += _widened(update[token, column])


@_kernel
def rotate(product: Array, cosines: Array, sines: Array, rotated: Array) -> None:
    """Queries, keys and values of a packed row, head by head, the first two rotated.

    `product` [tokens, 3, heads, head_dim] becomes `rotated` [3, heads, tokens, head_dim]; cosines
    and sines are fp32 [tokens, head_dim], their second half like the first.
    """
    tokens, _, heads, head_dim = product.shape
    half = head_dim // 2
    for token in numba.prange(tokens):
        for head in range(heads):
            for part in range(2):
                for place in range(half):
                    cosine, sine = cosines[token, place], sines[token, place]
                    left = _widened(product[token, part, head, place])
                    right = _widened(product[token, part, head, place + half])
                    first, second = left * cosine - right * sine, right * cosine + left * sine
                    rotated[part, head, token, place] = _narrowed(first, rotated)
                    rotated[part, head, token, place + half] = _narrowed(second, rotated)
            for place in range(head_dim):
                rotated[2, head, token, place] = product[token, 2, head, place]


@_part
def _gelu(x: float) -> np.float32:
    """x times the normal distribution's share below it, to 2e-7 (Abramowitz and Stegun 7.1.26)."""
    magnitude = abs(x) * np.float32(0.70710678118654752)
    t = np.float32(1) / (np.float32(1) + np.float32(0.3275911) * magnitude)
    tail = np.float32(1.061405429)
    tail = tail * t + np.float32(-1.453152027)
    tail = tail * t + np.float32(1.421413741)
    tail = tail * t + np.float32(-0.284496736)
    tail = tail * t + np.float32(0.254829592)
    half_tail = np.float32(0.5) * tail * t * _power_of_two(-magnitude * magnitude * LOG2_OF_E)
    return x * (half_tail if x < 0 else np.float32(1) - half_tail)


@_kernel
def gelu_gate(product: Array, gated: Array) -> None:
    """gelu(left) x right of the halves of `product` [tokens, 2 x size] into `gated`."""
    size = gated.shape[1]
    for token in numba.prange(len(product)):
        for column in range(size):
            left, right = _widened(product[token, column]), _widened(product[token, column + size])
            gated[token, column] = _narrowed(_gelu(left) * right, gated)


@_exact_part
def _quantize_row(row: Array, steps: float, quantized: Array) -> None:
    """`steps` x an fp32 row, -127 to 127, rounded, as bytes of which BYTE_OF_ZERO is 0."""
    for column in range(len(row)):
        # The lowest byte holds the whole number, with BYTE_OF_ZERO added to it.
        shifted = np.float32(row[column] * steps + np.float32(WHOLE + BYTE_OF_ZERO))
        quantized[column] = np.uint8(shifted.view(np.int32))


@_kernel
def quantize(x: Array, quantized: Array, scales: Array) -> None:
    """[rows, columns] to bytes, 1 to 255, and a scale a row: (byte - BYTE_OF_ZERO) x scale = x."""
    rows, most = len(x), np.float32(127)
    for chunk in numba.prange(-(-rows // ROWS)):
        widened = np.empty(x.shape[1], np.float32)
        for row in range(chunk * ROWS, min(rows, (chunk + 1) * ROWS)):
            _widen_row(x[row], widened)
            largest = max(_largest_magnitude(widened), SMALLEST)
            scales[row] = largest / most
            _quantize_row(widened, most / largest, quantized[row])


@_kernel
def scale_rows(product: Array, scales: Array, bias: Array) -> None:
    """[rows, columns] x its row's scale + its column's bias, in place."""
    for row in numba.prange(len(product)):
        for column in range(product.shape[1]):
            scaled = _widened(product[row, column]) * scales[row] + bias[column]
            product[row, column] = _narrowed(scaled, product)
