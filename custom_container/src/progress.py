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

    def __init__(self, documents: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._documents = documents
        self._documents_counted = 0
        self._tokens_counted = 0
        self._tokens_done = 0
        self._clock = clock
        self._began = clock()
        self._next_line = self._began + SECONDS_BETWEEN_LINES

    def count(self, documents: int, tokens: int) -> None:
        """Say how many tokens some more of the documents have; before these are done."""
        self._documents_counted += documents
        self._tokens_counted += tokens

    def advance(self, tokens: int) -> None:
        """Add what was done since the last call, and log if it is time.

        The share of all documents is that of the tokens counted so far.
        """
        self._tokens_done += tokens
        now = self._clock()
        if now < self._next_line:
            return
        self._next_line = now + SECONDS_BETWEEN_LINES
        done = self._tokens_done / self._tokens_counted * self._documents_counted
        logger.info(
            "%.0f of %d documents done, %.0f%%, %.0f tokens/s.",
            done,
            self._documents,
            100 * done / self._documents,
            self._tokens_done / (now - self._began),
        )
