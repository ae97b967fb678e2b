"""A pseudo-terminal that carries bytes no faster than a serial line at its rate, with a target at the other end."""

from __future__ import annotations

import os
import select
import termios
import threading
import time
from types import TracebackType
from typing import Self

from eishil.errors import TargetError
from eishil_bench.link.interface import ByteStream

BITS_PER_BYTE = 10  # with start and stop bit
_TICK_s = 0.0005
_CHUNK_bytes = 65536


class _Direction:
    """Bytes of one direction. `busy_until` is when the last byte that was let through has left the wire."""

    def __init__(self) -> None:
        self._queue = bytearray()
        self._busy_until_s = 0.0

    def put(self, data: bytes, now_s: float) -> None:
        """The wire begins to send at once where it stood still."""
        if data and not self._queue:
            self._busy_until_s = max(self._busy_until_s, now_s)
        self._queue += data

    def take(self, byte_s: float, now_s: float) -> bytes:
        """What has left the wire by now."""
        count = max(0, min(len(self._queue), int((now_s - self._busy_until_s) / byte_s)))
        self._busy_until_s += count * byte_s
        data = bytes(self._queue[:count])
        del self._queue[:count]
        return data


class PacedPty:
    """Open it and connect a serial port to `path`; the rate is the one that the port is set to.

    Parameters
    ----------
    device
        Started; what the line ends at.
    """

    def __init__(self, device: ByteStream) -> None:
        self._device = device
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._master, self._slave = os.openpty()
        self.path = os.ttyname(self._slave)

    @property
    def baud_Bd(self) -> int:
        """What the port is set to now."""
        speed = termios.tcgetattr(self._slave)[5]
        return next(int(name[1:]) for name in dir(termios) if name[1:].isdigit() and getattr(termios, name) == speed)

    def _carry(self) -> None:
        to_device, to_host = _Direction(), _Direction()
        byte_s, checked_s = BITS_PER_BYTE / self.baud_Bd, 0.0
        while not self._done.is_set():
            readable, _, _ = select.select([self._master], [], [], 0)
            try:
                sent = os.read(self._master, _CHUNK_bytes) if readable else b""
                said = self._device.read(_TICK_s)
            except (OSError, TargetError):
                return
            now_s = time.monotonic()
            if now_s - checked_s > 0.05:
                byte_s, checked_s = BITS_PER_BYTE / self.baud_Bd, now_s
            to_device.put(sent, now_s)
            to_host.put(said, now_s)
            if arrived := to_device.take(byte_s, now_s):
                self._device.write(arrived)
            os.write(self._master, to_host.take(byte_s, now_s))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join(1.0)
        os.close(self._master)
        os.close(self._slave)
