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
from eishil.errors import TargetError
from eishil.model import Model
from eishil_bench.dut import open_dut
from eishil_bench.firmware.build import FirmwareImage
from eishil_bench.link.exchange import Link
from support.line import Line, frame

STATUS = wire.ENUMS["status"]
IMAGES = {
    "native": "native_image",
    "native_sanitized": "sanitized_image",
    "qemu": "qemu_image",
    "renode": "qemu_image",
    "renode_h743": "h743_image",
}
COUNTERS = {"qemu": "TIM2", "renode": "DWT"}
# QEMU has no oscillator to switch to: the firmware has to notice and stay on the internal one.
CORE_CLOCKS_Hz = {"qemu": 16_000_000, "renode": 180_000_000, "renode_h743": 400_000_000}


@pytest.fixture(scope="module", params=IMAGES)
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
    assert bytes(reply["board"]).rstrip(b"\0") == ("native" if kind == "native" else image.env).encode()
    assert reply["core_clock_Hz"] == CORE_CLOCKS_Hz.get(line.dut.name, 0)


def test_repeated_step_is_answered_from_the_cache(line: Line) -> None:
    line.exchange(line.request("init", 1))
    step = frame(line.step(2))
    line.dut.write(step)
    first = line.receive()
    line.dut.write(step)
    assert line.receive() == first
    assert line.body(first, line.step(2))["steps"] == 1
    assert line.exchange(line.step(3))["steps"] == 2


def test_last_replies_are_kept_and_older_requests_are_refused(line: Line) -> None:
    window = int(line.hello()["window_requests"])
    line.exchange(line.request("init", 1))
    steps = [line.step(sequence) for sequence in range(2, window + 3)]
    replies = [line.answer(step) for step in steps]
    assert [line.answer(step) for step in steps[1:]] == replies[1:]
    refused = line.exchange(steps[0])
    assert (refused["status"], refused["expected"]) == (STATUS["OUT_OF_ORDER"], window + 3)
    assert line.exchange(line.step(window + 3))["steps"] == window + 2, "nothing was applied twice"


def test_request_ahead_of_a_lost_one_is_refused(line: Line) -> None:
    line.exchange(line.request("init", 1))
    refused = line.exchange(line.step(3))
    assert (refused["status"], refused["type"], refused["expected"]) == (STATUS["OUT_OF_ORDER"], 3, 2)
    assert line.exchange(line.step(2))["steps"] == 1
    assert line.exchange(line.step(3))["steps"] == 2


def test_requests_of_another_session_or_epoch_are_refused(line: Line) -> None:
    line.exchange(line.request("init", 1))
    stale = line.step(2)
    line.hello()
    assert line.exchange(stale)["status"] == STATUS["NO_SESSION"]
    line.epoch ^= 1
    assert line.exchange(line.request("init", 1))["status"] == STATUS["NO_SESSION"]


def test_late_hello_does_not_rewind_its_session(line: Line) -> None:
    first = line.hello()
    line.exchange(line.request("init", 1))
    assert line.exchange(line.step(2))["steps"] == 1
    again = line.exchange(line.request("hello", 0, protocol_version=wire.PROTOCOL_VERSION))
    assert again["sessions"] == first["sessions"]
    assert line.exchange(line.step(3))["steps"] == 2


@pytest.mark.parametrize("version", [wire.PROTOCOL_VERSION - 1, wire.PROTOCOL_VERSION + 1])
def test_host_of_another_protocol_is_refused_and_opens_no_session(line: Line, version: int) -> None:
    line.exchange(line.request("init", 1))
    with pytest.raises(TargetError, match=rf"^\S+ speaks protocol version {wire.PROTOCOL_VERSION}, but this bench"):
        Link(line.dut, line.sizes).exchange("hello", protocol_version=version)
    assert line.exchange(line.step(2))["steps"] == 1


def test_sequence_numbers_wrap(line: Line) -> None:
    line.hello(sequence=0xFFFD)
    line.exchange(line.request("init", 0xFFFE))
    assert [line.exchange(line.step(n % 0x10000))["steps"] for n in range(0xFFFF, 0x10006)] == list(range(1, 8))


def test_requests_in_one_piece_are_answered_in_order(line: Line) -> None:
    line.exchange(line.request("init", 1))
    steps = [line.step(sequence) for sequence in (2, 3, 4)]
    line.dut.write(b"".join(map(frame, steps)))
    assert [line.body(line.receive(), step)["steps"] for step in steps] == [1, 2, 3]


