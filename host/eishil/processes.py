"""Child processes that do not outlive the one that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> Callable[[], None] | None:
    """What a child calls before it does anything else: SIGKILL when the thread that started it ends (Linux only)."""
    if not sys.platform.startswith("linux"):
        return None
    # The library is loaded before the fork: the child may only call what is there already.
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def tie_worker(parent: int) -> None:
    """What a worker process of a pool calls first, with the process that owns the pool."""
    die = die_with_parent()
    if die is not None:
        die()
        if os.getppid() != parent:  # it had ended before it could be tied to
            os._exit(1)
