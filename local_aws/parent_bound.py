"""
Commands that die with the process that started them, even if that one is killed outright.

Knows Linux's parent-death signal; elsewhere a command is run as it is. Executed as a script it
is the launcher itself: it asks for the signal, then becomes the command.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def parent_bound(command: Sequence[str], dies_by: signal.Signals) -> list[str]:
    """
    Return *command*, wrapped so that it gets *dies_by* when the thread that starts it ends.

    Linux ties the signal to the thread, so start it from one that lives as long as it should.
    """
    launcher = [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(dies_by))]
    return [*launcher, *command]


def _become(parent: int, dies_by: int, command: list[str]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, dies_by)
        if os.getppid() != parent:
            sys.exit(f"{command[0]} was not started: its parent {parent} is gone")
    os.execvp(command[0], command)  # noqa: S606 - to become the command is the point


if __name__ == "__main__":
    try:
        _become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
    except OSError as error:
        sys.exit(f"cannot run {sys.argv[3]}: {error.strerror}")
