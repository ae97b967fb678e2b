"""The monitor's driver against a real session, replayed byte for byte over pipes and over a socket."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from eishil_bench.dut import renode_monitor
from eishil_bench.dut.renode_monitor import Channel, ChannelClosedError, Monitor, MonitorError
from support.fake_renode import NEGOTIATION_BYTES, recording

# What a human reads off the recording.
ANSWERS = {
    "version": "Renode, version 1.16.1 (d66b0c2a)",
    "cpu PC": "0x8000074",
    "sysbus ReadDoubleWord 0xE0001004": "0x00895440",
    "cpu IsHalted": "False",
}
REFUSALS = {
    "machine LoadPlatformDescription @missing.repl": "Could not find file 'missing.repl'",
    "connector Connect sysbus.usart9 uart": "Parameters did not match the signature",
    "sysbus LoadELF @nope.elf": "Parameters did not match the signature",
    "nonsense": "No such command or device: nonsense",
}


class Replay:
    """The recording's other end: checks what is sent and answers with what came."""

    def __init__(self, session: list[tuple[str, bytes]], send: Callable[[bytes], None], line: socket.socket) -> None:
        self.problems: list[str] = []
        self._session, self._send, self._line = session, send, line
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        pending = b""
        for sent, came in self._session:
            if sent == "<exit>":
                break
            while sent != "<connect>" and b"\n" not in pending:
                data = self._line.recv(4096)
                if not data:
                    return
                pending += data
            if sent != "<connect>":
                line, _, pending = pending.partition(b"\n")
                if line.decode() != sent:
                    self.problems.append(f"{line!r} where {sent!r} was recorded")
                    break
            self._send(came)
        self._line.close()


@contextmanager
def conversation(
    session: list[tuple[str, bytes]], send: Callable[[socket.socket, bytes], None] = socket.socket.sendall
) -> Iterator[tuple[Monitor, Replay]]:
    ours, theirs = socket.socketpair()
    replay = Replay(session, lambda data: send(theirs, data), theirs)
    channel = Channel(ours.fileno(), ours.fileno(), ours.close)
    try:
        yield Monitor(channel, "target renode", "nucleo_f446re", start_silence_s=1.0), replay
    finally:
        ours.close()


def in_pieces(line: socket.socket, data: bytes) -> None:
    for byte in data:
        line.sendall(bytes([byte]))


