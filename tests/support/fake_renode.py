"""A stand-in for Renode that replays a real monitor session byte for byte (tests/golden/renode).

Commands of the recording get its bytes; commands of the same shape get the same bytes with their own words in them.
Behind the UART stands a loop-back, or, with FAKE_RENODE_MODEL, the device of `support.fake_dut` with that model.
FAKE_RENODE_MODE spoils something:
    slow        answers come late, in pieces of three bytes
    dies        ends with status 3 in the middle of the first `emulation RunFor`
    deaf        never answers `emulation RunFor`
    old         says it is 1.15.3
    stranger    does not know `version`
    uartless    does not know any UART
    promptless  shows no prompt, echoless: no echo, mute: no banner and no prompt until asked
    babbling    answers a command that nobody sent
    drifting    no two of them execute as many instructions
    halted, astray  the core stands still and the log has an error, runs somewhere else
    fast counter    the DWT counts at 180 MHz
    read-only   memory takes nothing
    logless     does not know `logFile`
Not a test: `install` writes a program `renode` that runs this file.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sys
import time
import tty
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
TRANSCRIPT = TESTS / "golden" / "renode" / "monitor-transcript.json"
NEGOTIATION_BYTES = 12
ERROR = "There was an error executing command '{command}'\r\n{reason}\r\n"
PROMPT = re.compile(rb"\((monitor|nucleo_\w+)\) $")


def recording() -> list[tuple[str, bytes]]:
    return [(sent, came.encode("latin-1")) for sent, came in json.loads(TRANSCRIPT.read_text("utf-8"))]


def install(folder: Path, *, as_child: bool = False) -> Path:
    """A program `renode` in a folder; some packages have a script there whose child is Renode."""
    program = folder / "renode"
    command = f'"{sys.executable}" "{Path(__file__).resolve()}" "$@"'
    script = f"{command}\nexit $?" if as_child else f"exec {command}"
    program.write_text(f'#!/bin/sh\nexport PYTHONPATH="{TESTS}:$PYTHONPATH"\n{script}\n')
    program.chmod(0o755)
    return program


class LoopBack:
    """Sends back what it gets, once time passes."""

    def __init__(self) -> None:
        self._bytes = b""

    def write(self, data: bytes) -> None:
        self._bytes += data

    def read(self, timeout_s: float) -> bytes:
        data, self._bytes = self._bytes, b""
        return data

    def reset(self) -> None:
        self._bytes = b""


def make_device() -> LoopBack:
    path = os.environ.get("FAKE_RENODE_MODEL")
    if not path:
        return LoopBack()
    from eishil.model import Model
    from support.fake_dut import FakeDevice

    return FakeDevice(Model.load(Path(path)), hello={"counter": 1})


class FakeRenode:
    """The monitor's side of one session."""

    def __init__(self, read_fd: int, write_fd: int, mode: str, telnet: bool) -> None:
        self._in, self._out, self._mode = read_fd, write_fd, mode
        self._recorded = {sent: came for sent, came in reversed(recording())}
        self._telnet = telnet
        self._prompt = b"(monitor) "
        self._device = make_device()
        self._memory: dict[int, int] = {}
        self._file = self._pty = None
        self._mips, self._elapsed_us = 100, 0

    def serve(self) -> None:
        banner = self._recorded["<connect>"]
        if self._mode != "mute":
            self._send(self._spoiled(banner if self._telnet else banner[NEGOTIATION_BYTES:]))
        pending = b""
        while data := os.read(self._in, 65536):
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                self._answer(line.decode())

    def _answer(self, command: str) -> None:
        if self._mode == "babbling" and command == "using sysbus":
            self._send(self._recorded["nonsense"].replace(b"(nucleo_f446re) ", b"(monitor) "))
            return
        if command.startswith("emulation RunFor") and self._mode == "dies":
            self._send(command.encode()[:8])
            print("Unhandled exception: this one dies on purpose", file=sys.stderr)
            self._leave(3)
        if command.startswith("emulation RunFor") and self._mode == "deaf":
            return
        if command == "quit":
            self._send(self._recorded["quit"])
            self._leave(0)
        # Side effects first: the prompt of the answer is the one afterwards.
        body = "".join(self._execute(part.strip()) for part in command.split(";"))
        recorded = self._recorded.get(command)
        computed = ("cpu ExecutedInstructions", "cpu IsHalted", "cpu PC", "sysbus Read", "sysbus LoadELF")
        if recorded is not None and not command.startswith(computed) and not body:
            self._send(self._spoiled(recorded))
        else:
            self._send(self._spoiled(command.encode() + b"\n\r" + body.encode() + self._prompt))

    def _execute(self, command: str) -> str:
        """Do it; what the monitor prints."""
        if command.startswith({"stranger": "version", "uartless": "usart"}.get(self._mode, "never")):
            return f"No such command or device: {command.split()[0]}\r\n"
        if found := re.fullmatch(r'mach create "(.+)"', command):
            self._prompt = f"({found[1]}) ".encode()
        elif found := re.fullmatch(r"machine LoadPlatformDescription @(.+)", command):
            return self._need_file(found[1], command, "Could not find file '{name}'.")
        elif found := re.fullmatch(r"sysbus LoadELF @(.+)", command):
            return self._need_file(found[1], command, "Parameters did not match the signature")
        elif found := re.fullmatch(r"usart\d CreateFileBackend @(\S+) true", command):
            self._file = Path(found[1]).open("xb", buffering=0)  # noqa: SIM115
        elif found := re.fullmatch(r'emulation CreateUartPtyTerminal "uart" "(.+)"', command):
            self._open_pty(found[1])
        elif found := re.fullmatch(r"usart\d WriteChar 0x([0-9A-F]{2})", command):
            self._device.write(bytes.fromhex(found[1]))
        elif found := re.fullmatch(r"cpu PerformanceInMips (\d+)", command):
            self._mips = int(found[1])
        elif found := re.fullmatch(r'emulation RunFor "(\d+\.\d+)"', command):
            self._run(float(found[1]))
        elif (found := re.fullmatch(r"logFile @(\S+) true", command)) and self._mode != "logless":
            Path(found[1]).write_text("12:00:00.0000 [ERROR] cpu: it hurts\n" if self._mode == "halted" else "")
        elif command == "machine Reset":
            self._device.reset()
        elif command == "cpu ExecutedInstructions":
            drift = os.getpid() if self._mode == "drifting" else 0
            return f"0x{max(0, self._elapsed_us * self._mips - drift):016X}\r\r\n"
        elif command == "cpu PC":
            return f"0x{0x24000000 if self._mode == 'astray' else 0x8000074:X}\r\r\n"
        elif command == "cpu IsHalted":
            return f"{self._mode == 'halted'}\r\r\n"
        elif command == "sysbus ReadDoubleWord 0xE0001004":
            rate = 180 if self._mode == "fast counter" else self._mips
            return f"0x{self._elapsed_us * rate % (1 << 32):08X}\r\r\n"
        elif found := re.fullmatch(r"sysbus ReadByte 0x([0-9A-F]+)", command):
            return f"0x{self._memory.get(int(found[1], 16), 0):02X}\r\r\n"
        elif found := re.fullmatch(r"sysbus WriteByte 0x([0-9A-F]+) 0x([0-9A-F]+)", command):
            if self._mode != "read-only":
                self._memory[int(found[1], 16)] = int(found[2], 16)
        elif command not in self._recorded:
            return f"No such command or device: {command.split()[0]}\r\n"
        return ""

    @staticmethod
    def _need_file(name: str, command: str, reason: str) -> str:
        name = name.replace("\\ ", " ")
        return "" if Path(name).is_file() else ERROR.format(command=command, reason=reason.format(name=name))

    def _open_pty(self, link: str) -> None:
        self._pty, device = os.openpty()
        tty.setraw(device)
        os.set_blocking(self._pty, False)
        Path(link).symlink_to(os.ttyname(device))

    def _run(self, duration_s: float) -> None:
        self._elapsed_us += round(duration_s * 1e6)
        if self._pty is not None:
            with contextlib.suppress(BlockingIOError):
                self._device.write(os.read(self._pty, 65536))
        data = self._device.read(0.0)
        if data and self._pty is not None:
            os.write(self._pty, data)
        elif data and self._file is not None:
            self._file.write(data)

    def _spoiled(self, answer: bytes) -> bytes:
        if self._mode == "old":
            answer = answer.replace(b"1.16.1", b"1.15.3")
        if self._mode in ("promptless", "mute"):
            answer = PROMPT.sub(b"", answer)
        if self._mode in ("echoless", "mute") and b"\n\r" in answer and not answer.startswith((b"\xff", b"Renode")):
            answer = answer.split(b"\n\r", 1)[1]
        return answer

    def _send(self, data: bytes) -> None:
        size = 3 if self._mode == "slow" else len(data)
        for start in range(0, len(data), size or 1):
            if self._mode == "slow":
                time.sleep(0.002)
            os.write(self._out, data[start : start + size])

    @staticmethod
    def _leave(status: int) -> None:
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    arguments, mode = sys.argv[1:], os.environ.get("FAKE_RENODE_MODE", "")
    assert {"--plain", "--hide-log", "--disable-gui", "--config"} <= set(arguments), arguments
    if "--console" in arguments:
        FakeRenode(0, 1, mode, telnet=False).serve()
        return
    with socket.create_server(("127.0.0.1", int(arguments[arguments.index("-P") + 1]))) as server:
        while True:  # a telnet monitor waits for the next client when one has gone
            line, _ = server.accept()
            with contextlib.suppress(ConnectionError):
                FakeRenode(line.fileno(), line.fileno(), mode, telnet=True).serve()


if __name__ == "__main__":
    main()
