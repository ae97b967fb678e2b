"""The firmware's side of the protocol, on the host, under the sanitizers and on the emulated board."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from cobs import cobs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eishil import wire
from eishil.model import Model
from eishil_bench.build import FirmwareImage
from eishil_bench.dut import open_dut
from support.line import Line, frame

STATUS = wire.ENUMS["status"]
TARGETS = ["native", "native_sanitized", "qemu", "renode"]
IMAGES = {
    "native": "native_image",
    "native_sanitized": "sanitized_image",
    "qemu": "qemu_image",
    "renode": "qemu_image",
}
COUNTERS = {"qemu": "TIM2", "renode": "DWT"}
# QEMU has no oscillator to switch to: the firmware has to notice and stay on the internal one.
CORE_CLOCKS_Hz = {"qemu": 16_000_000, "renode": 180_000_000}


@pytest.fixture(scope="module", params=TARGETS)
def image_and_line(request: pytest.FixtureRequest, first_light_model: Model) -> Iterator[tuple[FirmwareImage, Line]]:
    image: FirmwareImage = request.getfixturevalue(IMAGES[request.param])
    with open_dut(request.param, image) as dut:
        yield image, Line(dut, first_light_model)


@pytest.fixture
def image(image_and_line: tuple[FirmwareImage, Line]) -> FirmwareImage:
    return image_and_line[0]


@pytest.fixture
def line(image_and_line: tuple[FirmwareImage, Line]) -> Line:
    """A device that has answered hello: its reply cache is empty."""
    image_and_line[1].hello()
    return image_and_line[1]


def test_hello_names_protocol_build_model_and_counter(image: FirmwareImage, line: Line) -> None:
    reply = line.hello()
    assert bytes(reply["wire_digest"]) == wire.digest()[:8]
    assert bytes(reply["build_id"]) == image.build_id
    assert bytes(reply["model_id"]) == line.model.model_id[:8]
    sizes = line.sizes
    assert [int(reply[name]) for name in ("n_states", "n_frequencies", "n_inputs", "n_readouts")] == [
        sizes[name] for name in ("n_states", "n_frequencies", "n_inputs", "n_readouts")
    ]
    kind = line.dut.kind
    assert reply["counter"] == wire.ENUMS["counter"][COUNTERS.get(kind, "NONE")]
    assert bytes(reply["board"]).rstrip(b"\0") == (b"native" if kind == "native" else b"nucleo_f446re")
    assert reply["core_clock_Hz"] == CORE_CLOCKS_Hz.get(kind, 0)


def test_repeated_step_is_answered_from_the_cache(line: Line) -> None:
    line.exchange(line.request("init", 1))
    step = frame(line.step(2))
    line.dut.write(step)
    first = line.receive()
    line.dut.write(step)
    assert line.receive() == first
    assert line.body(first, line.step(2))["steps"] == 1
    assert line.exchange(line.step(3))["steps"] == 2


def test_same_sequence_with_other_bytes_is_a_new_request(line: Line) -> None:
    line.exchange(line.request("init", 1))
    assert line.exchange(line.step(2))["steps"] == 1
    assert line.exchange(line.step(2, voltage_V=3.71))["steps"] == 2


def test_hello_empties_the_cache(line: Line) -> None:
    line.exchange(line.request("init", 1))
    assert line.exchange(line.step(2))["steps"] == 1
    line.hello()
    assert line.exchange(line.step(2))["steps"] == 2


def test_step_before_init_is_refused(line: Line) -> None:
    line.dut.reset()
    line.hello()
    reply = line.exchange(line.step(1))
    assert (reply["status"], reply["steps"]) == (STATUS["NOT_INITIALISED"], 0)


def test_rejected_step_changes_nothing_and_is_counted(line: Line) -> None:
    line.exchange(line.request("init", 1))
    line.exchange(line.step(2))
    before = line.status(3)["steps_rejected"]
    reply = line.exchange(line.step(4, voltage_V=np.nan))
    assert (reply["status"], reply["steps"]) == (STATUS["REJECTED_INPUT"], 1)
    assert line.status(5)["steps_rejected"] == before + 1


def test_network_with_an_input_that_is_not_finite_is_refused(line: Line) -> None:
    reply = line.exchange(line.request("network", 1, input=np.inf))
    assert reply["status"] == STATUS["REJECTED_INPUT"]
    assert not reply["accumulator"].any()


def test_unknown_message_and_wrong_length_are_errors(line: Line) -> None:
    unknown = line.exchange(struct.pack("<BBHI", 0x7E, 0, 1, 0))
    assert (unknown["status"], unknown["type"]) == (STATUS["UNKNOWN_MESSAGE"], 0x7E)
    short = line.exchange(line.step(2)[:-4])
    assert (short["status"], short["type"]) == (STATUS["BAD_LENGTH"], wire.BY_NAME["step_request"].code)


def test_damaged_frames_are_counted_and_not_answered(line: Line) -> None:
    before = line.status(1)
    good = line.request("status", 2)
    bad_crc = cobs.encode(good + struct.pack("<I", zlib.crc32(good) ^ 1)) + b"\0"
    overlong = frame(bytes(range(256)) * 2)
    truncated = b"\x7fabc\0"  # a COBS block that announces more than comes
    headless = frame(b"\x05")
    line.dut.write(bad_crc + overlong + truncated + headless)
    after = line.status(3)
    assert after["crc_errors"] - before["crc_errors"] == 1
    assert after["framing_errors"] - before["framing_errors"] == 3
    assert after["frames_received"] - before["frames_received"] == 1
    assert after["overruns"] == 0


def test_bytes_may_come_one_by_one(line: Line) -> None:
    payload = line.request("status", 1)
    for byte in frame(payload):
        line.dut.write(bytes([byte]))
    assert line.body(line.receive(), payload)["frames_received"] > 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=400), max_size=8), st.booleans())
def test_no_noise_stops_the_device(line: Line, noise: list[bytes], framed: bool) -> None:
    """Arbitrary bytes, and arbitrary payloads in flawless frames, leave a device that answers."""
    for piece in noise:
        line.dut.write(frame(piece) if framed else piece + b"\0")
    line.dut.write(b"\0" + frame(line.request("status", 7)))
    wanted = struct.pack("<BBH", wire.BY_NAME["status_reply"].code, 0, 7)
    while not (reply := line.receive()).startswith(wanted):
        assert reply
