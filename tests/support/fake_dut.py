"""A device in Python, with the protocol as docs describe it, and lines that damage what passes.

It shares no code with the bench's link: frames are made and taken apart here once more.
"""

from __future__ import annotations

import contextlib
import copy
import struct
import time
import zlib
from collections.abc import Callable, Mapping

import numpy as np
from cobs import cobs

from eishil import wire
from eishil.filters.ekf import Ekf
from eishil.filters.step import StepInput
from eishil.model import Model
from eishil.network.integer import IntegerReference

WINDOW = 4
BUILD_ID = bytes.fromhex("00112233deadbeef")
Corruption = Callable[[bytes], list[bytes]]


class UnansweredError(Exception):
    """A handler that a test puts in place raises it: the request is lost."""


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

    A snapshot's first state is the number of a copy of the filter, which is float64 and would not fit its message.
    `to_device` and `to_host` are the two directions of the line. `hello` replaces fields of the hello reply.
    """

    name = "fake"
    kind = "native"
    protocol_version = wire.PROTOCOL_VERSION

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
        self.is_commissioned = False
        self.fault = {"fault": 0, "fault_count": 0, "fault_address": 0}
        self._to_device, self._to_host = to_device, to_host
        self._snapshots: list[tuple[Ekf, int]] = []
        self.resets = self.applied = self.rejected = self.crc_errors = self.frames = 0
        self.reset()

    def reset(self) -> None:
        self.resets += 1
        self.ekf: Ekf | None = None
        self.steps = 0
        self.received, self.outgoing = bytearray(), bytearray()
        self._session, self._sessions, self._expected = 0, 0, 0
        self._kept: dict[int, bytes] = {}

    def write(self, data: bytes) -> None:
        for piece in self._to_device(data):
            self.received += piece
        while b"\0" in self.received:
            body, _, rest = self.received.partition(b"\0")
            self.received = bytearray(rest)
            payload = self._take_apart(bytes(body))
            if payload is not None:
                with contextlib.suppress(UnansweredError):
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
        if len(data) < 12 or zlib.crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
            self.crc_errors += 1
            return None
        return bytes(data[:-4])

    def _answer(self, payload: bytes) -> bytes:
        self.frames += 1
        code, epoch, sequence, session = struct.unpack_from("<BBHI", payload)
        if code == wire.BY_NAME["hello_request"].code:
            if struct.unpack_from("<I", payload, 8)[0] != self.protocol_version:
                return self._error(payload, "OTHER_PROTOCOL")
            if self._sessions == 0 or session != self._session:
                self._sessions += 1
                self._session, self._expected, self._kept = session, (sequence + 1) % 0x10000, {}
            return self._apply(payload)
        if self._sessions == 0 or (session, epoch) != (self._session, self._sessions % 256):
            return self._error(payload, "NO_SESSION")
        if sequence in self._kept:
            return self._kept[sequence]
        if sequence != self._expected:
            return self._error(payload, "OUT_OF_ORDER")
        self._expected = (sequence + 1) % 0x10000
        self._kept[sequence] = reply = self._apply(payload)
        self._kept.pop((sequence - WINDOW) % 0x10000, None)
        return reply

    def _apply(self, payload: bytes) -> bytes:
        message = next((message for message in wire.MESSAGES if message.code == payload[0]), None)
        if message is None:
            return self._error(payload, "UNKNOWN_MESSAGE")
        dtype = wire.dtype(message, self.sizes)
        if len(payload) - 8 != dtype.itemsize:
            return self._error(payload, "BAD_LENGTH")
        name = message.name.removesuffix("_request")
        fields = getattr(self, f"_on_{name}")(np.frombuffer(payload[8:], dtype)[0])
        return self._reply(payload, payload[0] | 0x80, f"{name}_reply", fields)

    def _error(self, payload: bytes, status: str) -> bytes:
        fields = {"status": wire.ENUMS["status"][status], "type": payload[0], "expected": self._expected}
        fields["protocol_version"] = self.protocol_version
        return self._reply(payload, 0xFF, "error_reply", fields)

    def _reply(self, payload: bytes, code: int, name: str, fields: Mapping[str, object]) -> bytes:
        body = np.zeros((), wire.dtype(wire.BY_NAME[name], self.sizes))
        for field, value in fields.items():
            body[field] = value
        return struct.pack("<BB", code, self._sessions % 256) + payload[2:8] + body.tobytes()

    def _on_hello(self, request: np.void) -> dict[str, object]:
        fields = {
            "wire_digest": list(wire.digest()[:8]),
            "build_id": list(BUILD_ID),
            "model_id": list(self.model.model_id[:8]),
            "core_clock_Hz": 180_000_000,
            "boot_count": self.resets,
            "sessions": self._sessions,
            "window_bytes": 1024,
            "window_requests": WINDOW,
            "n_filters": 1,
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
        self.rejected += output.status > 1
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

    def _on_brief_step(self, request: np.void) -> dict[str, object]:
        fields = self._on_step(request)
        if "covariance" in fields:
            rows, columns = np.triu_indices(self.sizes["n_states"])
            fields["state_sigma"] = np.sqrt(fields.pop("covariance")[rows == columns])
        return fields

    def _on_commission(self, request: np.void) -> dict[str, object]:
        """It can forget a cell, and nothing else."""
        if request["action"] != wire.ENUMS["commissioning"]["CLEAR"]:
            return {"status": wire.ENUMS["status"]["REJECTED_INPUT"]}
        self.is_commissioned, self.ekf = False, None
        return {"status": 0}

    def _on_snapshot(self, request: np.void) -> dict[str, object]:
        if self.ekf is None:
            return {"status": wire.ENUMS["status"]["NOT_INITIALISED"]}
        self._snapshots.append((copy.deepcopy(self.ekf), self.steps))
        covariance = np.eye(self.sizes["n_states"])[np.triu_indices(self.sizes["n_states"])]
        state = np.full(self.sizes["n_states"], len(self._snapshots) - 1)
        return {"status": 0, "steps": self.steps, "cycles": self.ekf.cycles, "state": state, "covariance": covariance}

    def _on_restore(self, request: np.void) -> dict[str, object]:
        ekf, self.steps = self._snapshots[int(np.atleast_1d(request["state"])[0])]
        self.ekf = copy.deepcopy(ekf)
        return {"status": 0}

    def _on_baud(self, request: np.void) -> dict[str, object]:
        return {"status": 0}

    def _on_network(self, request: np.void) -> dict[str, object]:
        accumulator, jacobian = self.integers.accumulators(self.integers.quantise(request["input"]))
        return {"status": 0, "count": 7, "accumulator": accumulator, "jacobian_accumulator": jacobian.ravel()}

    def _on_status(self, request: np.void) -> dict[str, object]:
        counts = {"frames_received": self.frames, "crc_errors": self.crc_errors, "steps_rejected": self.rejected}
        return {**counts, "stack_used_bytes": 512, **self.fault}


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
