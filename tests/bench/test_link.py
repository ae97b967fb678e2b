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
from eishil.errors import SessionLostError, SilenceError, TargetError
from eishil_bench.link.exchange import Link, LinkStatistics
from eishil_bench.link.framing import FrameReader, decode, encode
from eishil_bench.link.session import Session, stream
from eishil_bench.link.steady_link import SteadyLink
from support.fake_dut import BabblingDevice, BadLine, FakeDevice, SilentDevice, UnansweredError, frame
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
    sent, answer = [], device.write
    device.write = lambda data: (sent.append(data), answer(data) if len(sent) == 1 else None)
    link = Link(device, model.dimensions(), waits_s=(0.001, 0.001), new_session=lambda: 0xC0FFEE)
    link.exchange("hello", protocol_version=wire.PROTOCOL_VERSION)
    with pytest.raises(SilenceError):
        link.exchange("init")
    hello = frame(struct.pack("<BBHII", 1, 0, 0, 0xC0FFEE, wire.PROTOCOL_VERSION))
    init = frame(struct.pack("<BBHII", 2, 1, 1, 0xC0FFEE, 0))
    assert sent == [b"\0" + hello, init, b"\0" + init]


@pytest.mark.parametrize("sessions", [0, 3])
def test_device_of_another_protocol_is_named_with_both_versions(model, sessions):
    """Also where it is in a session of its own: the header of its refusal has that one's epoch."""
    device = FakeDevice(model)
    for _ in range(sessions):
        Link(device, model.dimensions()).exchange("hello", protocol_version=wire.PROTOCOL_VERSION)
    device.protocol_version = 77
    version = wire.PROTOCOL_VERSION
    with pytest.raises(TargetError, match=rf"fake speaks protocol version 77, but this bench speaks {version}; `eish"):
        Session(device, model).hello()


def test_silent_device_is_given_up_at_the_deadline_in_one_sentence(model):
    link = Link(SilentDevice(), model.dimensions(), hello_waits_s=(0.05, 0.05, 0.1))
    started_s = time.monotonic()
    with pytest.raises(TargetError, match=r"mute did not answer hello within 0\.2 s \(3 attempts\): 0 damaged"):
        link.exchange("hello", protocol_version=wire.PROTOCOL_VERSION)
    assert time.monotonic() - started_s >= 0.2
    assert (link.statistics.retries, link.statistics.lost, link.statistics.frames) == (0, 1, 0)


@pytest.mark.parametrize(
    "words",
    [b"x" * 65536, b"\0" * 65536, frame(struct.pack("<BBHII", 0x81, 0, 0, 999, 0)) * 50, frame(b"") * 100],
    ids=["endless frame", "delimiters", "stray replies", "empty frames"],
)
def test_babbling_device_is_given_up_at_the_deadline(model, words):
    link = Link(BabblingDevice(words), model.dimensions(), hello_waits_s=(0.1, 0.1))
    with pytest.raises(SilenceError, match="babbler did not answer hello within 0"):
        link.exchange("init")
    assert len(link._reader._buffer) < 4096


def _reply(code=0x82, epoch=1, sequence=1, session=7, body=b"\0\0\0\0"):
    return struct.pack("<BBHI", code, epoch, sequence, session) + body


@pytest.mark.parametrize(
    "payload",
    [
        _reply(sequence=2),
        _reply(epoch=2),
        _reply(session=8),
        _reply(code=0x83),
        _reply(body=b"\0\0\0"),
        _reply(body=bytes(5)),
        b"\x82\1\1",
        b"",
    ],
    ids=["sequence", "epoch", "session", "type", "short body", "long body", "short header", "empty"],
)
def test_reply_with_a_wrong_header_or_length_is_stray(model, payload):
    device = FakeDevice(model)
    honest = device._answer
    link = Link(device, model.dimensions(), waits_s=QUICK_s, new_session=lambda: 7)
    link.exchange("hello", protocol_version=wire.PROTOCOL_VERSION)
    answers = [payload]
    device._answer = lambda request: answers.pop() if answers else honest(request)
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
    device = FakeDevice(model)
    link = Link(device, model.dimensions(), window=4)
    link.exchange("hello", protocol_version=wire.PROTOCOL_VERSION)
    link._at.next_sequence = device._expected = 0xFFFD
    assert [int(reply["status"]) for reply in link.exchange_all([("init", {})] * 9)] == [0] * 9
    assert link._at.next_sequence == 6 and link.statistics.stray == link.statistics.retries == 0


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("seed", range(3))
def test_bad_line_gives_the_same_estimates_as_a_good_one(estimator, seed, window):
    model, network = estimator
    spectra = list(random_steps(np.random.default_rng(seed), model, network, 40))

    def answers(device):
        link = Link(device, model.dimensions(), window=window, waits_s=QUICK_s, hello_waits_s=QUICK_s)
        session = Session(device, model, link)
        session.hello()
        return stream(session, spectra), link.statistics

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


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("at", [1, 2, 9, 10, 17, 30])
def test_reset_within_a_trajectory_changes_no_estimate(estimator, window, at):
    model, network = estimator
    spectra = list(random_steps(np.random.default_rng(7), model, network, 30))
    quiet = stream(Session(FakeDevice(model), model), spectra)
    device = FakeDevice(model)
    honest = device._on_step
    fates = iter([False] * (at - 1) + [True] + [False] * 100)

    def reset_and_say_nothing(request):
        if next(fates):
            device.reset()
            raise UnansweredError
        return honest(request)

    device._on_step = reset_and_say_nothing
    link = Link(device, model.dimensions(), window=window, waits_s=QUICK_s, hello_waits_s=QUICK_s)
    session = Session(device, model, SteadyLink(link, device, interval=8))
    session.hello()
    steps = stream(session, spectra)
    assert [step.output.x.tobytes() for step in steps] == [step.output.x.tobytes() for step in quiet]
    assert session.link.statistics.resumed == 1 and session.link.statistics.lost == 0
    assert device.applied <= 30 + 8 + window, "from the last snapshot on, not from the beginning"


