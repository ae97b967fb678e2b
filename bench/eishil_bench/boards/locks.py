"""One board, one user at a time: a lock for each board, which says who holds it and does not outlive its holder."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import tempfile
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from eishil.errors import TargetError
from eishil.files import write_atomic

LOCK_FOLDER_VARIABLE = "EISHIL_LOCKS"


def lock_folder() -> Path:
    """Where the locks of this machine lie, for all its users."""
    folder = Path(os.environ.get(LOCK_FOLDER_VARIABLE) or Path(tempfile.gettempdir()) / "eishil-locks")
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)  # not sticky: Linux would then refuse to open the lock of another user
    return folder


class BoardLock:
    """The lock of one board.

    Parameters
    ----------
    target
        Name for sentences.
    board
        What tells the board from others: the serial number of its probe, or its port.
    """

    def __init__(self, target: str, board: str) -> None:
        self._target = target
        stem = re.sub(r"[^A-Za-z0-9.-]+", "_", board).strip("_")
        self._holder_path = lock_folder() / f"{stem}.json"
        self._lock = FileLock(lock_folder() / f"{stem}.lock", mode=0o666, thread_local=False)

    def acquire(self) -> None:
        """TargetError at once where another process or run holds it; the sentence says who."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise TargetError(f"target {self._target}: the board is {self._holder()}; wait for it to end") from None
        holder = {"pid": os.getpid(), "user": _user(), "since": datetime.now().astimezone().isoformat("T", "seconds")}
        write_atomic(self._holder_path, json.dumps(holder) + "\n")

    def release(self) -> None:
        """Harmless where it is not held."""
        if self._lock.is_locked:
            self._holder_path.unlink(missing_ok=True)
            self._lock.release()

    def held_by(self) -> str:
        """Who holds it, in words; empty where nobody does."""
        try:
            with self._lock.acquire(timeout=0):
                return ""
        except Timeout:
            return self._holder()

    def _holder(self) -> str:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            holder = json.loads(self._holder_path.read_bytes())
            return f"held by process {holder['pid']} of {holder['user']} since {holder['since']}"
        return "held by another eishil command"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())
