"""
Outages that pass by themselves: a machine that slept, another network, names that do not resolve.

Knows which errors waiting can mend and for how long to wait; knows nothing of what is asked.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from batch_transform.aws import AwsError, explain, is_temporary

LONGEST_OUTAGE_IN_HOURS = 12
_FIRST_WAIT_IN_SECONDS = 1.0
_LONGEST_WAIT_IN_SECONDS = 60.0

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Patience:
    """
    Asks AWS again for as long as an outage may last.

    *tell* is given one sentence an outage. *clock* gives seconds, which need not run on while the
    machine sleeps.
    """

    tell: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def outlast(self, ask: Callable[[], Answer]) -> Answer:
        """
        Return what *ask* returns, which must bear being repeated.

        Raises what waiting cannot mend at once, such as expired credentials, and anything after
        twelve hours without an answer.
        """
        began, wait = None, _FIRST_WAIT_IN_SECONDS
        while True:
            try:
                return ask()
            except AwsError as error:
                if not is_temporary(error) or self._has_lasted_too_long(began):
                    raise
                if began is None:
                    began = self.clock()
                    self.tell(_announced(error))
            self.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_IN_SECONDS)

    def _has_lasted_too_long(self, began: float | None) -> bool:
        return began is not None and self.clock() - began >= LONGEST_OUTAGE_IN_HOURS * 3600


def _announced(error: Exception) -> str:
    return (
        f"{explain(error)}; asking again for {LONGEST_OUTAGE_IN_HOURS} hours, as what has begun at "
        "AWS goes on without this machine"
    )
