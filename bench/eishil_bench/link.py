"""The link: one request at a time, answered before a deadline or asked again under the same sequence number.

A device answers a repeated request from its cache, so that a lost reply does not make it apply a spectrum twice.
Nothing that arrives is believed before its CRC, type, sequence number, reserved byte and length are right; what is not
the awaited reply (late, repeated, of another request) is dropped and counted.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from eishil import wire
from eishil.errors import SilenceError, TargetError
from eishil_bench.framing import FrameReader, encode

# Seconds that each attempt waits. A reset board needs up to a second before it listens, hence the short first ones.
HELLO_WAITS_s = (0.25, 1.0, 3.75)
REPLY_WAITS_s = (2.0, 3.0, 5.0)
_POLL_s = 0.25

_DELIMITER = bytes([wire.FRAME_DELIMITER])
_HEADER = wire.dtype(wire.HEADER, {})
_ERROR = wire.BY_NAME["error_reply"]
_STATUS_NAMES = {value: name for name, value in wire.ENUMS["status"].items()}


class ByteStream(Protocol):
    """What the link needs of a target; every `Dut` has it."""

    @property
    def name(self) -> str: ...

    def write(self, data: bytes) -> None: ...

    def read(self, timeout_s: float) -> bytes:
        """What is there; b"" after the timeout; TargetError when the target died."""


@dataclass(frozen=True)
class LinkStatistics:
    """Counts since the link was opened.

    `frames`: exchanges that succeeded. `retries`: requests sent again. `crc_errors`: frames that arrived damaged (CRC,
    COBS or length). `stray`: undamaged frames that were not the awaited reply. `lost`: exchanges given up.
    """

    frames: int = 0
    retries: int = 0
    crc_errors: int = 0
    stray: int = 0
    lost: int = 0

    def __add__(self, other: LinkStatistics) -> LinkStatistics:
        return LinkStatistics(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


class Link:
    """Exchanges wire messages with a target.

    Parameters
    ----------
    dut
        Where bytes go to and come from.
    sizes
        Values of `wire.SYMBOLS` for the model that the device should carry.
    waits_s
        Patience of each attempt, for every message but hello.
    """

    def __init__(
        self,
        dut: ByteStream,
        sizes: Mapping[str, int],
        *,
        waits_s: tuple[float, ...] = REPLY_WAITS_s,
        hello_waits_s: tuple[float, ...] = HELLO_WAITS_s,
    ) -> None:
        self._dut = dut
        self._dtypes = {message.name: wire.dtype(message, sizes) for message in wire.MESSAGES}
        self._waits_s = waits_s
        self._hello_waits_s = hello_waits_s
        longest = max(dtype.itemsize for dtype in self._dtypes.values())
        self._reader = FrameReader(_HEADER.itemsize + longest)
        self._sequence = 0
        self._frames = self._retries = self._stray = self._lost = 0

    @property
    def statistics(self) -> LinkStatistics:
        """Counts so far."""
        return LinkStatistics(self._frames, self._retries, self._reader.damaged, self._stray, self._lost)

    def exchange(self, name: str, **fields: Any) -> np.void:
        """Send `<name>_request` and return the record of its reply.

        Raises
        ------
        SilenceError
            No reply in time after all attempts.
        TargetError
            The target died, or it refused the request.
        """
        self._sequence = (self._sequence + 1) % 0x10000
        request = self._request(f"{name}_request", fields)
        waits_s = self._hello_waits_s if name == "hello" else self._waits_s
        damaged_before, stray_before = self._reader.damaged, self._stray
        for attempt, wait_s in enumerate(waits_s):
            self._retries += attempt > 0
            # After a loss, or before anything is known of the line, a delimiter ends what may stand in the decoder.
            self._dut.write(_DELIMITER + request if attempt or name == "hello" else request)
            reply = self._await(name, time.monotonic() + wait_s)
            if reply is not None:
                self._frames += 1
                return reply
        self._lost += 1
        damaged, stray = self._reader.damaged - damaged_before, self._stray - stray_before
        raise SilenceError(
            f"{self._dut.name} did not answer {name} within {sum(waits_s):g} s ({len(waits_s)} attempts): "
            f"{damaged} damaged and {stray} stray frames came instead; "
            "check that it is powered, connected and runs this firmware"
        )

    def _request(self, name: str, fields: Mapping[str, Any]) -> bytes:
        message = wire.BY_NAME[name]
        header = np.zeros((), _HEADER)
        header["type"], header["sequence"] = message.code, self._sequence
        body = np.zeros((), self._dtypes[name])
        for field, value in fields.items():
            body[field] = value
        return encode(header.tobytes() + body.tobytes())

    def _await(self, name: str, deadline: float) -> np.void | None:
        """The reply to the running request; None at the deadline, however much else has arrived."""
        while (left_s := deadline - time.monotonic()) > 0:
            answer = None
            for payload in self._reader.push(self._dut.read(min(left_s, _POLL_s))):
                reply = None if answer is not None else self._accept(payload, name)
                if reply is None:
                    self._stray += 1
                else:
                    answer = reply
            if answer is not None:
                return answer
        return None

    def _accept(self, payload: bytes, name: str) -> np.void | None:
        """The record in a payload if it answers the running request, else None; TargetError if it refuses it."""
        if len(payload) < _HEADER.itemsize:
            return None
        header, body = np.frombuffer(payload, _HEADER, 1)[0], payload[_HEADER.itemsize :]
        if header["reserved"] != 0 or header["sequence"] != self._sequence:
            return None
        if header["type"] == _ERROR.code and len(body) == self._dtypes[_ERROR.name].itemsize:
            self._refused(name, np.frombuffer(body, self._dtypes[_ERROR.name])[0])
        dtype = self._dtypes[f"{name}_reply"]
        if header["type"] != wire.BY_NAME[f"{name}_reply"].code or len(body) != dtype.itemsize:
            return None
        record: np.void = np.frombuffer(body, dtype)[0]
        return record

    def _refused(self, name: str, error: np.void) -> None:
        status = _STATUS_NAMES.get(int(error["status"]), f"unknown status {int(error['status'])}")
        raise TargetError(
            f"{self._dut.name} refused the {name} request: {status}; it may carry another model or protocol"
        )
