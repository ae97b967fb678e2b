"""Raw frames to and from a device, without the bench's link: what is sent may be wrong on purpose."""

from __future__ import annotations

import struct
import time
import zlib
from typing import Any

import numpy as np
from cobs import cobs

from eishil import wire
from eishil.model import Model
from eishil_bench.dut import Dut

DEADLINE_s = 20.0
HELLO_PATIENCE_s = 0.2


def frame(payload: bytes) -> bytes:
    return cobs.encode(payload + struct.pack("<I", zlib.crc32(payload))) + b"\0"


def message_of(payload: bytes) -> wire.Message:
    """Which message a payload is."""
    return next(message for message in wire.MESSAGES if message.code == payload[0])


class Line:
    """One device and the model it carries."""

    def __init__(self, dut: Dut, model: Model) -> None:
        self.dut = dut
        self.model = model
        self.sizes = model.dimensions()
        self._pending = b""
        self.session = 0x5E550000
        self.epoch = 0

    def request(self, name: str, sequence: int, **fields: Any) -> bytes:
        """Payload of a request."""
        message = wire.BY_NAME[f"{name}_request"]
        body = np.zeros((), wire.dtype(message, self.sizes))
        for field, value in fields.items():
            body[field] = value
        return struct.pack("<BBHI", message.code, self.epoch, sequence, self.session) + body.tobytes()

    def step(self, sequence: int, *, name: str = "step", **changes: Any) -> bytes:
        """Payload of a plausible spectrum."""
        n = self.model.n_frequencies
        fields = {"voltage_V": 3.7, "temperature_degC": 25.0, "valid_mask": (1 << n) - 1}
        fields |= {"z_real_ohm": np.full(n, 0.03), "z_imag_ohm": np.full(n, -0.005)}
        return self.request(name, sequence, **(fields | changes))

    def receive(self, deadline_s: float = DEADLINE_s) -> bytes:
        """The next frame's payload; the frame has to be right. AssertionError at the deadline."""
        end = time.monotonic() + deadline_s
        while b"\0" not in self._pending:
            assert time.monotonic() < end, f"{self.dut.name} sent no whole frame: {self._pending!r}"
            self._pending += self.dut.read(0.05)
        encoded, _, self._pending = self._pending.partition(b"\0")
        plain = cobs.decode(encoded)
        payload, crc = plain[:-4], plain[-4:]
        assert struct.unpack("<I", crc)[0] == zlib.crc32(payload)
        return payload

    def answer(self, payload: bytes) -> bytes:
        """The reply to a well-formed frame."""
        self.dut.write(frame(payload))
        return self.receive()

    def exchange(self, payload: bytes) -> np.void:
        """The body of the reply to a well-formed frame."""
        return self.body(self.answer(payload), payload)

    def body(self, reply: bytes, payload: bytes, check: bool = True) -> np.void:
        assert not check or reply[2:8] == payload[2:8], "sequence number and session are the request's"
        return np.frombuffer(reply[8:], wire.dtype(message_of(reply), self.sizes))[0]

    def hello(self, sequence: int = 0) -> np.void:
        """Open a session, whose next request is `sequence` + 1; ask until the device listens: earlier bytes are lost.

        Every attempt is a session of its own. Replies come in order, so that none is left on the line when the last
        attempt is answered, however slow this machine is.
        """
        end = time.monotonic() + DEADLINE_s
        while time.monotonic() < end:
            self.epoch, self.session = 0, self.session + 1
            payload = self.request("hello", sequence, protocol_version=wire.PROTOCOL_VERSION)
            self.dut.write(b"\0" + frame(payload))
            while self.await_bytes(HELLO_PATIENCE_s):
                reply = self.receive()
                if reply[2:8] == payload[2:8]:
                    self.epoch = reply[1]
                    return self.body(reply, payload)
        raise AssertionError(f"{self.dut.name} did not answer hello")

    def await_bytes(self, timeout_s: float) -> bool:
        self._pending += self.dut.read(timeout_s)
        return bool(self._pending)

    def status(self, sequence: int) -> dict[str, int]:
        reply = self.exchange(self.request("status", sequence))
        return {name: int(reply[name]) for name in reply.dtype.names}
