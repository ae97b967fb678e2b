"""Renode as a process of its own: found, started, and never left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from eishil.errors import TargetError, ToolError
from eishil.processes import die_with_parent
from eishil_bench.dut.renode_monitor import Channel

PROGRAM = "renode"
OLDEST = (1, 16)
INSTALL = (
    "install Renode 1.16 or newer: the portable tarball from github.com/renode/renode/releases, its package, or the "
    "docker image antmicro/renode; then put it on PATH as `renode`, or name it in RENODE"
)
_CONNECT_PATIENCE_s = 60.0
_CONNECT_PAUSE_s = 0.05
_STOP_PATIENCE_s = 5.0
_LEAVING_s = 0.2
_LAST_WORDS_bytes = 4096
_WARDEN = ["/bin/sh", "-c", 'read -r _; kill -s KILL -- "-$1"', "warden"]


def find_renode() -> Path:
    """The program that RENODE names, else the one on PATH; ToolError where there is none."""
    named = os.environ.get("RENODE")
    found = shutil.which(named or PROGRAM)
    if found is None and named:
        raise ToolError(f"RENODE is {named!r}, which is no program; {INSTALL}")
    if found is None:
        raise ToolError(f"target renode: {PROGRAM} is not on PATH; {INSTALL}")
    return Path(found).resolve()


class RenodeProcess:
    """One Renode with a folder of its own, which holds its configuration and temporary files and goes with it.

    It dies with the bench, however the bench ends, and so do its children where the program is a script that starts
    Renode: a warden waits for the bench's end of a pipe to close, and kills the whole process group.
    """

    def __init__(self, who: str) -> None:
        self._who = who
        self.folder = Path(tempfile.mkdtemp(prefix="eishil-renode-"))
        self._output = (self.folder / "output.txt").open("w+b")
        self._process: subprocess.Popen[bytes] | None = None
        self._warden: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None

    def open_stdin(self) -> Channel:
        """Start with the monitor on standard input and output: no port is opened."""
        process = self._launch(["--console"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None and process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def close() -> None:
            for stream in (stdin, stdout):
                with contextlib.suppress(OSError):
                    stream.close()

        self._channel = Channel(stdout.fileno(), stdin.fileno(), close)
        return self._channel

    def open_socket(self) -> Channel:
        """Start with the telnet monitor on a free port. Renode binds it to every network interface."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._launch(["-P", str(port)], stdin=subprocess.DEVNULL, stdout=self._output.fileno())
        line = self._connect(port)
        self._channel = Channel(line.fileno(), line.fileno(), line.close)
        return self._channel

    def stop(self) -> None:
        """End it and all that it started, and remove its folder."""
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._warden is not None:  # before the number of its group can go to somebody else
            self._warden.kill()
            self._warden.wait(_STOP_PATIENCE_s)
            assert self._warden.stdin is not None
            self._warden.stdin.close()
        if self._process is not None:
            self._process.wait(_STOP_PATIENCE_s)
        self._process = self._warden = self._channel = None
        self._output.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ended(self) -> bool:
        """Whether the process is gone; one that has just closed its pipes gets a moment to go."""
        if self._process is None:
            return False
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVING_s)
        return self._process.poll() is not None

    def epitaph(self) -> str:
        """How it ended and what it last said, for a sentence; that it runs, where it does."""
        assert self._process is not None
        code = self._process.poll()
        if code is None:
            return "a process that runs and does not listen"
        self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, self._output.tell() - _LAST_WORDS_bytes))
        words = self._output.read().decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(words) if line.strip()), "nothing on standard error")
        how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"{how}, {last}"

    def _launch(self, monitor: list[str], stdin: int, stdout: int) -> subprocess.Popen[bytes]:
        config = self.folder / "config"
        command = [str(find_renode()), "--plain", "--hide-log", "--disable-gui", "--config", str(config), *monitor]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=stdin,
                stdout=stdout,
                stderr=self._output.fileno(),
                env=os.environ | {"TMPDIR": str(self.folder), "TERM": "dumb"},
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )
            warden = [*_WARDEN, str(self._process.pid)]
            self._warden = subprocess.Popen(warden, stdin=subprocess.PIPE, start_new_session=True)
        except OSError as error:
            raise TargetError(f"{self._who}: cannot start {command[0]}: {error.strerror}") from None
        return self._process

    def _connect(self, port: int) -> socket.socket:
        assert self._process is not None
        deadline = time.monotonic() + _CONNECT_PATIENCE_s
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_PATIENCE_s)
            except OSError:
                time.sleep(_CONNECT_PAUSE_s)
        raise TargetError(
            f"{self._who}: expected its monitor on port {port} within {_CONNECT_PATIENCE_s:g} s, got {self.epitaph()}"
        )
