"""Frames and the link: nothing is believed that was not checked, nothing is waited for without an end."""

from __future__ import annotations

import struct
import time
import zlib

import numpy as np
import pytest
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from eishil import wire
from eishil.errors import TargetError
from eishil_bench.framing import FrameReader, decode, encode
from eishil_bench.link import Link
from eishil_bench.session import Session
from support.fake_dut import BabblingDevice, BadLine, FakeDevice, SilentDevice, frame
from support.random_models import random_estimator, random_steps

QUICK_s = (0.02,) * 40


@pytest.fixture(scope="module")
def estimator():
    return random_estimator(np.random.default_rng(5))


@pytest.fixture(scope="module")
def model(estimator):
    return estimator[0]


@given(st.binary(max_size=600))
def test_a_frame_is_cobs_of_payload_and_zlib_crc(payload):
    sent = encode(payload)
    assert sent[-1] == 0 and 0 not in sent[:-1]
    data = cobs.decode(sent[:-1])
    assert data[:-4] == payload and struct.unpack("<I", data[-4:])[0] == zlib.crc32(payload)


@given(st.lists(st.binary(min_size=1, max_size=64), max_size=6), st.data())
def test_reader_finds_every_frame_wherever_the_stream_is_cut(payloads, data):
    stream = b"".join(map(frame, payloads))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader = FrameReader(64)
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += reader.push(stream[start:end])
    assert found == payloads and reader.damaged == 0


@given(st.binary(min_size=1, max_size=40), st.integers(0, 10_000), st.integers(1, 255))
def test_one_damaged_byte_is_never_believed(payload, where, flip):
    sent = bytearray(frame(payload))
    sent[where % (len(sent) - 1)] ^= flip
    reader = FrameReader(64)
    assert payload not in list(reader.push(bytes(sent)))
    assert list(reader.push(frame(b"next"))) == [b"next"], "the frame after a damaged one is whole again"


@given(st.binary(max_size=3000))
def test_reader_survives_anything_within_bounded_memory(noise):
    reader = FrameReader(32)
    payloads = list(reader.push(noise))
    assert len(reader._buffer) <= 32 + 4 + 2
    assert all(frame(payload).rstrip(b"\0") in noise for payload in payloads)


def test_overlong_frame_is_dropped_up_to_its_delimiter():
    reader = FrameReader(16)
    assert list(reader.push(frame(bytes(range(1, 200))) + frame(b"short"))) == [b"short"]
    assert reader.damaged == 1


def test_decode_refuses_what_is_shorter_than_its_crc():
    assert decode(cobs.encode(b"abc")) is None


def test_request_bytes_are_those_of_the_wire_table(model):
    device = FakeDevice(model)
    sent = []
    device.write = sent.append
    link = Link(device, model.dimensions(), hello_waits_s=(0.001,), waits_s=(0.001, 0.001))
    for name in ("hello", "init"):
        with pytest.raises(TargetError):
            link.exchange(name)
    hello, init = (frame(struct.pack("<BBHI", code, 0, code, 0)) for code in (1, 2))
    assert sent == [b"\0" + hello, init, b"\0" + init]


def test_silent_device_is_given_up_at_the_deadline_in_one_sentence(model):
    link = Link(SilentDevice(), model.dimensions(), hello_waits_s=(0.05, 0.05, 0.1))
    started_s = time.monotonic()
    with pytest.raises(TargetError, match=r"mute did not answer hello within 0\.2 s \(3 attempts\): 0 damaged"):
        link.exchange("hello", protocol_version=1)
    assert time.monotonic() - started_s >= 0.2
    assert (link.statistics.retries, link.statistics.lost, link.statistics.frames) == (2, 1, 0)


@pytest.mark.parametrize(
    "words",
    [b"x" * 65536, b"\0" * 65536, frame(struct.pack("<BBHI", 0x82, 0, 999, 0)) * 50, frame(b"") * 100],
    ids=["endless frame", "delimiters", "stray replies", "empty frames"],
)
def test_babbling_device_is_given_up_at_the_deadline(model, words):
    link = Link(BabblingDevice(words), model.dimensions(), waits_s=(0.1, 0.1))
    with pytest.raises(TargetError, match="babbler did not answer init within 0"):
        link.exchange("init")
    assert len(link._reader._buffer) < 4096


def _reply(code=0x82, reserved=0, sequence=1, body=b"\0\0\0\0"):
    return struct.pack("<BBH", code, reserved, sequence) + body


@pytest.mark.parametrize(
    "payload",
    [
        _reply(sequence=2),
        _reply(reserved=1),
        _reply(code=0x83),
        _reply(body=b"\0\0\0"),
        _reply(body=bytes(5)),
        b"\x82\0\1",
        b"",
    ],
    ids=["sequence", "reserved", "type", "short body", "long body", "short header", "empty"],
)
def test_reply_with_a_wrong_header_or_length_is_stray(model, payload):
    device = FakeDevice(model)
    honest = device._answer
    device._answer = lambda request: honest(request) if device.frames else (setattr(device, "frames", 1), payload)[1]
    link = Link(device, model.dimensions(), waits_s=QUICK_s)
    assert link.exchange("init")["status"] == 0
    assert (link.statistics.stray, link.statistics.retries, link.statistics.crc_errors) == (1, 1, 0)


def test_refusal_by_the_device_is_told_by_name(model):
    device = FakeDevice(model)
    device.sizes = model.dimensions() | {"n_frequencies": 3}
    session = Session(device, model)
    session.init()
    with pytest.raises(TargetError, match="fake refused the step request: BAD_LENGTH"):
        session.link.exchange("step")


def test_sequence_numbers_wrap(model):
    link = Link(FakeDevice(model), model.dimensions())
    link._sequence = 0xFFFE
    for _ in range(4):
        assert link.exchange("init")["status"] == 0
    assert link._sequence == 2 and link.statistics.stray == 0


@pytest.mark.parametrize("seed", range(3))
def test_bad_line_gives_the_same_estimates_as_a_good_one(estimator, seed):
    model, network = estimator
    spectra = list(random_steps(np.random.default_rng(seed), model, network, 40))

    def answers(device):
        session = Session(device, model, Link(device, model.dimensions(), waits_s=QUICK_s, hello_waits_s=QUICK_s))
        session.hello()
        session.init()
        return [session.step(spectrum) for spectrum in spectra], session.link.statistics

    faults = {"lose": 0.1, "damage": 0.1, "repeat": 0.1}
    bad = FakeDevice(model, to_device=BadLine(seed, **faults), to_host=BadLine(seed + 100, **faults))
    good = FakeDevice(model)
    expected, quiet = answers(good)
    received, noisy = answers(bad)
    for one, other in zip(expected, received, strict=True):
        assert one.output.x.tobytes() == other.output.x.tobytes()
        assert one.output.P.tobytes() == other.output.P.tobytes()
        assert one.output.readout.tobytes() == other.output.readout.tobytes()
    assert bad.applied == good.applied == len(spectra), "a repeated request is not applied twice"
    assert (quiet.retries, quiet.crc_errors, quiet.stray, quiet.lost) == (0, 0, 0, 0)
    assert quiet.frames == noisy.frames == len(spectra) + 2 and noisy.lost == 0
    assert noisy.retries > 0 and noisy.crc_errors > 0 and noisy.stray > 0


def test_every_message_has_a_reply_of_the_same_name():
    requests = {message.name for message in wire.MESSAGES if message.name.endswith("_request")}
    for name in requests:
        reply = wire.BY_NAME[name.replace("_request", "_reply")]
        assert reply.code == wire.BY_NAME[name].code | wire.REPLY_BIT