def test_brief_step_is_the_same_step_with_standard_deviations(line: Line) -> None:
    line.exchange(line.request("init", 1))
    full = line.exchange(line.step(2, elapsed_cycles=20.0))
    line.exchange(line.request("init", 3))
    request = line.step(4, name="brief_step", elapsed_cycles=20.0)
    brief = line.exchange(request)
    for field in ("status", "steps", "n_used", "nis", "state", "readout", "readout_sigma"):
        assert np.asarray(brief[field]).tobytes() == np.asarray(full[field]).tobytes(), field
    rows, columns = np.triu_indices(line.model.n_states)
    assert brief["state_sigma"].tobytes() == np.sqrt(full["covariance"][rows == columns]).tobytes()
    assert line.exchange(request).tobytes() == brief.tobytes(), "a request that comes twice is not applied twice"
    line.dut.reset()
    line.hello()
    assert line.exchange(line.step(1, name="brief_step"))["status"] == STATUS["NOT_INITIALISED"]


def test_restored_estimator_goes_on_bit_for_bit(line: Line) -> None:
    line.exchange(line.request("init", 1))
    for sequence in (2, 3):
        line.exchange(line.step(sequence, elapsed_cycles=20.0))
    snapshot = line.exchange(line.request("snapshot", 4, filter=0))
    assert (snapshot["status"], snapshot["steps"], snapshot["cycles"]) == (STATUS["OK"], 2, 40.0)
    expected = line.answer(line.step(5, elapsed_cycles=20.0, voltage_V=3.71))
    line.dut.reset()
    line.hello()
    fields = {field.name: snapshot[field.name] for field in wire.SNAPSHOT}
    assert line.exchange(line.request("restore", 1, **fields))["status"] == STATUS["OK"]
    step = line.step(2, elapsed_cycles=20.0, voltage_V=3.71)
    assert estimate(line.body(line.answer(step), step)) == estimate(line.body(expected, step, check=False))


def test_snapshot_of_nothing_and_restoring_nonsense_are_refused(line: Line) -> None:
    line.dut.reset()
    filters = int(line.hello()["n_filters"])
    assert line.exchange(line.request("snapshot", 1, filter=0))["status"] == STATUS["NOT_INITIALISED"]
    sound = {"covariance": np.eye(line.model.n_states)[np.triu_indices(line.model.n_states)]}
    nonsense = [{"filter": filters}, {"cycles": np.nan}, {"state": np.inf}, {"covariance": 0.0}, {"log_weight": np.nan}]
    for sequence, change in enumerate(nonsense, 2):
        reply = line.exchange(line.request("restore", sequence, **(sound | change)))
        assert reply["status"] == STATUS["REJECTED_INPUT"], change
    assert line.exchange(line.step(7))["status"] == STATUS["NOT_INITIALISED"]
    line.exchange(line.request("init", 8))
    assert line.exchange(line.request("snapshot", 9, filter=filters))["status"] == STATUS["REJECTED_INPUT"]


def test_rate_that_the_line_cannot_have_is_refused_and_another_one_taken(line: Line) -> None:
    assert line.exchange(line.request("baud", 1, baud_Bd=0))["status"] == STATUS["REJECTED_INPUT"]
    assert line.exchange(line.request("baud", 2, baud_Bd=230_400))["status"] == STATUS["OK"]
    line.hello()  # asks again: what arrives while the device changes its rate is lost
    assert line.status(1)["frames_received"] > 0


def estimate(step: np.void) -> list[bytes]:
    """A step's reply without what it cost."""
    return [np.asarray(step[name]).tobytes() for name in step.dtype.names if name not in ("count", "interrupts")]


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
    unknown = line.exchange(struct.pack("<BBHII", 0x7E, line.epoch, 1, line.session, 0))
    assert (unknown["status"], unknown["type"]) == (STATUS["UNKNOWN_MESSAGE"], 0x7E)
    short = line.exchange(line.step(2)[:-4])
    assert (short["status"], short["type"]) == (STATUS["BAD_LENGTH"], wire.BY_NAME["step_request"].code)


def test_damaged_frames_are_counted_and_not_answered(line: Line) -> None:
    before = line.status(1)
    good = line.request("status", 2)
    bad_crc = cobs.encode(good + struct.pack("<I", zlib.crc32(good) ^ 1)) + b"\0"
    overlong = frame(bytes(range(256)) * 8)
    truncated = b"\x7fabc\0"  # a COBS block that announces more than comes
    headless = frame(b"\x05")
    line.dut.write(bad_crc + overlong + truncated + headless)
    after = line.status(2)
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
    line.dut.write(b"\0" + frame(line.request("status", 1)))
    wanted = struct.pack("<BBHI", wire.BY_NAME["status_reply"].code, line.epoch, 1, line.session)
    while not (reply := line.receive()).startswith(wanted):
        assert reply
