"""How bytes pass between the bench and the emulated UART; no way here opens a port.

Replies: Renode writes every byte that the device sends into a file, at once (`CreateFileBackend`, measured on 1.16.1).
Requests: `MonitorUart` hands each byte to the UART by a monitor command while virtual time stands still, so that it
arrives at the same instruction in every run. `PtyUart` writes into a pseudo terminal (measured on 1.16.1), from which
threads of Renode's own take it: it arrives in some later slice of virtual time.
"""

from __future__ import annotations

import os
import tty
from pathlib import Path
from typing import Protocol

from eishil.errors import TargetError
from eishil_bench.dut.renode_monitor import Monitor

# The line editor of the monitor keeps lines of up to 9999 characters in one piece; a byte takes 24 for `usart2`.
_BYTES_PER_LINE = 128


class Uart(Protocol):
    """One end of the device's UART."""

    def commands(self) -> list[str]:
        """Monitor commands that connect it, once the machine has its platform."""

    def write(self, monitor: Monitor, data: bytes) -> None:
        """Send bytes to the device. Virtual time stands still."""

    def read(self) -> bytes:
        """What the device has sent since the last call."""

    def close(self) -> None:
        """Give back what was opened; harmless when nothing was."""


class MonitorUart:
    """Requests by `WriteChar` commands, replies from a file in `folder`. `name` is the UART's in the platform."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path, self._name = folder / "uart.bin", name
        self._taken = 0

    def commands(self) -> list[str]:
        return [f"{self._name} CreateFileBackend {monitor_path(self._path)} true"]

    def write(self, monitor: Monitor, data: bytes) -> None:
        for start in range(0, len(data), _BYTES_PER_LINE):
            piece = data[start : start + _BYTES_PER_LINE]
            monitor.execute("; ".join(f"{self._name} WriteChar 0x{byte:02X}" for byte in piece))

    def read(self) -> bytes:
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._taken)
                data = stream.read()
        except FileNotFoundError:
            raise TargetError(
                f"expected Renode to write what {self._name} sends to {self._path}, got no file"
            ) from None
        self._taken += len(data)
        return data

    def close(self) -> None:
        pass


class PtyUart:
    """Requests and replies over a pseudo terminal that Renode makes in `folder`. `name` is the UART's."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path, self._name = folder / "uart", name
        self._fd: int | None = None

    def commands(self) -> list[str]:
        return [f'emulation CreateUartPtyTerminal "uart" "{self._path}"', f"connector Connect sysbus.{self._name} uart"]

    def write(self, monitor: Monitor, data: bytes) -> None:
        fd = self._open()
        while data:
            data = data[os.write(fd, data) :]

    def read(self) -> bytes:
        try:
            return os.read(self._open(), 65536)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
        self._fd = None

    def _open(self) -> int:
        if self._fd is None:
            try:
                self._fd = os.open(self._path, os.O_RDWR | os.O_NOCTTY)
                tty.setraw(self._fd)
                os.set_blocking(self._fd, False)
            except OSError as error:
                raise TargetError(f"expected a pseudo terminal at {self._path}, got: {error.strerror}") from None
        return self._fd


def monitor_path(path: Path) -> str:
    """A path as the monitor's language has it: after @, blanks escaped.

    Raises
    ------
    TargetError
        The path has a character that the language cannot say.
    """
    text = str(path.resolve())
    if any(character in text for character in ";\"'`\\\t\r\n"):
        raise TargetError(f"Renode cannot be told of {text!r}: move it to a path without ; \" ' ` \\ and control codes")
    return "@" + text.replace(" ", "\\ ")
