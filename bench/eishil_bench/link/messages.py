"""Requests as frames and replies as records, for the sizes of one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from eishil import wire
from eishil_bench.link.framing import encode

HEADER = wire.dtype(wire.HEADER, {})
_ERROR = wire.BY_NAME["error_reply"]


@dataclass(frozen=True)
class Header:
    """What stands before every body; see docs/protocol.md."""

    type: int
    epoch: int
    sequence: int
    session: int


class Messages:
    """The wire's messages.

    Parameters
    ----------
    sizes
        Values of `wire.SYMBOLS` for the model that the device should carry.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._dtypes = {message.name: wire.dtype(message, sizes) for message in wire.MESSAGES}

    @property
    def longest_bytes(self) -> int:
        """Of header and body."""
        return HEADER.itemsize + max(dtype.itemsize for dtype in self._dtypes.values())

    def frame(self, name: str, fields: Mapping[str, Any], *, epoch: int, sequence: int, session: int) -> bytes:
        """`<name>_request` as it goes onto the line."""
        message = wire.BY_NAME[f"{name}_request"]
        header = np.array((message.code, epoch, sequence, session), HEADER)
        return encode(header.tobytes() + _body(self._dtypes[message.name], fields))

    def reply(self, name: str, code: int, body: bytes) -> np.void | None:
        """The record of `<name>_reply`; None where it is another message or has another length."""
        return self._record(f"{name}_reply", code, body)

    def error(self, code: int, body: bytes) -> np.void | None:
        """The record of `error_reply`; None where it is something else."""
        return self._record(_ERROR.name, code, body)

    def _record(self, message: str, code: int, body: bytes) -> np.void | None:
        dtype = self._dtypes[message]
        if code != wire.BY_NAME[message].code or len(body) != dtype.itemsize:
            return None
        record: np.void = np.frombuffer(body, dtype)[0]
        return record


def split(payload: bytes) -> tuple[Header, bytes] | None:
    """Header and body of a frame; None where it is too short."""
    if len(payload) < HEADER.itemsize:
        return None
    header = np.frombuffer(payload, HEADER, 1)[0]
    return Header(*(int(header[name]) for name in Header.__dataclass_fields__)), payload[HEADER.itemsize :]


def request_body(name: str, fields: Mapping[str, Any], sizes: Mapping[str, int]) -> bytes:
    """The body of `<name>_request` as it goes over the wire; fields that are not given are 0."""
    return _body(wire.dtype(wire.BY_NAME[f"{name}_request"], sizes), fields)


def _body(dtype: np.dtype[np.void], fields: Mapping[str, Any]) -> bytes:
    body = np.zeros((), dtype)
    for key, value in fields.items():
        body[key] = value
    return body.tobytes()
