"""What is on its way: the open session and its unanswered requests, oldest first."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from eishil_bench.link.messages import Header

MODULUS = 0x10000  # of sequence numbers


@dataclass
class Pending:
    """A request that is on its way. Times are those of `time.monotonic`; `sent_s` is when it was sent first."""

    sequence: int
    name: str
    frame: bytes
    sent_s: float
    attempts: int = 1
    reply: np.void | None = None
    received_s: float = 0.0


@dataclass
class Window:
    """A session, what the device's hello told of it, and what is unanswered in it."""

    session: int = 0
    epoch: int = 0
    window_requests: int = 1
    window_bytes: int = 0
    is_open: bool = False
    next_sequence: int = 0
    pending: deque[Pending] = field(default_factory=deque)

    @property
    def is_full(self) -> bool:
        """Whether no further request may be sent, however short."""
        return len(self.pending) >= self.window_requests

    def has_room_for(self, frame: bytes) -> bool:
        """Whether the device can hold one more request of so many bytes; a single one always."""
        on_the_way = sum(len(request.frame) for request in self.pending)
        return not self.pending or on_the_way + len(frame) <= self.window_bytes

    def push(self, name: str, frame: bytes, sent_s: float) -> None:
        """One more request is on its way, under the next sequence number."""
        self.pending.append(Pending(self.next_sequence, name, frame, sent_s))
        self.next_sequence = (self.next_sequence + 1) % MODULUS

    def position(self, sequence: int) -> int:
        """Of a sequence number, counted from the oldest request, modulo `MODULUS`."""
        return (sequence - self.pending[0].sequence) % MODULUS

    def awaiting(self, header: Header) -> int | None:
        """Position of the request that a reply with this header could be for."""
        if not self.pending or header.session != self.session:
            return None
        index = self.position(header.sequence)
        return index if index < len(self.pending) and self.pending[index].reply is None else None

    def unanswered(self, index: int) -> list[Pending]:
        """Requests without a reply, from a position on."""
        return [request for request in list(self.pending)[index:] if request.reply is None]
