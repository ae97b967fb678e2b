"""Targets that are processes of this machine, on the other end of a socket pair: no port, no path, no other user."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import tempfile
from abc import abstractmethod
from typing import IO

from eishil.errors import TargetDiedError, TargetError
from eishil.processes import die_with_parent
from eishil_bench.dut.base import DutBase, TargetSpec

_WRITE_TIMEOUT_s = 10.0
_STOP_TIMEOUT_s = 5.0
_CHUNK_bytes = 65536
_LAST_WORDS_bytes = 65536
_SANITIZER, _DEFECT = "SUMMARY:", "runtime error:"  # AddressSanitizer and UndefinedBehaviorSanitizer


class ProcessDut(DutBase):
    """Starts a command whose line is one end of a socket pair.

    A subclass gives `_command(line)`, with `line` the file descriptor that the process inherits. The process dies with
    the bench, however the bench ends (Linux; elsewhere it is only stopped by `stop`).
    """

    def __init__(self, spec: TargetSpec) -> None:
        super().__init__(spec)
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._stderr: IO[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process; TargetError when it does not run."""
        self._line()
        assert self._process is not None
        return self._process.pid

    @abstractmethod
    def _command(self, line: int) -> list[str]: ...

    def _on_standard_streams(self) -> bool:
        """Whether the process expects the line as its standard input and output."""
        return False

    def start(self) -> None:
        if self._process is not None:
            raise TargetError(f"target {self.name} is running already")
        self._socket, theirs = socket.socketpair()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        with theirs:
            try:
                self._process = self._launch(theirs.fileno(), self._stderr)
            except BaseException:
                self.stop()
                raise

    def _launch(self, line: int, stderr: IO[bytes]) -> subprocess.Popen[bytes]:
        command = self._command(line)
        standard = line if self._on_standard_streams() else subprocess.DEVNULL
        try:
            return subprocess.Popen(
                command,
                stdin=standard,
                stdout=standard,
                stderr=stderr,
                pass_fds=(line,),
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )
        except OSError as error:
            raise TargetError(f"target {self.name}: cannot start {command[0]}: {error.strerror}") from None

    def stop(self) -> None:
        process, self._process = self._process, None
        for stream in (self._socket, self._stderr):
            if stream is not None:
                stream.close()
        self._socket = self._stderr = None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_STOP_TIMEOUT_s)

    def write(self, data: bytes) -> None:
        line = self._line()
        line.settimeout(_WRITE_TIMEOUT_s)
        try:
            line.sendall(data)
        except TimeoutError:
            raise TargetError(f"target {self.name} has taken no byte for {_WRITE_TIMEOUT_s:g} s") from None
        except OSError:
            raise self._died() from None

    def read(self, timeout_s: float) -> bytes:
        line = self._line()
        readable, _, _ = select.select([line], [], [], max(timeout_s, 0.0))
        if not readable:
            return b""
        try:
            data = line.recv(_CHUNK_bytes)
        except OSError:
            data = b""
        if not data:
            raise self._died()
        return data

    def _line(self) -> socket.socket:
        if self._socket is None or self._process is None:
            raise TargetError(f"target {self.name} is not running")
        return self._socket

    def _died(self) -> TargetError:
        assert self._process is not None and self._stderr is not None
        try:
            code = self._process.wait(_STOP_TIMEOUT_s)
        except subprocess.TimeoutExpired:
            return TargetError(f"target {self.name} closed its line and runs on; start it again")
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        words = self._last_words()
        # What a sanitizer found is a defect that no second attempt mends.
        kind = TargetError if words.startswith(_SANITIZER) or _DEFECT in words else TargetDiedError
        return kind(f"target {self.name} {how}: {words}")

    def _last_words(self) -> str:
        """The line of standard error that says most: a sanitizer's or QEMU's verdict, else the last one."""
        assert self._stderr is not None
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - _LAST_WORDS_bytes))
        lines = [line.strip() for line in self._stderr.read().decode("utf-8", "replace").splitlines() if line.strip()]
        verdicts = [line for line in lines if _DEFECT in line or line.startswith((_SANITIZER, "qemu"))]
        return (verdicts or lines or ["it said nothing"])[-1]
