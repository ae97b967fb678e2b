"""Faults that only an emulator can give, on the unchanged image."""

from __future__ import annotations

import numpy as np
import pytest

from eishil import wire
from eishil.errors import TargetError
from eishil.filters.step import StepInput
from eishil.model import Model
from eishil_bench.dut.renode import RenodeDut
from eishil_bench.dut.renode_faults import (
    flip_bit,
    program_counter,
    reset_core,
    set_speed,
    symbol,
)
from eishil_bench.link.session import Session, stream
from support.estimates import bits, life_of_spectra
from support.line import Line, frame

STEPS = 6
TICK_s = 25e-6
SHARE = 0.8


@pytest.fixture(scope="module")
def measured(first_light_model: Model) -> list[StepInput]:
    return life_of_spectra(first_light_model, STEPS)


def estimates(dut: RenodeDut, model: Model, inputs: list[StepInput]) -> list[tuple[object, ...]]:
    session = Session(dut, model)
    session.hello()
    return [bits(step.output) for step in stream(session, inputs)]


def time_to_reply(dut: RenodeDut, line: Line, request: bytes) -> float:
    """Virtual seconds from a request to the first byte of its reply."""
    dut.write(frame(request))
    elapsed_s = 0.0
    while not line.await_bytes(0.0):
        assert elapsed_s < 0.1, "a step takes less than a millisecond"
        dut.run_for(TICK_s)
        elapsed_s += TICK_s
    line.body(line.receive(), request)
    return elapsed_s


def test_reset_in_the_middle_of_a_step(dut, first_light_model, measured):
    """The step is lost, the device says so, and begins anew with the same estimates."""
    undisturbed = estimates(dut, first_light_model, measured)
    line = Line(dut, first_light_model)
    line.hello()
    line.exchange(line.request("init", 1))
    duration_s = time_to_reply(dut, line, line.step(2))
    dut.write(frame(line.step(3)))
    # The request has been received by then, and the step, which takes the second half of the time, is not over.
    dut.run_for(SHARE * duration_s)
    assert dut.read(0.0) == b"", "the step was to be cut short, and is over"
    start, size = symbol(dut.image, "port_wait")
    assert not start <= program_counter(dut) < start + size, "expected a core at work, got one that sleeps"
    reset_core(dut)
    assert dut.read(0.5) == b"", "a device that was reset answers nothing by itself"
    line.hello()
    assert line.exchange(line.step(1))["status"] == wire.ENUMS["status"]["NOT_INITIALISED"]
    assert estimates(dut, first_light_model, measured) == undisturbed


def test_uart_that_stalls_within_a_request(dut, first_light_model):
    """For a second of virtual time, as often as it likes: a frame is whole when its delimiter has come."""
    line = Line(dut, first_light_model)
    line.hello()
    line.exchange(line.request("init", 1))
    request = frame(line.step(2))
    for start in range(0, len(request), 20):
        assert dut.read(1.0) == b""
        dut.write(request[start : start + 20])
    assert line.body(line.receive(), line.step(2))["steps"] == 1


def test_request_that_never_ends_costs_that_request_alone(dut, first_light_model):
    line = Line(dut, first_light_model)
    line.hello()
    line.exchange(line.request("init", 1))
    dut.write(frame(line.step(2))[:40])
    assert dut.read(0.5) == b""
    dut.write(b"\0")
    assert line.exchange(line.step(2))["steps"] == 1
    damaged = line.status(3)
    assert damaged["crc_errors"] + damaged["framing_errors"] == 1


def test_bit_flipped_in_the_filters_state_shows_in_the_estimate(dut, first_light_model, measured):
    """RAM has no checksum. Were the next estimate the same, the bit would have gone elsewhere."""
    undisturbed = estimates(dut, first_light_model, measured)
    session = Session(dut, first_light_model)
    session.hello()
    session.init()
    for step in measured[:-1]:
        session.step(step)
    # The estimator stands first in the application's state, and the first state first in its only filter.
    flip_bit(dut, symbol(dut.image, "dispatch")[0] + 3, 7)
    assert bits(session.step(measured[-1]).output) != undisturbed[-1]


def test_bit_flipped_in_the_weights_is_refused_by_init(dut, first_light_model, measured):
    undisturbed = estimates(dut, first_light_model, measured)
    weight = symbol(dut.image, "layer1_weight")[0] + 7
    flip_bit(dut, weight, 4)
    with pytest.raises(TargetError, match="renode refused to initialise: MODEL_CORRUPTED"):
        estimates(dut, first_light_model, measured)
    flip_bit(dut, weight, 4)
    assert estimates(dut, first_light_model, measured) == undisturbed


def test_slow_clock_changes_counts_and_nothing_else(dut, first_light_model, measured):
    session = Session(dut, first_light_model)
    session.hello()
    fast = stream(session, measured)
    set_speed(dut, 10)
    slow = stream(session, measured)
    assert [bits(s.output) for s in slow] == [bits(s.output) for s in fast]
    # The DWT stays at 100 MHz: ten counts an instruction. A watchdog tick in a step is some forty more.
    ratio = np.array([s.count for s in slow]) / np.array([s.count for s in fast])
    assert np.all(np.abs(ratio - 10.0) < 0.05), ratio.tolist()


def test_idle_device_sleeps_through_virtual_time(dut, first_light_model):
    """Ten seconds of silence, longer than the watchdog's patience: the device has fed it, and still knows its state."""
    line = Line(dut, first_light_model)
    line.hello()
    line.exchange(line.request("init", 1))
    assert line.exchange(line.step(2))["steps"] == 1
    dut.run_for(10.0)
    assert line.exchange(line.step(3))["steps"] == 2
