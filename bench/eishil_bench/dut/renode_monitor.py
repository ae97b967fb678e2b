"""Renode's monitor: one command at a time, its answer, and its errors as one sentence.

The exit status of Renode is 0 whatever happened, so that errors are told by their text. What the monitor sends was
measured on 1.16.1 over telnet (tests/golden/renode): telnet negotiation first, each command echoed, line ends in any
order of CR and LF, and after every answer a prompt, `(monitor) ` or `(name of the machine) `. Over standard input the
same shell is at work; should it show no prompt there, every command is followed by `version`, whose answer then ends
the one before.
"""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Callable

from eishil.errors import TargetDiedError, TargetError

START_PATIENCE_s = 60.0
COMMAND_PATIENCE_s = 60.0
# Without a prompt, silence tells that an answer is whole; a cold start of Renode is silent for a second or two.
START_SILENCE_s = 10.0
SILENCE_s = 1.0
_CHUNK_bytes = 65536
_TAIL_characters = 300

_TELNET = re.compile(rb"\xff(?:[\xfb-\xfe].|[^\xfb-\xfe])", re.DOTALL)
_STEERING = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[=>])|\ufeff")
_VERSION = re.compile(r"Renode, version (\d+)\.(\d+)(?:\.(\d+))?[^\r\n]*[\r\n]")
_EXECUTING = "There was an error executing command"
_FAILURE = re.compile(
    rf"{_EXECUTING}|No such command or device|Could not find file|Parameters did not match the signature"
    r"|Could not tokenize here|No such variable|Failed to download|Errors during compilation"
    r"|^Command \S+ failed, returning",
    re.MULTILINE,
)
_NEVER = re.compile(r"(?!)")


class MonitorError(TargetError):
    """The monitor refused a command, did not answer, or is gone. The sentence has the command and what came."""


class RenodeDiedError(MonitorError, TargetDiedError):
    """The monitor is gone with the process that it was of."""


class ChannelClosedError(Exception):
    """The other end is gone."""


class Channel:
    """Bytes to and from the monitor, over pipes or a socket.

    Parameters
    ----------
    close
        Closes both descriptors.
    """

    def __init__(self, read_fd: int, write_fd: int, close: Callable[[], None]) -> None:
        self._read_fd, self._write_fd, self.close = read_fd, write_fd, close
        os.set_blocking(write_fd, False)

    def write(self, data: bytes, patience_s: float) -> None:
        """Send all bytes; ChannelClosedError where they are not taken in time."""
        deadline = time.monotonic() + patience_s
        while data:
            _, writable, _ = select.select([], [self._write_fd], [], max(0.0, deadline - time.monotonic()))
            if not writable:
                raise ChannelClosedError
            try:
                data = data[os.write(self._write_fd, data) :]
            except OSError:
                raise ChannelClosedError from None

    def read(self, timeout_s: float) -> bytes:
        """What is there; b"" after the timeout; ChannelClosedError at the end."""
        readable, _, _ = select.select([self._read_fd], [], [], max(0.0, timeout_s))
        if not readable:
            return b""
        try:
            data = os.read(self._read_fd, _CHUNK_bytes)
        except OSError:
            data = b""
        if not data:
            raise ChannelClosedError
        return data


