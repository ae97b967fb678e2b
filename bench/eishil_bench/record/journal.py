"""The journal of a run: every exchange with the device, in a file that outlives the process that wrote it.

The file is `MAGIC`, then records: length (u4, little-endian), CRC-32 (u4) of what follows, kind (u1), body. It is only
ever appended to, with one unbuffered write per record, so that a killed process loses at most the record that it was
writing: reading ends at the first record that is not whole and right, and says how many bytes were cut off. `sync`
forces the file to the disk; the bench calls it at the start, after every trajectory and at the end, so that a power
failure costs at most the running trajectory.

A journal stands by itself: it holds the model and the float network beside the exchanges, so that `eishil replay` needs
no data set, recipe or board.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from eishil.errors import EishilError
from eishil_bench.link.interface import UNTIMED, Timing

MAGIC = b"EISHILJ2"
MAX_RECORD_BYTES = 64 * 2**20
_FRAME = struct.Struct("<II")
_EXCHANGE = struct.Struct("<IIHH")  # round trip and interval in microseconds, bytes of name, bytes of request
_LONGEST_us = 2**32 - 1

HEADER, FILE, TRAJECTORY, EXCHANGE, NOTE = range(1, 6)


@dataclass(frozen=True)
class Exchange:
    """A request that was answered: bodies as on the wire, and when the reply came."""

    name: str
    request: bytes
    reply: bytes
    timing: Timing = UNTIMED


@dataclass(frozen=True)
class Section:
    """A trajectory that was begun: what its header says, its exchanges, and what the run had counted when it ended.

    `outcome` is None where the run ended within it.
    """

    about: dict[str, Any]
    exchanges: list[Exchange] = field(default_factory=list)
    outcome: dict[str, Any] | None = None


@dataclass(frozen=True)
class Recording:
    """A journal as read. `outside` are exchanges between trajectories; `end` is None where the run did not end."""

    header: dict[str, Any]
    files: dict[str, bytes]
    sections: list[Section]
    outside: list[Exchange]
    notes: list[dict[str, Any]]
    whole_bytes: int
    torn_bytes: int

    @property
    def finished(self) -> dict[str, Section]:
        """Finished trajectories by cell."""
        return {section.about["cell_id"]: section for section in self.sections if section.outcome is not None}

    @property
    def end(self) -> dict[str, Any] | None:
        """What the run said when it had ended."""
        return next((note for note in reversed(self.notes) if note["event"] == "end"), None)

    def last(self, name: str) -> Exchange | None:
        """The last exchange of a name outside of trajectories."""
        return next((exchange for exchange in reversed(self.outside) if exchange.name == name), None)


class Journal:
    """Writes a journal. Every method is one record, on its way to the file when the method returns."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path

    @classmethod
    def create(cls, path: Path, header: Mapping[str, Any], files: Mapping[str, bytes]) -> Journal:
        """A new journal; one that is there already is kept as `<name>.previous`."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                path.replace(path.with_name(f"{path.name}.previous"))
            journal = cls(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644), path)
        except OSError as error:
            raise EishilError(f"{path}: cannot be written: {error.strerror or error}") from None
        journal._write(MAGIC)
        journal._append(HEADER, _json(header))
        for name, content in files.items():
            journal._append(FILE, name.encode() + b"\0" + content)
        journal.sync()
        return journal

    @classmethod
    def extend(cls, path: Path, recording: Recording) -> Journal:
        """Go on with a journal that was read; its torn end is cut off."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
            os.ftruncate(descriptor, recording.whole_bytes)
        except OSError as error:
            raise EishilError(f"{path}: cannot be written: {error.strerror or error}") from None
        journal = cls(descriptor, path)
        journal.note("resumed", torn_bytes=recording.torn_bytes)
        return journal

    def begin(self, about: dict[str, Any]) -> None:
        """A trajectory begins; `about` has its `cell_id` and labels."""
        self._append(TRAJECTORY, _json(about))

    def exchange(self, name: str, request: bytes, reply: bytes, timing: Timing) -> None:
        """A request was answered."""
        encoded = name.encode()
        times = (min(time_us, _LONGEST_us) for time_us in (timing.round_trip_us, timing.interval_us))
        self._append(EXCHANGE, _EXCHANGE.pack(*times, len(encoded), len(request)) + encoded + request + reply)

    def note(self, event: str, **about: Any) -> None:
        """Anything else; `finished` closes a trajectory, `end` the run."""
        self._append(NOTE, _json({"event": event, **about}))

    def sync(self) -> None:
        """Force all records to the disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, kind: int, body: bytes) -> None:
        payload = bytes([kind]) + body
        self._write(_FRAME.pack(len(payload), zlib.crc32(payload)) + payload)

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            raise EishilError(f"{self._path}: cannot be written: {error.strerror or error}") from None


class Unrecorded(Journal):
    """For a run that nobody records."""

    def __init__(self) -> None: ...

    def sync(self) -> None: ...

    def close(self) -> None: ...

    def _append(self, kind: int, body: bytes) -> None: ...


def read(path: Path) -> Recording:
    """Everything up to the first record that is not whole.

    Raises
    ------
    EishilError
        There is no such file, it is no journal, or it ends before its header.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EishilError(f"{path}: no journal to read: {error.strerror}; `eishil run` writes one") from None
    if not data.startswith(MAGIC):
        raise EishilError(f"{path}: is not a journal of this version (it should begin with {MAGIC.decode()})")
    reader = _Reader()
    position = len(MAGIC)
    while (payload := _record(data, position)) is not None:
        try:
            reader.take(payload[0], payload[1:])
        except (ValueError, KeyError, TypeError, struct.error) as error:
            raise EishilError(f"{path}: the record at byte {position} is none of this version: {error}") from None
        position += _FRAME.size + len(payload)
    if reader.header is None:
        raise EishilError(f"{path}: the journal ends before its header; run again without --resume")
    return Recording(
        reader.header, reader.files, reader.sections, reader.outside, reader.notes, position, len(data) - position
    )


