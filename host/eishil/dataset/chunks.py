"""Finished chunks of a data set, kept in a folder until it is whole, so that an interrupted run goes on where it was.

A chunk's name carries what it was made from: another recipe, version or code never picks it up. It begins with its
SHA-256: one that was cut short or changed counts as missing and is made again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from eishil.errors import EishilError
from eishil.files import write_atomic

_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Chunk:
    """Rows of one table or of several, as they will be written."""

    tables: tuple[pa.Table, ...]

    def to_bytes(self) -> bytes:
        """SHA-256, then the tables as Arrow streams."""
        sink = pa.BufferOutputStream()
        for table in self.tables:
            with pa.ipc.new_stream(sink, table.schema) as stream:
                stream.write_table(table)
        content: bytes = sink.getvalue().to_pybytes()
        return hashlib.sha256(content).digest() + content

    @classmethod
    def from_bytes(cls, data: bytes) -> Chunk | None:
        """The chunk; None where the bytes are not as they were written."""
        digest, content = data[:_DIGEST_BYTES], memoryview(data)[_DIGEST_BYTES:]
        if hashlib.sha256(content).digest() != digest:
            return None
        source, tables = pa.BufferReader(content), []
        while source.tell() < source.size():
            tables.append(pa.ipc.open_stream(source).read_all())
        return cls(tuple(tables))


@dataclass(frozen=True)
class ChunkFolder:
    """Chunks by number; `key` is the hash of all that shapes them."""

    directory: Path
    key: str

    def path(self, number: int) -> Path:
        return self.directory / f"{self.key}-{number:06d}.chunk"

    def read(self, number: int) -> Chunk | None:
        """A chunk, None where there is none that is whole."""
        try:
            return Chunk.from_bytes(self.path(number).read_bytes())
        except FileNotFoundError:
            return None

    def finished(self, number: int) -> Chunk:
        """A chunk that was there a moment ago.

        Raises
        ------
        EishilError
            It is not any more.
        """
        chunk = self.read(number)
        if chunk is None:
            raise EishilError(
                f"{self.path(number)}: this chunk was removed or changed while others were made; start again"
            )
        return chunk

    def write(self, number: int, data: bytes) -> None:
        """Keep a chunk's bytes."""
        write_atomic(self.path(number), data)
