"""A debugger's hand on an emulated board: just enough of GDB's remote protocol to break its registers."""

from __future__ import annotations

import socket
from pathlib import Path
from types import TracebackType
from typing import Self

TIMEOUT_s = 10.0
SP, PC = 13, 15


class Debugger:
    """Attached to QEMU's `-gdb unix:PATH,server=on,wait=off` inside a `with`; the machine stands still meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(TIMEOUT_s)
        self._socket.connect(str(self._path))
        assert self._receive().startswith(b"T"), "QEMU stops when a debugger comes, and says so"
        # QEMU takes single registers only from a debugger that has read their description.
        assert self.ask("qXfer:features:read:target.xml:0,ffb").startswith(b"l")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.ask("D") == b"OK"
        self._socket.close()

    def write_register(self, number: int, value: int) -> None:
        assert self.ask(f"P{number:x}={value.to_bytes(4, 'little').hex()}") == b"OK"

    def ask(self, command: str) -> bytes:
        """One packet `$text#checksum` there, one back."""
        self._socket.sendall(f"+${command}#{sum(command.encode()) % 256:02x}".encode())
        return self._receive()

    def _receive(self) -> bytes:
        answer = b""
        while b"#" not in answer[-3:-2]:
            answer += self._socket.recv(4096)
        self._socket.sendall(b"+")
        return answer[answer.index(b"$") + 1 : -3]