def test_board_that_was_exchanged_during_a_trajectory_is_refused(estimator):
    model, network = estimator
    device = FakeDevice(model)
    honest = device._on_step

    def exchange(request):
        device.reset()
        device.hello = {"build_id": [1] * 8}
        raise UnansweredError

    device._on_step = lambda request: exchange(request) if device.steps == 3 else honest(request)
    session = Session(device, model, SteadyLink(Link(device, model.dimensions(), waits_s=QUICK_s), device))
    session.hello()
    with pytest.raises(TargetError, match="fake came back with another build_id; was the board exchanged"):
        stream(session, list(random_steps(np.random.default_rng(7), model, network, 6)))


def test_device_that_answers_otherwise_after_a_reset_is_refused(estimator):
    model, network = estimator
    device = FakeDevice(model)
    honest, restarted = device._on_step, []

    def moody(request):
        if device.steps == 3 and not restarted:
            restarted.append(True)
            device.reset()
            raise UnansweredError
        return honest(request) | ({"nis": 1.0} if restarted else {})

    device._on_step = moody
    session = Session(device, model, SteadyLink(Link(device, model.dimensions(), waits_s=QUICK_s), device))
    session.hello()
    with pytest.raises(TargetError, match="answers spectrum 1 of its trajectory with another estimate than before"):
        stream(session, list(random_steps(np.random.default_rng(7), model, network, 6)))


def test_late_hello_does_not_rewind_the_session_that_it_opened(model):
    device = FakeDevice(model)
    sent, honest = [], device.write
    device.write = lambda data: (sent.append(data), honest(data))
    link = Link(device, model.dimensions())
    link.exchange("hello", protocol_version=wire.PROTOCOL_VERSION)
    link.exchange("init")
    honest(sent[0])
    assert link.exchange("init")["status"] == 0
    assert link.statistics == LinkStatistics(frames=3, stray=1)


def test_late_hello_of_an_older_session_ends_the_younger_one(model):
    device = FakeDevice(model)
    sent, honest = [], device.write
    device.write = lambda data: (sent.append(data), honest(data))
    link = Link(device, model.dimensions())
    link.exchange("hello", protocol_version=wire.PROTOCOL_VERSION)
    link.exchange("hello", protocol_version=wire.PROTOCOL_VERSION)
    honest(sent[0])
    with pytest.raises(SessionLostError, match="fake does not know this session any more"):
        link.exchange("init")
    assert link.exchange("init")["status"] == 0, "the next exchange opens a session"


def test_window_keeps_to_what_the_device_holds(model):
    """Requests on the way at a time: at most four, and no more bytes than the device's ring has."""
    for window_bytes, at_a_time in ((1024, 4), (300, 2), (100, 1)):
        device = FakeDevice(model, hello={"window_bytes": window_bytes})
        writes, honest = [], device.write
        device.write = lambda data, writes=writes, honest=honest: (writes.append(data), honest(data))
        link = Link(device, model.dimensions(), window=16)
        link.exchange("init")
        list(link.exchange_all([("step", {"voltage_V": 3.7, "temperature_degC": 25.0})] * 9))
        assert max(data.count(0) for data in writes[2:]) == at_a_time, window_bytes


def test_every_message_has_a_reply_of_the_same_name():
    requests = {message.name for message in wire.MESSAGES if message.name.endswith("_request")}
    for name in requests:
        reply = wire.BY_NAME[name.replace("_request", "_reply")]
        assert reply.code == wire.BY_NAME[name].code | wire.REPLY_BIT