def without_negotiation(session: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    (connect, banner), *rest = session
    assert connect == "<connect>"
    assert banner[NEGOTIATION_BYTES:].startswith(b"Renode")
    return [(connect, banner[NEGOTIATION_BYTES:]), *rest]


@pytest.mark.parametrize("send", [socket.socket.sendall, in_pieces], ids=["whole", "in pieces"])
@pytest.mark.parametrize("prepare", [list, without_negotiation], ids=["telnet", "pipe"])
def test_every_recorded_command_gets_its_answer(send, prepare) -> None:
    session = prepare(recording())
    with conversation(session, send) as (monitor, replay):
        assert monitor.greet() == (1, 16, 1)
        counts = []
        for command, _ in session[2:-2]:
            if command in REFUSALS:
                with pytest.raises(MonitorError) as refusal:
                    monitor.execute(command)
                assert str(refusal.value).startswith(f"target renode: the monitor command '{command}' failed: ")
                assert REFUSALS[command] in str(refusal.value)
                assert "\n" not in str(refusal.value)
            elif command == "cpu ExecutedInstructions":
                counts.append(int(monitor.execute(command), 16))
            else:
                assert monitor.execute(command) == ANSWERS.get(command, "")
        # 0.05 s and 0.01 s of virtual time at 100 MIPS.
        assert counts == [5_000_000, 6_000_000]
        monitor.quit(5.0)
    assert replay.problems == []


def answering(*exchanges: tuple[str, bytes]) -> list[tuple[str, bytes]]:
    return [*recording()[:2], *exchanges]


def test_answer_out_of_step_is_noticed() -> None:
    other = dict(recording())["cpu PC"].replace(b"nucleo_f446re", b"monitor")
    with conversation(answering(("cpu IsHalted", other))) as (monitor, _):
        monitor.greet()
        with pytest.raises(MonitorError, match=r"out of step: expected the echo of 'cpu IsHalted', got 'cpu PC.*74"):
            monitor.execute("cpu IsHalted")


def test_end_in_the_middle_of_a_command() -> None:
    with conversation(answering(("cpu PC", b"cpu P"))) as (monitor, _):
        monitor.greet()
        with pytest.raises(MonitorError, match=r"ended while its monitor executed 'cpu PC'; it last said 'cpu P'"):
            monitor.execute("cpu PC")


def test_answer_without_its_prompt_is_waited_for_and_quoted() -> None:
    with conversation([*answering(("cpu PC", b"cpu PC\n\r0x8")), ("never", b"")]) as (monitor, _):
        monitor.greet()
        with pytest.raises(MonitorError, match=r"'cpu PC' was not answered within 0.3 s: expected the prompt .*0x8"):
            monitor.execute("cpu PC", patience_s=0.3)


def test_line_that_the_monitor_cannot_read() -> None:
    """Text from Renode's Monitor.cs; not in the recording."""
    answer = b"cpu %\n\rCould not tokenize here:\r\ncpu %\r\n    ^\r\n(monitor) "
    with conversation(answering(("cpu %", answer))) as (monitor, _):
        monitor.greet()
        with pytest.raises(MonitorError, match="'cpu %' failed: Could not tokenize here:"):
            monitor.execute("cpu %")


def test_something_else_that_listens_is_no_renode() -> None:
    session = [("<connect>", b"220 ready\r\n"), ("version", b"500 what?\r\n"), ("never", b"")]
    sentence = r"expected 'Renode, version ...' from its monitor, got '500 what"
    with conversation(session) as (monitor, _), pytest.raises(MonitorError, match=sentence):
        monitor.greet()


@pytest.mark.parametrize("echo", [True, False])
def test_monitor_without_prompts(echo: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the answer of `version` ends the one before."""
    monkeypatch.setattr(renode_monitor, "SILENCE_s", 0.2)
    version = b"Renode, version 1.16.1 (d66b0c2a)\r\n\r"

    def said(command: bytes, answer: bytes) -> bytes:
        return (command + b"\n\r" if echo else b"") + answer

    session = [
        ("<connect>", b""),
        ("version", said(b"version", version)),
        ("cpu PC", said(b"cpu PC", b"0x8000074\r\r\n")),
        ("version", said(b"version", version)),
        ("nonsense", said(b"nonsense", b"No such command or device: nonsense\r\n")),
        ("version", said(b"version", version)),
        ("never", b""),
    ]
    with conversation(session) as (monitor, replay):
        assert monitor.greet() == (1, 16, 1)
        assert monitor.execute("cpu PC") == "0x8000074"
        with pytest.raises(MonitorError, match="'nonsense' failed: No such command or device: nonsense"):
            monitor.execute("nonsense")
    assert replay.problems == []


def test_late_banner_is_not_taken_for_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Renode that starts slower than the patience has its banner and prompt in front of the first answer."""
    monkeypatch.setattr(renode_monitor, "SILENCE_s", 0.5)
    session = without_negotiation(recording())[:2]
    pc = ("cpu PC", b"cpu PC\n\r0x8000074\r\r\n(monitor) ")

    def late(line: socket.socket, data: bytes) -> None:
        time.sleep(0.3)
        line.sendall(data)

    with conversation([*session, pc, ("never", b"")], late) as (monitor, _):
        monitor._start_silence_s = 0.1
        assert monitor.greet() == (1, 16, 1)
        assert monitor.execute("cpu PC") == "0x8000074"


def test_channel_over_pipes() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cat:
        assert cat.stdin is not None and cat.stdout is not None
        channel = Channel(cat.stdout.fileno(), cat.stdin.fileno(), lambda: None)
        channel.write(b"hello", 5.0)
        assert channel.read(5.0) == b"hello"
        assert channel.read(0.0) == b""
        cat.kill()
        cat.wait(5.0)
        with pytest.raises(ChannelClosedError):
            channel.read(5.0)
        with pytest.raises(ChannelClosedError):
            channel.write(b"x", 1.0)


def test_channel_that_nobody_reads() -> None:
    read_fd, write_fd = os.pipe()
    channel = Channel(read_fd, write_fd, lambda: None)
    with pytest.raises(ChannelClosedError):
        channel.write(bytes(1 << 20), 0.1)
    os.close(read_fd)
    os.close(write_fd)
