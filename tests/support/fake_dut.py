"""A device in Python, with the protocol as docs describe it, and lines that damage what passes.

It shares no code with the bench's link: frames are made and taken apart here once more.
"""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable

import numpy as np
from cobs import cobs

from eishil import wire
from eishil.filters.ekf import Ekf
from eishil.filters.step import StepInput
from eishil.model import Model
from eishil.network.integer import IntegerReference

BUILD_ID = bytes.fromhex("00112233deadbeef")
Corruption = Callable[[bytes], list[bytes]]


def frame(payload: bytes) -> bytes:
    return cobs.encode(payload + struct.pack("<I", zlib.crc32(payload))) + b"\0"


def faithful(data: bytes) -> list[bytes]:
    return [data]


class BadLine:
    """Loses, damages and repeats whole writes, each with a probability of its own; the same for the same seed."""

    def __init__(self, seed: int, *, lose: float = 0.0, damage: float = 0.0, repeat: float = 0.0) -> None:
        self._rng = np.random.default_rng(seed)
        self._lose, self._damage, self._repeat = lose, damage, repeat

    def __call__(self, data: bytes) -> list[bytes]:
        lost, damaged, repeated = self._rng.random(3) < (self._lose, self._damage, self._repeat)
        if lost:
            return []
        if damaged:
            spoiled = bytearray(data)
            spoiled[int(self._rng.integers(len(data)))] ^= int(self._rng.integers(1, 256))
            data = bytes(spoiled)
        return [data, data] if repeated else [data]


class FakeDevice:
    """Answers as the firmware does, with the host's float64 filter and integer network behind it.

    `to_device` and `to_host` are the two directions of the line. `hello` replaces fields of the hello reply.
    """

    name = "fake"
    kind = "native"

    def __init__(
        self,
        model: Model,
        *,
        to_device: Corruption = faithful,
        to_host: Corruption = faithful,
        hello: dict[str, object] | None = None,
    ) -> None:
        self.model = model
        self.integers = IntegerReference(model.network)
        self.sizes = model.dimensions()
        self.hello = hello or {}
        self.fault = {"fault": 0, "fault_count": 0, "fault_address": 0}
        self._to_device, self._to_host = to_device, to_host
        self.resets = self.applied = self.crc_errors = self.frames = 0
        self.reset()

    def reset(self) -> None:
        self.resets += 1
        self.ekf: Ekf | None = None
        self.steps = 0
        self.received, self.outgoing = bytearray(), bytearray()
        self._cached_request, self._cached_reply = b"", b""

    def write(self, data: bytes) -> None:
        for piece in self._to_device(data):
            self.received += piece
        while b"\0" in self.received:
            body, _, rest = self.received.partition(b"\0")
            self.received = bytearray(rest)
            payload = self._take_apart(bytes(body))
            if payload is not None:
                for piece in self._to_host(frame(self._answer(payload))):
                    self.outgoing += piece

    def read(self, timeout_s: float) -> bytes:
        if not self.outgoing:
            time.sleep(min(timeout_s, 0.001))
        data, self.outgoing = bytes(self.outgoing), bytearray()
        return data

    def _take_apart(self, body: bytes) -> bytes | None:
        if not body:
            return None
        try:
            data = cobs.decode(body)
        except cobs.DecodeError:
            data = b""
        if len(data) < 8 or zlib.crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
            self.crc_errors += 1
            return None
        return bytes(data[:-4])

    def _answer(self, payload: bytes) -> bytes:
        self.frames += 1
        code, _, sequence = struct.unpack_from("<BBH", payload)
        if payload == self._cached_request:
            return self._cached_reply
        message = wire.BY_CODE.get(code)
        if message is None:
            return self._reply(0xFF, sequence, "error_reply", {"status": 5, "type": code})
        dtype = wire.dtype(message, self.sizes)
        if len(payload) - 4 != dtype.itemsize:
            return self._reply(0xFF, sequence, "error_reply", {"status": 6, "type": code})
        name = message.name.removesuffix("_request")
        fields = getattr(self, f"_on_{name}")(np.frombuffer(payload[4:], dtype)[0])
        reply = self._reply(code | 0x80, sequence, f"{name}_reply", fields)
        self._cached_request, self._cached_reply = (b"", b"") if name == "hello" else (payload, reply)
        return reply

    def _reply(self, code: int, sequence: int, name: str, fields: dict[str, object]) -> bytes:
        body = np.zeros((), wire.dtype(wire.BY_NAME[name], self.sizes))
        for field, value in fields.items():
            body[field] = value
        return struct.pack("<BBH", code, 0, sequence) + body.tobytes()

    def _on_hello(self, request: np.void) -> dict[str, object]:
        fields = {
            "wire_digest": list(wire.digest()[:8]),
            "build_id": list(BUILD_ID),
            "model_id": list(self.model.model_id[:8]),
            "core_clock_Hz": 180_000_000,
            "boot_count": self.resets,
            "board": list(b"fake".ljust(16, b"\0")),
        }
        return fields | self.hello

    def _on_init(self, request: np.void) -> dict[str, object]:
        self.ekf = Ekf(self.model, self.integers)
        self.steps = 0
        return {"status": 0}

    def _on_step(self, request: np.void) -> dict[str, object]:
        if self.ekf is None:
            return {"status": wire.ENUMS["status"]["NOT_INITIALISED"]}
        z_ohm = request["z_real_ohm"].astype(float) + 1j * request["z_imag_ohm"].astype(float)
        valid = np.array([bool(int(request["valid_mask"]) >> k & 1) for k in range(len(z_ohm))])
        scalars = (float(request[name]) for name in ("elapsed_cycles", "voltage_V", "temperature_degC"))
        output = self.ekf.step(StepInput(*scalars, z_ohm, valid))
        self.steps += output.status <= 1
        self.applied += 1
        return {
            "status": output.status,
            "steps": self.steps,
            "count": 1000 + self.applied,
            "n_used": output.n_used,
            "nis": output.nis,
            "state": output.x,
            "covariance": output.P[np.triu_indices(len(output.x))],
            "readout": output.readout,
            "readout_sigma": output.readout_sigma,
        }

    def _on_network(self, request: np.void) -> dict[str, object]:
        accumulator, jacobian = self.integers.accumulators(self.integers.quantise(request["input"]))
        return {"status": 0, "count": 7, "accumulator": accumulator, "jacobian_accumulator": jacobian.ravel()}

    def _on_status(self, request: np.void) -> dict[str, object]:
        return {"frames_received": self.frames, "crc_errors": self.crc_errors, "stack_used_bytes": 512, **self.fault}


class SilentDevice:
    """Takes everything and says nothing."""

    name = "mute"
    kind = "native"

    def reset(self) -> None: ...

    def write(self, data: bytes) -> None: ...

    def read(self, timeout_s: float) -> bytes:
        time.sleep(timeout_s)
        return b""


class BabblingDevice(SilentDevice):
    """Sends the same bytes for ever, as fast as they are taken."""

    name = "babbler"

    def __init__(self, words: bytes) -> None:
        self._words = words

    def read(self, timeout_s: float) -> bytes:
        return self._words
