"""A client of the protocol that knows docs/protocol.md and nothing else of this repository."""

from __future__ import annotations

import re
import struct
import time
import zlib
from pathlib import Path

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
CODES = {"uint8": "B", "uint16": "H", "uint32": "I", "int32": "i", "float32": "f"}
DEADLINE_s = 20.0


def table(name: str) -> list[tuple[str, str, str]]:
    """Field, type and length of a message, in order."""
    section = PAGE.split(f"### {name}\n" if name == "header" else f"### {name} `")[1].split("\n#")[0]
    return re.findall(r"^\| `(\w+)` \| (\w+) \| (\w+) \|", section, re.MULTILINE)


def code(name: str) -> int:
    return int(re.search(rf"^### {name} `(0x..)`", PAGE, re.MULTILINE)[1], 16)


def encode(data: bytes) -> bytes:
    """COBS: every run of up to 254 bytes without a zero behind its length plus one; 0x00 at the end of the frame."""
    runs = [run[i : i + 254] for run in data.split(b"\0") for i in range(0, len(run) or 1, 254)]
    return b"".join(bytes([len(run) + 1]) + run for run in runs) + b"\0"


def decode(body: bytes) -> bytes:
    out, position = b"", 0
    while position < len(body):
        length = body[position]
        out += body[position + 1 : position + length] + (b"\0" if length < 255 else b"")
        position += length
    return out[:-1] if body and length < 255 else out


class PageClient:
    def __init__(self, line, session: int) -> None:
        self.line, self.session, self.epoch, self.sequence, self.pending = line, session, 0, 0, b""
        self.sizes: dict[str, int] = {}

    def _format(self, name: str) -> str:
        return "<" + "".join(f"{self.sizes.get(n) or int(n)}{CODES[kind]}" for _, kind, n in table(name))

    def ask(self, name: str, *values) -> dict[str, object]:
        """Send one request, again and again until it is answered, and give its reply's fields."""
        header = struct.pack(self._format("header"), code(f"{name}_request"), self.epoch, self.sequence, self.session)
        payload = header + struct.pack(self._format(f"{name}_request"), *values)
        frame = b"\0" + encode(payload + struct.pack("<I", zlib.crc32(payload)))
        self.sequence, end = (self.sequence + 1) % 0x10000, time.monotonic() + DEADLINE_s
        while time.monotonic() < end:
            self.line.write(frame)
            for reply in self._frames(until=time.monotonic() + 0.5):
                if reply[0] == code(f"{name}_reply") and reply[2:8] == header[2:8]:
                    return self._fields(f"{name}_reply", reply[8:])
        raise AssertionError(f"no reply to {name}")

    def _frames(self, until: float):
        while time.monotonic() < until:
            *whole, self.pending = (self.pending + self.line.read(0.05)).split(b"\0")
            for body in filter(None, whole):
                data = decode(body)
                if data[-4:] == struct.pack("<I", zlib.crc32(data[:-4])):
                    yield data[:-4]

    def _fields(self, name: str, body: bytes) -> dict[str, object]:
        values, found = list(struct.unpack(self._format(name), body)), {}
        for field, _, length in table(name):
            n = self.sizes.get(length) or int(length)
            found[field], values = values[0] if length == "1" else values[:n], values[n:]
        return found

    def hello(self) -> dict[str, object]:
        reply = self.ask("hello", int(re.search(r"^Protocol version (\d+)", PAGE, re.MULTILINE)[1]))
        n, frequencies, inputs = (int(reply[name]) for name in ("n_states", "n_frequencies", "n_inputs"))
        self.epoch = int(reply["sessions"]) & 0xFF
        self.sizes = {"n_states": n, "n_frequencies": frequencies, "n_inputs": inputs, "n_covariance": n * (n + 1) // 2}
        self.sizes |= {"n_readouts": int(reply["n_readouts"]), "n_observations": 2 * frequencies}
        self.sizes["n_jacobian"] = self.sizes["n_observations"] * inputs
        return reply
