"""A bad cable, a loose plug and a nervous finger on the reset button, between bench and target, repeatable by a seed.

What happens is decided per byte: the gap to the next fault, its kind and its size are drawn from a generator for each
direction, so that the same bytes meet the same faults. Only when they are met depends on the clock.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from eishil.errors import LineClosedError
from eishil.wire import FRAME_DELIMITER

_DELIMITER = bytes([FRAME_DELIMITER])
_DAMAGE = ("flip", "drop", "double", "truncate", "burst", "reorder", "delay")
_EVENTS = ("close", "reset")


@dataclass(frozen=True)
class Faults:
    """How often each fault befalls a byte, as a fraction of bytes; sizes are drawn up to `size_bytes`, `delay_s`.

    flip, drop, double: one byte. truncate: a run of bytes is lost. burst: a run of random bytes comes in. reorder: a
    run of bytes comes after the run that follows it. delay: the line stands still. close: the port is closed and has to
    be opened again. reset: the target starts over; what was on the line is lost.
    """

    flip: float = 1e-4
    drop: float = 1e-4
    double: float = 1e-4
    truncate: float = 2e-5
    burst: float = 2e-5
    reorder: float = 2e-5
    delay: float = 2e-5
    close: float = 5e-6
    reset: float = 1e-5
    size_bytes: int = 64
    delay_s: float = 0.02

    @property
    def rates(self) -> dict[str, float]:
        """Fraction of bytes by kind."""
        return {kind: rate for kind, rate in asdict(self).items() if kind in _DAMAGE + _EVENTS}


USUAL = Faults()
NO_FAULTS = Faults(flip=0, drop=0, double=0, truncate=0, burst=0, reorder=0, delay=0, close=0, reset=0)


class BadDirection:
    """One direction of the line. `counts` has the faults that happened, by kind."""

    def __init__(self, rng: np.random.Generator, faults: Faults) -> None:
        self._rng, self._faults = rng, faults
        rates = faults.rates
        self._rate = sum(rates.values())
        self._kinds, self._weights = list(rates), np.array(list(rates.values())) / (self._rate or 1.0)
        self._gap = self._draw_gap()
        self._losing = self._holding = self._following = 0
        self._held = bytearray()
        self.counts = dict.fromkeys(rates, 0)
        self.delay_s = 0.0  # that the line shall stand still now

    def damage(self, data: bytes) -> tuple[bytes, list[str]]:
        """What comes out at the other end, and which of close and reset happened meanwhile."""
        out, events = bytearray(), []
        while data:
            sound, data = data[: self._gap], data[self._gap :]
            self._gap -= len(sound)
            self._pass(sound, out)
            if not data:
                break
            kind = str(self._rng.choice(self._kinds, p=self._weights))
            self.counts[kind] += 1
            if kind in _EVENTS:
                events.append(kind)
            self._apply(kind, data[:1], out)
            data, self._gap = data[1:], self._draw_gap()
        return bytes(out), events

    def empty(self) -> None:
        """Nothing is on the line any more."""
        self._held.clear()
        self._losing = self._holding = self._following = 0
        self.delay_s = 0.0

    def _draw_gap(self) -> int:
        return int(self._rng.geometric(self._rate)) - 1 if self._rate > 0 else 2**62

    def _apply(self, kind: str, byte: bytes, out: bytearray) -> None:
        size = int(self._rng.integers(1, self._faults.size_bytes + 1))
        if kind == "flip":
            byte = bytes([byte[0] ^ int(self._rng.integers(1, 256))])
        elif kind == "drop":
            byte = b""
        elif kind == "double":
            byte = byte * 2
        elif kind == "truncate":
            self._losing = size
        elif kind == "burst":
            byte += self._rng.bytes(size)
        elif kind == "reorder":
            self._holding = self._following = size
        elif kind == "delay":
            self.delay_s += float(self._rng.uniform(0.0, self._faults.delay_s))
        self._pass(byte, out)

    def _pass(self, data: bytes, out: bytearray) -> None:
        """Through what is being lost and what is being held back."""
        lost = min(self._losing, len(data))
        self._losing, data = self._losing - lost, data[lost:]
        held = min(self._holding, len(data))
        self._holding, self._held, data = self._holding - held, self._held + data[:held], data[held:]
        if self._held and not self._holding:
            early = min(self._following, len(data))
            self._following, out[len(out) :], data = self._following - early, data[:early], data[early:]
            if not self._following:
                out += self._held
                self._held.clear()
        out += data


class ChaosDut:
    """Stands for a target, and lets everything that can happen to its line happen. It is a `Dut` itself.

    `on_event` is told of each `close` and `reset` before it happens.
    """

    def __init__(
        self, dut: Any, seed: int, faults: Faults = USUAL, on_event: Callable[[str], object] = lambda event: None
    ) -> None:
        self._dut, self._on_event = dut, on_event
        to_device, to_host = np.random.default_rng(seed).spawn(2)
        self._to_device, self._to_host = BadDirection(to_device, faults), BadDirection(to_host, faults)
        self._arriving: deque[tuple[float, bytes]] = deque()  # when it may be read, and what
        self._is_closed = False
        self.frames = 0  # that were put on the line, in both directions

    @property
    def name(self) -> str:
        """The target's name."""
        return str(self._dut.name)

    @property
    def kind(self) -> Any:
        """The target's kind."""
        return self._dut.kind

    @property
    def counts(self) -> dict[str, int]:
        """Faults that happened, by kind, in both directions."""
        return {kind: count + self._to_host.counts[kind] for kind, count in self._to_device.counts.items()}

    def start(self) -> None:
        """Open the line, and power the target on where it is a process."""
        self._dut.start()
        self._is_closed = False
        self._empty()

    def stop(self) -> None:
        """Close the line."""
        self._dut.stop()

    def reset(self) -> None:
        """Reset the target; the line is empty."""
        self._dut.reset()
        self._empty()

    def set_baud(self, baud_Bd: int) -> None:
        """The rate of the line."""
        self._dut.set_baud(baud_Bd)

    def write(self, data: bytes) -> None:
        """Send bytes that may not arrive as they are."""
        self._require_open()
        self.frames += sum(1 for frame in data.split(_DELIMITER) if frame)
        data, events = self._to_device.damage(data)
        if self._to_device.delay_s:  # a sleep of 0 s would give the processor away
            time.sleep(self._to_device.delay_s)
            self._to_device.delay_s = 0.0
        if data:
            self._dut.write(data)
        self._happen(events)

    def read(self, timeout_s: float) -> bytes:
        """What arrives of what the target said."""
        self._require_open()
        patience_s = timeout_s if not self._arriving else min(timeout_s, self._arriving[0][0] - time.monotonic())
        said = self._dut.read(max(patience_s, 0.0))
        self.frames += said.count(_DELIMITER)
        data, events = self._to_host.damage(said)
        self._arriving.append((time.monotonic() + self._to_host.delay_s, data))
        self._to_host.delay_s = 0.0
        self._happen(events)
        due = b""
        while self._arriving and self._arriving[0][0] <= time.monotonic():
            due += self._arriving.popleft()[1]
        return due

    def _happen(self, events: list[str]) -> None:
        for event in events:
            self._on_event(event)
        if "reset" in events:
            self.reset()
        if "close" in events:
            self._is_closed = True
            self._require_open()

    def _require_open(self) -> None:
        if self._is_closed:
            raise LineClosedError(f"target {self.name}: the line was closed (by --chaos)")

    def _empty(self) -> None:
        self._arriving.clear()
        self._to_device.empty()
        self._to_host.empty()

    def __enter__(self) -> ChaosDut:
        self._dut.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._dut.__exit__(*error)
