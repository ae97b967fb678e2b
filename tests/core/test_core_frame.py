"""Frames in C against the `cobs` package and zlib."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from eishil.ccore import CoreLibrary

INCOMPLETE, READY, CRC_ERROR, MALFORMED = range(4)
CAPACITY = 64
# Zeros and the block lengths around 254 are what COBS is about.
PAYLOADS = st.one_of(
    st.binary(max_size=600), st.lists(st.sampled_from([b"\0", b"\1" * 253, b"\1" * 254, b"\2"])).map(b"".join)
)


def crc(payload: bytes) -> bytes:
    return zlib.crc32(payload).to_bytes(4, "little")


def reference_frame(payload: bytes) -> bytes:
    return bytes(cobs.encode(payload + crc(payload))) + b"\0"


def reference_verdict(chunk: bytes, capacity: int) -> tuple[int, bytes] | None:
    """What a decoder has to say of the bytes between two delimiters."""
    if not chunk:
        return None
    try:
        content = bytes(cobs.decode(chunk))
    except cobs.DecodeError:
        return MALFORMED, b""
    if not 4 <= len(content) <= capacity:
        return MALFORMED, b""
    payload = content[:-4]
    return (READY, payload) if content[-4:] == crc(payload) else (CRC_ERROR, b"")


class Decoder:
    """The C decoder with a buffer of exactly `capacity` bytes."""

    def __init__(self, core: CoreLibrary, capacity: int = CAPACITY) -> None:
        self.core = core
        self.buffer = core.ffi.new("uint8_t[]", capacity)
        self.decoder = core.ffi.new("frame_decoder_t *")
        core.lib.frame_decoder_init(self.decoder, self.buffer, capacity)

    def push(self, data: bytes) -> list[tuple[int, bytes]]:
        events = []
        for byte in data:
            result = self.core.lib.frame_decoder_push(self.decoder, byte)
            if result != INCOMPLETE:
                length = self.decoder.length if result == READY else 0
                events.append((result, bytes(self.core.ffi.buffer(self.buffer, length)) if length else b""))
        return events


def encode(core: CoreLibrary, payload: bytes, capacity: int | None = None) -> bytes:
    room = len(payload) + 4 + (len(payload) + 4) // 254 + 2 if capacity is None else capacity
    out: Any = core.ffi.new("uint8_t[]", max(room, 1))
    return bytes(core.ffi.buffer(out, core.lib.frame_encode(out, room, payload, len(payload))))


@given(data=st.binary(max_size=300), split=st.integers(0, 300))
def test_crc32_is_zlibs(core: CoreLibrary, data: bytes, split: int) -> None:
    assert core.lib.frame_crc32(0, data, len(data)) == zlib.crc32(data)
    first = core.lib.frame_crc32(0, data[:split], len(data[:split]))
    assert core.lib.frame_crc32(first, data[split:], len(data[split:])) == zlib.crc32(data)


@given(payload=PAYLOADS)
def test_encoding_is_that_of_the_cobs_package(core: CoreLibrary, payload: bytes) -> None:
    assert encode(core, payload) == reference_frame(payload)


def test_encode_refuses_a_short_buffer(core: CoreLibrary) -> None:
    payload = bytes(range(1, 255))
    needed = len(payload) + 4 + (len(payload) + 4) // 254 + 2
    assert encode(core, payload, needed) == reference_frame(payload)
    assert encode(core, payload, needed - 1) == b""
    assert encode(core, payload, 0) == b""


@given(payload=PAYLOADS)
def test_decoder_reads_frames_in_a_row(core: CoreLibrary, payload: bytes) -> None:
    decoder = Decoder(core, len(payload) + 4)
    assert decoder.push(reference_frame(payload) * 2 + b"\0\0") == [(READY, payload)] * 2


@given(payload=PAYLOADS.filter(len))
def test_decoder_refuses_what_is_longer_than_its_buffer(core: CoreLibrary, payload: bytes) -> None:
    decoder = Decoder(core, len(payload) + 3)
    assert decoder.push(reference_frame(payload)) == [(MALFORMED, b"")]


# Few byte values, so that valid blocks, zeros and full blocks all turn up.
@given(noise=st.one_of(st.binary(max_size=400), st.lists(st.sampled_from([0, 1, 2, 5, 255]), max_size=600).map(bytes)))
def test_decoder_agrees_with_the_cobs_package_on_any_bytes(core: CoreLibrary, noise: bytes) -> None:
    verdicts = (reference_verdict(chunk, CAPACITY) for chunk in noise.split(b"\0")[:-1])
    assert Decoder(core).push(noise) == [verdict for verdict in verdicts if verdict is not None]


@pytest.mark.parametrize("payload", [b"", b"\0", b"eishil", bytes(range(60))])
def test_a_frame_cut_anywhere_does_not_cost_the_next_but_one(core: CoreLibrary, payload: bytes) -> None:
    frame = reference_frame(payload)
    for cut in range(len(frame)):
        for lost in (frame[:cut], frame[cut:]):
            assert Decoder(core).push(lost + frame + frame)[-1] == (READY, payload)
            assert Decoder(core).push(lost + b"\0" + frame)[-1] == (READY, payload)


def test_every_flipped_bit_is_noticed(core: CoreLibrary) -> None:
    payload = b"\3\0\7\0" + bytes(range(40))
    frame = reference_frame(payload)
    for position in range(len(frame)):
        for bit in range(8):
            damaged = bytearray(frame)
            damaged[position] ^= 1 << bit
            assert all(result != READY for result, _ in Decoder(core).push(bytes(damaged) + b"\0"))
