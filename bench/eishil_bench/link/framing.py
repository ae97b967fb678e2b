"""Frames as the host sees them: COBS(payload + CRC-32) + 0x00, from bytes that nobody vouches for.

The reader holds at most one frame of the longest length that a reply can have, however much a device babbles.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from cobs import cobs

from eishil.wire import FRAME_DELIMITER

CRC_BYTES = 4
_DELIMITER = bytes([FRAME_DELIMITER])


def encode(payload: bytes) -> bytes:
    """One frame with its delimiter."""
    body: bytes = cobs.encode(payload + struct.pack("<I", zlib.crc32(payload)))
    return body + _DELIMITER


def decode(body: bytes) -> bytes | None:
    """Payload of a frame without its delimiter; None where COBS, length or CRC is wrong."""
    try:
        data: bytes = cobs.decode(body)
    except cobs.DecodeError:
        return None
    payload, crc = data[:-CRC_BYTES], data[-CRC_BYTES:]
    if len(crc) < CRC_BYTES or struct.unpack("<I", crc)[0] != zlib.crc32(payload):
        return None
    return payload


class FrameReader:
    """Cuts a byte stream into payloads; counts what was damaged.

    Parameters
    ----------
    max_payload_bytes
        Longest payload that can be right; anything longer is dropped up to the next delimiter.
    """

    def __init__(self, max_payload_bytes: int) -> None:
        data_bytes = max_payload_bytes + CRC_BYTES
        self._limit = data_bytes + data_bytes // 254 + 1
        self._buffer = bytearray()
        self._overlong = False
        self.damaged = 0

    def push(self, data: bytes) -> Iterator[bytes]:
        """Payloads that end in `data`, oldest first. Exhaust the iterator: it does the work."""
        *complete, rest = data.split(_DELIMITER)
        for piece in complete:
            self._append(piece)
            payload = self._take()
            if payload is not None:
                yield payload
        self._append(rest)

    def _append(self, piece: bytes) -> None:
        if len(self._buffer) + len(piece) > self._limit:
            self._overlong = True
            self._buffer.clear()
        if not self._overlong:
            self._buffer += piece

    def _take(self) -> bytes | None:
        body, overlong = bytes(self._buffer), self._overlong
        self._buffer.clear()
        self._overlong = False
        if not body and not overlong:
            return None  # two delimiters in a row separate nothing
        payload = None if overlong else decode(body)
        self.damaged += payload is None
        return payload
