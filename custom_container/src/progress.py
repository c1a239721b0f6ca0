"""How far a long piece of work has come: one log line every few seconds.

Knows counts and a clock; knows nothing of what is counted and never a document's text.
"""

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)
SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """The documents and tokens of one request; silent if it is over before the first line."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._documents = 0
        self._tokens = 0
        self._clock = clock
        self._documents_done = 0
        self._tokens_done = 0
        self._began = clock()
        self._next_line = self._began + SECONDS_BETWEEN_LINES

    def expect(self, documents: int, tokens: int) -> None:
        """Count what there is to do, more of it each time."""
        self._documents += documents
        self._tokens += tokens

    def advance(self, documents: int, tokens: int) -> None:
        """Count what was done since the last call, and log if it is time."""
        self._documents_done += documents
        self._tokens_done += tokens
        now = self._clock()
        if now < self._next_line:
            return
        self._next_line = now + SECONDS_BETWEEN_LINES
        logger.info(
            "%d of %d documents done, %.0f%% of %d tokens, %.0f tokens/s.",
            self._documents_done,
            self._documents,
            100 * self._tokens_done / self._tokens,
            self._tokens,
            self._tokens_done / (now - self._began),
        )