class Monitor:
    """A conversation with the monitor of one Renode.

    Parameters
    ----------
    who
        How sentences begin: the target.
    machine
        Name that the machine is going to have; it becomes the prompt.
    start_silence_s
        How long Renode may say nothing before it is asked for its version without a prompt.
    """

    def __init__(self, channel: Channel, who: str, machine: str, *, start_silence_s: float = START_SILENCE_s) -> None:
        self._channel, self._who, self._machine = channel, who, machine
        self._prompt = re.compile(rf"(?:^|[\r\n])\((?:monitor|{re.escape(machine)})\) \Z")
        self._start_silence_s = start_silence_s
        self.echoes = self.prompts = False  # until greeted

    def greet(self) -> tuple[int, int, int]:
        """Wait for the monitor and find out how it talks; its version.

        Raises
        ------
        MonitorError
            It is not there in time, or this is no Renode.
        """
        opening = self._collect("start", self._prompt, START_PATIENCE_s, self._start_silence_s)
        self._send("version", START_PATIENCE_s)
        if self._prompt.search(opening):
            text = self._collect("version", self._prompt, START_PATIENCE_s, START_PATIENCE_s)
        else:
            # What comes first may be a late banner and its prompt, with the answer still on its way.
            text = self._collect("version", _VERSION, START_PATIENCE_s, 3 * self._start_silence_s)
            text += self._collect("version", _NEVER, START_PATIENCE_s, SILENCE_s)
        found = _VERSION.search(text)
        if found is None:
            raise MonitorError(f"{self._who}: expected 'Renode, version ...' from its monitor, got {_tail(text)}")
        self.prompts = self._prompt.search(text) is not None
        self.echoes = _after_echo(text, "version") is not None
        major, minor, patch = found.groups(default="0")
        return int(major), int(minor), int(patch)

    def execute(self, command: str, patience_s: float = COMMAND_PATIENCE_s) -> str:
        """The answer to one line of commands, without echo and prompt; "" where there is none.

        Raises
        ------
        MonitorError
            The monitor refused it, did not answer in time, or ended; the sentence has the command.
        """
        end = self._prompt if self.prompts else _VERSION_AT_END
        self._send(command if self.prompts else f"{command}\nversion", patience_s)
        text = self._collect(command, end, patience_s, patience_s)
        found = end.search(text)
        if found is None:
            wanted = f"the prompt ({self._machine})" if self.prompts else "the answer of version"
            raise MonitorError(
                f"{self._who}: the monitor command {_short(command)} was not answered within {patience_s:g} s: "
                f"expected {wanted}, got {_tail(text)}"
            )
        answer = self._body(text[: found.start()], command)
        if _FAILURE.search(answer):
            raise MonitorError(f"{self._who}: the monitor command {_short(command)} failed: {_reason(answer)}")
        return answer

    def quit(self, patience_s: float) -> None:
        """Ask Renode to end, and wait for that."""
        try:
            self._channel.write(b"quit\n", patience_s)
            deadline = time.monotonic() + patience_s
            while time.monotonic() < deadline:
                self._channel.read(deadline - time.monotonic())
        except ChannelClosedError:
            pass

    def _send(self, line: str, patience_s: float) -> None:
        try:
            self._channel.write(line.encode() + b"\n", patience_s)
        except ChannelClosedError:
            raise MonitorError(
                f"{self._who}: its monitor takes no commands any more; {_short(line)} was lost"
            ) from None

    def _collect(self, command: str, end: re.Pattern[str], patience_s: float, silence_s: float) -> str:
        """Text until `end` matches, silence, or impatience."""
        raw = bytearray()
        deadline = time.monotonic() + patience_s
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                data = self._channel.read(min(left_s, silence_s))
            except ChannelClosedError:
                raise MonitorError(
                    f"{self._who} ended while its monitor executed {_short(command)}; it last said {_tail(_plain(raw))}"
                ) from None
            raw += data
            text = _plain(raw)
            if end.search(text) or not data:
                return text
        return _plain(raw)

    def _body(self, text: str, command: str) -> str:
        body = _after_echo(text, command)
        if body is None:
            if self.echoes:
                raise MonitorError(
                    f"{self._who}: its monitor is out of step: "
                    f"expected the echo of {_short(command)}, got {_tail(text)}"
                )
            body = text
        lines = [line.strip() for line in re.split(r"[\r\n]+", body)]
        if not self.prompts and lines and lines[-1] == "":
            lines.pop()
        if not self.prompts and lines and lines[-1].endswith("version"):
            lines.pop()  # the echo of the sentinel
        return "\n".join(line for line in lines if line)


_VERSION_AT_END = re.compile(_VERSION.pattern + r"[\r\n]*\Z")


def _plain(raw: bytes | bytearray) -> str:
    """Text without telnet negotiation and steering codes; an unfinished code at the end stays."""
    return _STEERING.sub("", _TELNET.sub(b"", bytes(raw)).decode("utf-8", "replace"))


def _after_echo(text: str, command: str) -> str | None:
    """What follows the echo of a command, None where there is no echo. Blanks and line ends do not count."""
    wanted = re.sub(r"\s+", "", command)
    at = 0
    for position, character in enumerate(text):
        if at == len(wanted):
            return text[position:]
        if character.isspace():
            continue
        if character != wanted[at]:
            return None
        at += 1
    return "" if at == len(wanted) else None


def _reason(answer: str) -> str:
    """The lines that say why, as one."""
    lines = answer.split("\n")
    first = next(i for i, line in enumerate(lines) if _FAILURE.search(line))
    if lines[first].startswith(_EXECUTING) and lines[first + 1 :]:
        first += 1
    return " / ".join(lines[first : first + 4]).rstrip(".")


def _short(command: str) -> str:
    """A command in a sentence."""
    first = command.split("\n", 1)[0]
    return f"'{first}'" if len(first) <= 120 else f"'{first[:117]}...'"


def _tail(text: str) -> str:
    return repr(text[-_TAIL_characters:]) if text.strip() else "nothing"
