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
from itertools import islice
from typing import Any

import numpy as np

from eishil import wire
from eishil.errors import SessionLostError, SilenceError, TargetError
from eishil_bench.link.framing import FrameReader
from eishil_bench.link.interface import UNTIMED, ByteStream, LinkStatistics, NamesSessions, Request, Timing
from eishil_bench.link.messages import Messages, split
from eishil_bench.link.window import MODULUS, Pending, Window

# Seconds that each attempt waits. What is sent before a device listens is lost: an emulated one needs some 0.1 s after
# a start, a reset board up to a second, hence the short first ones.
HELLO_WAITS_s = (0.05, 0.05, 0.1, 0.1, 0.2, 0.5, 1.0, 3.0)
REPLY_WAITS_s = (0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 4.0)
_POLL_s = 0.25
_PATIENCE_ROUND_TRIPS = 3.0

_DELIMITER = bytes([wire.FRAME_DELIMITER])
_STATUS = wire.ENUMS["status"]
_STATUS_NAMES = {value: name for name, value in _STATUS.items()}


def _draw_session() -> int:
    return secrets.randbits(32)


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
        self._messages = Messages(sizes)
        self._window = window
        self._waits_s = waits_s
        self._hello_waits_s = hello_waits_s
        self._new_session = new_session or (dut.new_session if isinstance(dut, NamesSessions) else _draw_session)
        self._reader = FrameReader(self._messages.longest_bytes)
        self._at = Window()
        self._round_trip_s = 0.0
        self._asked_again_s = 0.0
        self._answered_s = 0.0  # when the reply came that was given last
        self._frames = self._retries = self._stray = self._lost = 0
        self.timing = UNTIMED  # of the reply that was given last

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
                self._answer(pending.popleft())
                yield reply

    def _answer(self, request: Pending) -> None:
        self._frames += 1
        round_trip_s = request.received_s - request.sent_s if request.attempts == 1 else 0.0
        interval_s = request.received_s - max(request.sent_s, self._answered_s)
        self.timing = Timing(round(1e6 * round_trip_s), round(1e6 * interval_s))
        self._answered_s = request.received_s

    def forget_session(self) -> None:
        """What was on the line is of no interest any more; the next exchange opens a session."""
        self._at = Window()

    # --- opening a session --------------------------------------------------------------------------------------------

    def _hello(self, fields: Mapping[str, Any]) -> np.void:
        self._at = Window(session=self._new_session())
        request = Pending(0, "hello", self._frame("hello", 0, fields), time.monotonic(), attempts=0)
        self._at.pending.append(request)
        seen = self._seen()
        for wait_s in self._hello_waits_s:
            request.attempts += 1
            # Nothing is known of the line: a delimiter ends what may stand in the decoder.
            self._dut.write(_DELIMITER + request.frame)
            if self._listen(request, time.monotonic() + wait_s) and request.reply is not None:
                self._answer(request)
                return self._opened(request.reply)
        raise self._silence("hello", self._hello_waits_s, seen)

    def _opened(self, hello: np.void) -> np.void:
        at = self._at
        at.pending.clear()
        at.is_open, at.next_sequence = True, 1
        at.epoch = int(hello["sessions"]) & 0xFF
        at.window_requests = max(1, min(self._window, int(hello["window_requests"])))
        at.window_bytes = int(hello["window_bytes"])
        return hello

    # --- the window ---------------------------------------------------------------------------------------------------

    def _fill(self, waiting: deque[Request]) -> None:
        """Send what the window has room for, in one piece."""
        at, now_s, fresh = self._at, time.monotonic(), b""
        while waiting and not at.is_full:
            name, fields = waiting[0]
            frame = self._frame(name, at.next_sequence, fields)
            if not at.has_room_for(frame):
                break
            waiting.popleft()
            at.push(name, frame, now_s)
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
        missing = self._at.unanswered(index)
        for request in missing:
            request.attempts += 1
        self._retries += len(missing)
        self._asked_again_s = time.monotonic()
        self._dut.write(_DELIMITER + b"".join(request.frame for request in missing))

    def _send_again_soon(self, index: int) -> None:
        """The same at the first sign of a loss; further signs of it arrive within the round trip that follows."""
        if time.monotonic() - self._asked_again_s > self._round_trip_s:
            self._send_again(index)

    def _listen(self, awaited: Pending, deadline: float) -> bool:
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
        parts = split(payload)
        index = self._at.awaiting(parts[0]) if parts else None
        if parts is None or index is None:
            self._stray += 1
            return
        (header, body), request = parts, self._at.pending[index]
        if (error := self._messages.error(header.type, body)) is not None:
            self._on_error(request, error, header.epoch)
            return
        record = self._messages.reply(request.name, header.type, body)
        if record is None or header.epoch != self._epoch_of(request, record):
            self._stray += 1
            return
        self._accept(index, record)

    def _epoch_of(self, request: Pending, record: np.void) -> int:
        return int(record["sessions"]) & 0xFF if request.name == "hello" else self._at.epoch

    def _accept(self, index: int, record: np.void) -> None:
        request = self._at.pending[index]
        request.reply, request.received_s = record, time.monotonic()
        # A request that waited behind one that was lost says nothing of the round trip.
        if request.attempts == 1 and request.sent_s > self._asked_again_s:
            self._round_trip_s += (request.received_s - request.sent_s - self._round_trip_s) / 8
        # Replies come in order: those that are missing before this one were lost on the way.
        if any(earlier.reply is None for earlier in islice(self._at.pending, index)):
            self._send_again_soon(0)

    def _on_error(self, request: Pending, error: np.void, epoch: int) -> None:
        status = int(error["status"])
        if status == _STATUS["NO_SESSION"]:
            self._lose("does not know this session any more: it was reset, or another host talks to it")
        if status == _STATUS["OTHER_PROTOCOL"]:
            raise TargetError(
                f"{self.name} speaks protocol version {error['protocol_version']}, but this bench speaks "
                f"{wire.PROTOCOL_VERSION}; `eishil flash RECIPE --target {self.name}` puts what was built onto it"
            )
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
        index = self._at.position(expected)
        if index >= len(self._at.pending):
            if index > MODULUS // 2:
                self._lose(f"expects request {expected}, which it has answered already")
            return  # it has applied them all by now: their replies are on the way, or asked for by the clock
        self._send_again_soon(index)

    def _lose(self, why: str) -> None:
        self.forget_session()
        raise SessionLostError(f"{self.name} {why}")

    # --- words --------------------------------------------------------------------------------------------------------

    def _frame(self, name: str, sequence: int, fields: Mapping[str, Any]) -> bytes:
        at = self._at
        return self._messages.frame(name, fields, epoch=at.epoch, sequence=sequence, session=at.session)

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
