"""The link: requests in a window, answered in order before a deadline or asked again under the same sequence number.

docs/protocol.md is the contract. A device applies the requests of a session once and in order, and keeps its last
replies, so that neither a lost request nor a lost reply makes it apply a spectrum twice or not at all. Nothing that
arrives is believed before its CRC, session, epoch, type, sequence number and length are right; what is not awaited
(late, repeated, of another session) is dropped and counted.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from eishil import wire
from eishil.errors import SessionLostError, SilenceError, TargetError
from eishil_bench.link.framing import FrameReader, encode

# Seconds that each attempt waits. A reset board needs up to a second before it listens, hence the short first ones.
HELLO_WAITS_s = (0.25, 1.0, 3.75)
REPLY_WAITS_s = (0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 4.0)
_POLL_s = 0.25
_PATIENCE_ROUND_TRIPS = 3.0
_MODULUS = 0x10000

# Name of a message without `_request`, and its fields.
Request = tuple[str, Mapping[str, Any]]

_DELIMITER = bytes([wire.FRAME_DELIMITER])
_HEADER = wire.dtype(wire.HEADER, {})
_ERROR = wire.BY_NAME["error_reply"]
_STATUS = wire.ENUMS["status"]
_STATUS_NAMES = {value: name for name, value in _STATUS.items()}


def _draw_session() -> int:
    return secrets.randbits(32)


class ByteStream(Protocol):
    """What the link needs of a target; every `Dut` has it."""

    @property
    def name(self) -> str: ...

    def write(self, data: bytes) -> None: ...

    def read(self, timeout_s: float) -> bytes:
        """What is there; b"" after the timeout; TargetError when the target died."""


@runtime_checkable
class NamesSessions(Protocol):
    """A line that nobody else can reach: its sessions need not be drawn, and a run can send the same bytes again."""

    def new_session(self) -> int:
        """Identity of the next session."""


@dataclass(frozen=True)
class LinkStatistics:
    """Counts since the link was opened.

    `frames`: exchanges that succeeded. `retries`: requests sent again. `crc_errors`: frames that arrived damaged (CRC,
    COBS or length). `stray`: undamaged frames that were not awaited. `lost`: exchanges given up. `resumed`: sessions
    that were opened anew within a trajectory, after a reset of the device or a closed port.
    """

    frames: int = 0
    retries: int = 0
    crc_errors: int = 0
    stray: int = 0
    lost: int = 0
    resumed: int = 0

    def __add__(self, other: LinkStatistics) -> LinkStatistics:
        return LinkStatistics(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


@dataclass
class _Pending:
    """A request that is on its way."""

    sequence: int
    name: str
    frame: bytes
    sent_s: float
    attempts: int = 1
    reply: np.void | None = None


@dataclass
class _Session:
    """What the device's hello told."""

    session: int = 0
    epoch: int = 0
    window_requests: int = 1
    window_bytes: int = 0
    is_open: bool = False
    next_sequence: int = 0
    pending: deque[_Pending] = field(default_factory=deque)


