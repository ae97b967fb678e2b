"""The equalities of docs/design.md on Renode, virtual time that repeats, and QEMU's counts."""

from __future__ import annotations

import numpy as np
import pytest

from eishil.ccore import CoreLibrary
from eishil.filters.ekf import Ekf
from eishil.filters.step import StepInput
from eishil.model import Model
from eishil.network.integer import IntegerReference
from eishil_bench.dut import open_dut
from eishil_bench.dut.renode_faults import executed_instructions
from eishil_bench.firmware.build import FirmwareImage
from eishil_bench.link.session import DeviceStep, Session, stream
from eishil_bench.runs.limits import load_limits
from support.estimates import bits, life_of_spectra

# A count starts and ends with a read of the counter, and QEMU's TIM2 takes another path through port_count than the
# DWT: a load, a compare and a branch each time. One watchdog tick, an empty interrupt, may fall into a step.
COUNT_DIFFERENCE = 40
STEPS = 30


@pytest.fixture(scope="module")
def measured(first_light_model: Model) -> list[StepInput]:
    return life_of_spectra(first_light_model, STEPS)


def steps_on(target: str, image: FirmwareImage, model: Model, inputs: list[StepInput]) -> list[DeviceStep]:
    with open_dut(target, image) as dut:
        session = Session(dut, model)
        session.hello()
        return stream(session, inputs)


def test_equality_3_float32_core_is_bit_equal_on_renode(target, image, first_light_model, generated_dir, measured):
    estimator = CoreLibrary.build(generated_dir).estimator()
    host = [bits(estimator.step(step)) for step in measured]
    assert [bits(step.output) for step in steps_on(target, image, first_light_model, measured)] == host


def test_equality_4_float32_against_float64_within_limits_on_renode(target, image, first_light_model, measured):
    ekf = Ekf(first_light_model, IntegerReference(first_light_model.network))
    reference = [ekf.step(step) for step in measured]
    device = [step.output for step in steps_on(target, image, first_light_model, measured)]
    difference = np.array([d.readout[0] - r.readout[0] for d, r in zip(device, reference, strict=True)])
    limits = load_limits()
    assert np.sqrt(np.mean(difference**2)) <= limits["rms_soh_difference"].at_most
    assert np.abs(difference).max() <= limits["max_abs_soh_difference"].at_most


def test_two_runs_give_identical_bytes_and_counts(target, image, first_light_model, measured):
    def run() -> tuple[list[tuple[object, ...]], list[int], int]:
        with open_dut(target, image) as dut:
            session = Session(dut, first_light_model)
            assert session.hello().counter == "DWT"
            steps = stream(session, measured)
            return [bits(s.output) for s in steps], [s.count for s in steps], executed_instructions(dut)

    assert run() == run()


@pytest.mark.target("renode")
def test_a_step_takes_as_many_instructions_as_on_qemu(first_light_model, qemu_image, measured):
    renode = [step.count for step in steps_on("renode", qemu_image, first_light_model, measured)]
    qemu = [step.count for step in steps_on("qemu", qemu_image, first_light_model, measured)]
    difference = np.array(renode) - np.array(qemu)
    assert np.abs(difference).max() <= COUNT_DIFFERENCE, f"Renode minus QEMU: {difference.tolist()}"
