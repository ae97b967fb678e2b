"""What links need of a target, what they tell of themselves, and what sessions need of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

# Name of a message without `_request`, and its fields.
Request = tuple[str, Mapping[str, Any]]
# Those that apply a spectrum.
STEP, BRIEF_STEP = STEPS = "step", "brief_step"
COMMISSION = "commission"


class ByteStream(Protocol):
    """What a link needs of a target; every `Dut` has it."""

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

    `frames`: exchanges that succeeded. `retries`: requests sent again, but for hello, which is repeated until somebody
    listens. `crc_errors`: frames that arrived damaged (CRC, COBS or length). `stray`: undamaged frames that were not
    awaited. `lost`: exchanges given up. `resumed`: sessions that were opened anew within a trajectory, after a reset of
    the device or a closed port.
    """

    frames: int = 0
    retries: int = 0
    crc_errors: int = 0
    stray: int = 0
    lost: int = 0
    resumed: int = 0

    def __add__(self, other: LinkStatistics) -> LinkStatistics:
        return LinkStatistics(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Timing:
    """When a reply came.

    `round_trip_us`: since its request was sent; 0 where it was sent more than once. `interval_us`: since the reply
    before it came, or since its request was sent first where that was later; over many replies, the time that the link
    was busy.
    """

    round_trip_us: int = 0
    interval_us: int = 0


UNTIMED = Timing()


class Exchanger(Protocol):
    """What a session needs of a link."""

    @property
    def statistics(self) -> LinkStatistics: ...

    @property
    def timing(self) -> Timing:
        """Of the reply that was given last."""

    def exchange(self, name: str, **fields: Any) -> np.void:
        """The body of the reply to `<name>_request`."""

    def exchange_all(self, requests: Iterable[Request]) -> Iterator[np.void]:
        """The same for many requests, in order; several may be on their way at a time."""