class Link:
    """Exchanges wire messages with a target.

    Parameters
    ----------
    dut
        Where bytes go to and come from.
    sizes
        Values of `wire.SYMBOLS` for the model that the device should carry.
    window
        Unanswered requests at a time, at most; the device may allow fewer.
    waits_s
        Patience of each attempt, for every message but hello; three usual round trips where that is longer.
    new_session
        Gives the identity of a session: 32 bits that no other session on this line is likely to have. Drawn when None,
        unless the line has its own.
    """

    def __init__(
        self,
        dut: ByteStream,
        sizes: Mapping[str, int],
        *,
        window: int = 1,
        waits_s: tuple[float, ...] = REPLY_WAITS_s,
        hello_waits_s: tuple[float, ...] = HELLO_WAITS_s,
        new_session: Callable[[], int] | None = None,
    ) -> None:
        self._dut = dut
        self._dtypes = {message.name: wire.dtype(message, sizes) for message in wire.MESSAGES}
        self._window = window
        self._waits_s = waits_s
        self._hello_waits_s = hello_waits_s
        self._new_session = new_session or (dut.new_session if isinstance(dut, NamesSessions) else _draw_session)
        longest = max(dtype.itemsize for dtype in self._dtypes.values())
        self._reader = FrameReader(_HEADER.itemsize + longest)
        self._at = _Session()
        self._round_trip_s = 0.0
        self._asked_again_s = 0.0
        self._frames = self._retries = self._stray = self._lost = 0
        self.round_trips_s: list[float] = []  # of steps that were sent once

    @property
    def statistics(self) -> LinkStatistics:
        """Counts so far."""
        return LinkStatistics(self._frames, self._retries, self._reader.damaged, self._stray, self._lost)

    @property
    def name(self) -> str:
        """The target's name."""
        return self._dut.name

    def exchange(self, name: str, **fields: Any) -> np.void:
        """Send `<name>_request` and return the record of its reply; hello opens a session.

        Raises
        ------
        SilenceError
            No reply in time after all attempts.
        SessionLostError
            The device does not know the session: it has been reset, or another host talks to it.
        TargetError
            The target died, or it refused the request.
        """
        if name == "hello":
            return self._hello(fields)
        (reply,) = self.exchange_all([(name, fields)])
        return reply

    def exchange_all(self, requests: Iterable[Request]) -> Iterator[np.void]:
        """Replies to many requests, in order, with as many of them on their way as the window allows; no hello."""
        if not self._at.is_open:
            self._hello({"protocol_version": wire.PROTOCOL_VERSION})
        waiting = deque(requests)
        pending = self._at.pending
        pending.clear()
        while waiting or pending:
            self._fill(waiting)
            self._await_oldest()
            while pending and (reply := pending[0].reply) is not None:
                pending.popleft()
                self._frames += 1
                yield reply

    def forget_session(self) -> None:
        """What was on the line is of no interest any more; the next exchange opens a session."""
        self._at = _Session()

    # --- opening a session --------------------------------------------------------------------------------------------

    def _hello(self, fields: Mapping[str, Any]) -> np.void:
        self._at = _Session(session=self._new_session())
        request = _Pending(0, "hello", self._frame("hello", 0, fields), time.monotonic())
        self._at.pending.append(request)
        seen = self._seen()
        for wait_s in self._hello_waits_s:
            self._retries += request.attempts > 1
            # Nothing is known of the line: a delimiter ends what may stand in the decoder.
            self._dut.write(_DELIMITER + request.frame)
            request.attempts += 1
            if self._listen(request, time.monotonic() + wait_s) and request.reply is not None:
                return self._opened(request.reply)
        raise self._silence("hello", self._hello_waits_s, seen)

    def _opened(self, hello: np.void) -> np.void:
        at = self._at
        at.pending.clear()
        at.is_open, at.next_sequence = True, 1
        at.epoch = int(hello["sessions"]) & 0xFF
        at.window_requests = max(1, min(self._window, int(hello["window_requests"])))
        at.window_bytes = int(hello["window_bytes"])
        self._frames += 1
        return hello

    # --- the window ---------------------------------------------------------------------------------------------------

    def _fill(self, waiting: deque[Request]) -> None:
        """Send what the window has room for, in one piece."""
        at, now_s, fresh = self._at, time.monotonic(), b""
        on_the_way = sum(len(request.frame) for request in at.pending)
        while waiting and len(at.pending) < at.window_requests:
            name, fields = waiting[0]
            frame = self._frame(name, at.next_sequence, fields)
            if at.pending and on_the_way + len(frame) > at.window_bytes:
                break
            waiting.popleft()
            at.pending.append(_Pending(at.next_sequence, name, frame, now_s))
            at.next_sequence = (at.next_sequence + 1) % _MODULUS
            on_the_way += len(frame)
            fresh += frame
        if fresh:
            self._dut.write(fresh)

    def _await_oldest(self) -> None:
        """Returns when the oldest request has its reply."""
        oldest, seen = self._at.pending[0], self._seen()
        for attempt, wait_s in enumerate(self._waits_s):
            if attempt:
                self._send_again(0)
            patience_s = max(wait_s, _PATIENCE_ROUND_TRIPS * self._round_trip_s)
            if oldest.reply is not None or self._listen(oldest, time.monotonic() + patience_s):
                return
        self._lost += 1
        raise self._silence(oldest.name, self._waits_s, seen)

    def _send_again(self, index: int) -> None:
        """Everything unanswered from a position of the window on, behind a delimiter that ends what a loss left."""
        missing = [request for request in list(self._at.pending)[index:] if request.reply is None]
        for request in missing:
            request.attempts += 1
        self._retries += len(missing)
        self._asked_again_s = time.monotonic()
        self._dut.write(_DELIMITER + b"".join(request.frame for request in missing))

    def _send_again_soon(self, index: int) -> None:
        """The same at the first sign of a loss; further signs of it arrive within the round trip that follows."""
        if time.monotonic() - self._asked_again_s > self._round_trip_s:
            self._send_again(index)

    def _listen(self, awaited: _Pending, deadline: float) -> bool:
        """Whether the awaited reply came before the deadline, however much else has arrived."""
        while (left_s := deadline - time.monotonic()) > 0:
            for payload in self._reader.push(self._dut.read(min(left_s, _POLL_s))):
                self._take(payload)
            if awaited.reply is not None:
                return True
        return False

    # --- what arrives -------------------------------------------------------------------------------------------------

    def _take(self, payload: bytes) -> None:
        """Put a payload where it belongs, or count it as stray."""
        at = self._at
        if len(payload) < _HEADER.itemsize:
            self._stray += 1
            return
        header, body = np.frombuffer(payload, _HEADER, 1)[0], payload[_HEADER.itemsize :]
        index = (int(header["sequence"]) - at.pending[0].sequence) % _MODULUS if at.pending else _MODULUS
        if header["session"] != at.session or index >= len(at.pending) or at.pending[index].reply is not None:
            self._stray += 1
            return
        request = at.pending[index]
        if header["type"] == _ERROR.code and len(body) == self._dtypes[_ERROR.name].itemsize:
            self._on_error(request, np.frombuffer(body, self._dtypes[_ERROR.name])[0], int(header["epoch"]))
            return
        dtype = self._dtypes[f"{request.name}_reply"]
        is_right = header["type"] == wire.BY_NAME[f"{request.name}_reply"].code and len(body) == dtype.itemsize
        record: np.void | None = np.frombuffer(body, dtype)[0] if is_right else None
        if record is None or header["epoch"] != self._epoch_of(request, record):
            self._stray += 1
            return
        self._accept(index, record)

    def _epoch_of(self, request: _Pending, record: np.void) -> int:
        return int(record["sessions"]) & 0xFF if request.name == "hello" else self._at.epoch

    def _accept(self, index: int, record: np.void) -> None:
        request = self._at.pending[index]
        request.reply = record
        # A request that waited behind one that was lost says nothing of the round trip.
        if request.attempts == 1 and request.sent_s > self._asked_again_s:
            self._note_round_trip(request)
        # Replies come in order: those that are missing before this one were lost on the way.
        if any(earlier.reply is None for earlier in list(self._at.pending)[:index]):
            self._send_again_soon(0)

    def _note_round_trip(self, request: _Pending) -> None:
        elapsed_s = time.monotonic() - request.sent_s
        self._round_trip_s += (elapsed_s - self._round_trip_s) / 8
        if request.name == "step":
            self.round_trips_s.append(elapsed_s)

    def _on_error(self, request: _Pending, error: np.void, epoch: int) -> None:
        status = int(error["status"])
        if status == _STATUS["NO_SESSION"]:
            self._lose("does not know this session any more: it was reset, or another host talks to it")
        if epoch != self._at.epoch:
            self._stray += 1
        elif status == _STATUS["OUT_OF_ORDER"]:
            self._go_back(int(error["expected"]))
        else:
            name = _STATUS_NAMES.get(status, f"unknown status {status}")
            raise TargetError(
                f"{self.name} refused the {request.name} request: {name}; it may carry another model or protocol"
            )

    def _go_back(self, expected: int) -> None:
        """The device waits for an earlier request, which was lost: send it and all that follow."""
        index = (expected - self._at.pending[0].sequence) % _MODULUS
        if index >= len(self._at.pending):
            if index > _MODULUS // 2:
                self._lose(f"expects request {expected}, which it has answered already")
            return  # it has applied them all by now: their replies are on the way, or asked for by the clock
        self._send_again_soon(index)

    def _lose(self, why: str) -> None:
        self.forget_session()
        raise SessionLostError(f"{self.name} {why}")

    # --- words --------------------------------------------------------------------------------------------------------

    def _frame(self, name: str, sequence: int, fields: Mapping[str, Any]) -> bytes:
        message = wire.BY_NAME[f"{name}_request"]
        header = np.zeros((), _HEADER)
        header["type"], header["sequence"] = message.code, sequence
        header["epoch"], header["session"] = self._at.epoch, self._at.session
        body = np.zeros((), self._dtypes[message.name])
        for key, value in fields.items():
            body[key] = value
        return encode(header.tobytes() + body.tobytes())

    def _seen(self) -> tuple[int, int]:
        return self._reader.damaged, self._stray

    def _silence(self, name: str, waits_s: tuple[float, ...], before: tuple[int, int]) -> SilenceError:
        if name == "hello":
            self._lost += 1
        self.forget_session()
        damaged, stray = self._reader.damaged - before[0], self._stray - before[1]
        return SilenceError(
            f"{self.name} did not answer {name} within {sum(waits_s):g} s ({len(waits_s)} attempts): "
            f"{damaged} damaged and {stray} stray frames came instead; "
            "check that it is powered, connected and runs this firmware"
        )
