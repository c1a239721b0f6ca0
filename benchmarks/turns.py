"""Contenders that take turns, each in a process of its own.

In one process they disturb each other: a forward pass found its memory scattered by the others'
models and computed 8% less. A process that waits for its turn costs nothing. Knows processes and
clocks; knows nothing of what is run in them.
"""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, NamedTuple


class Turn(NamedTuple):
    """How long it took, and what came of it."""

    seconds: float
    outcome: Any


_run: Callable[[], Any]


def _make(make: Callable[..., Callable[[], Any]], arguments: tuple[Any, ...]) -> None:
    global _run  # noqa: PLW0603
    _run = make(*arguments)


def _timed() -> Turn:
    began = time.perf_counter()
    outcome = _run()
    return Turn(time.perf_counter() - began, outcome)


class Contender:
    """`make(*arguments)` in a new process, where it gives a function that is run at each turn."""

    def __init__(self, make: Callable[..., Callable[[], Any]], *arguments: Any) -> None:
        self._process = ProcessPoolExecutor(1, get_context("spawn"), _make, (make, arguments))

    def turn(self) -> Turn:
        """Run once, and wait for it; the first time, until it is made, too."""
        return self._process.submit(_timed).result()