def _record(data: bytes, position: int) -> bytes | None:
    """The payload of the record at a position; None where it is not whole and right."""
    if len(data) - position < _FRAME.size:
        return None
    length, crc = _FRAME.unpack_from(data, position)
    start = position + _FRAME.size
    if not 0 < length <= min(MAX_RECORD_BYTES, len(data) - start):
        return None
    payload = data[start : start + length]
    return payload if zlib.crc32(payload) == crc else None


class _Reader:
    """Puts records where they belong."""

    def __init__(self) -> None:
        self.header: dict[str, Any] | None = None
        self.files: dict[str, bytes] = {}
        self.sections: list[Section] = []
        self.outside: list[Exchange] = []
        self.notes: list[dict[str, Any]] = []
        self._open: Section | None = None

    def take(self, kind: int, body: bytes) -> None:
        if kind == HEADER:
            self.header = json.loads(body)
        elif kind == FILE:
            name, _, content = body.partition(b"\0")
            self.files[name.decode()] = content
        elif kind == TRAJECTORY:
            self._open = Section(json.loads(body))
            self.sections.append(self._open)
        elif kind == EXCHANGE:
            (self._open.exchanges if self._open else self.outside).append(_exchange(body))
        elif kind == NOTE:
            self._note(json.loads(body))

    def _note(self, note: dict[str, Any]) -> None:
        self.notes.append(note)
        if self._open and note["event"] == "finished":
            self.sections[-1] = Section(self._open.about, self._open.exchanges, note)
        if note["event"] in ("finished", "abandoned", "resumed"):
            self._open = None


def _exchange(body: bytes) -> Exchange:
    round_trip_us, interval_us, name_bytes, request_bytes = _EXCHANGE.unpack_from(body)
    name, rest = body[_EXCHANGE.size :][:name_bytes], body[_EXCHANGE.size + name_bytes :]
    return Exchange(name.decode(), rest[:request_bytes], rest[request_bytes:], Timing(round_trip_us, interval_us))


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
