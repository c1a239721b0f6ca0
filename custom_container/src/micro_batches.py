"""Which documents share a forward pass.

A micro-batch is a list of positions in the caller's list. Documents go by length and fill a
token budget; one that exceeds the budget on its own gets a micro-batch of its own. Knows lengths
only: neither tensors nor models.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence

MicroBatch = list[int]


def padded_micro_batches(lengths: Sequence[int], max_tokens: int) -> list[MicroBatch]:
    """Micro-batches for a rectangle: rows x longest row <= `max_tokens`, padding included.

    Neighbours in length share a rectangle, longest first, so that little of it is padding and
    the largest demand for memory comes first.
    """
    micro_batches: list[MicroBatch] = []
    for position in _longest_first(lengths):
        current = micro_batches[-1] if micro_batches else None
        if current and (len(current) + 1) * lengths[current[0]] <= max_tokens:
            current.append(position)
        else:
            micro_batches.append([position])
    return micro_batches


def packed_micro_batches(lengths: Sequence[int], max_tokens: int) -> list[MicroBatch]:
    """Micro-batches for a row without padding: the sum of lengths <= `max_tokens`.

    Longest first, each document goes where it leaves the least room, so that rows are nearly
    full; sorted rooms keep a million documents a matter of seconds.
    """
    micro_batches: list[MicroBatch] = []
    rooms: list[tuple[int, int]] = []  # (tokens still free, index of the micro-batch), sorted
    for position in _longest_first(lengths):
        tightest = bisect_left(rooms, (lengths[position], 0))
        if tightest < len(rooms):
            room, index = rooms.pop(tightest)
        else:
            room, index = max_tokens, len(micro_batches)
            micro_batches.append([])
        micro_batches[index].append(position)
        insort(rooms, (room - lengths[position], index))
    return micro_batches


def _longest_first(lengths: Sequence[int]) -> list[int]:
    return sorted(range(len(lengths)), key=lambda position: -lengths[position])
