"""A device learns what its cell's own constants are, and knows it again after a reset."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eishil.errors import TargetError
from eishil.filters.commissioning import commission
from eishil.filters.step import StepInput
from eishil.filters.ukf import reference_filter
from eishil.model import Model
from eishil.network.integer import IntegerReference
from eishil_bench.dut import open_dut
from eishil_bench.link.session import Session
from support.fresh_spectra import fresh_spectra
from support.simulated_cells import expected_life

IMAGES = {"native": "native_image", "native_sanitized": "sanitized_image", "qemu": "qemu_image"}


def cell(model: Model) -> tuple[list[StepInput], list[StepInput]]:
    """Fresh spectra and a life of a cell whose ln Z is off by 5 %, mostly."""
    network = IntegerReference(model.network)
    offset = np.random.default_rng(1).normal(0.0, 0.05, model.n_observations)
    real, imaginary = np.split(np.exp(offset), 2)
    life = expected_life(np.random.default_rng(2), model, network, 6)
    measured = [replace(one, z_ohm=one.z_ohm.real * real + 1j * one.z_ohm.imag * imaginary) for one in life]
    return fresh_spectra(model, network, offset, 8), measured


@pytest.mark.parametrize("target", IMAGES)
def test_a_commissioned_device_follows_the_reference(
    target: str, first_light_model: Model, request: pytest.FixtureRequest
) -> None:
    model, network = first_light_model, IntegerReference(first_light_model.network)
    fresh, life = cell(model)
    learned = commission(model, network, fresh)
    reference = reference_filter(learned.adapted(model), network)
    with open_dut(target, request.getfixturevalue(IMAGES[target])) as dut:
        session = Session(dut, model)
        session.hello()
        told = session.commission(fresh)
        np.testing.assert_allclose(told.offset, learned.offset, atol=1e-3)
        np.testing.assert_allclose(told.variance, learned.variance, rtol=0.05)
        session.init()
        for k, measured in enumerate(life):
            if k == 3:
                dut.reset()
            got, expected = session.step(measured).output, reference.step(learned.corrected(measured))
            assert got.status == expected.status
            assert abs(got.readout[0] - expected.readout[0]) < 0.002
            assert got.readout_sigma[0] == pytest.approx(expected.readout_sigma[0], rel=0.05)
        session.forget_commissioning()
        session.init()
        assert session.step(life[0]).output.nis > 1.3 * expected.nis  # the offset is back


def test_what_a_device_refuses(first_light_model: Model, native_image) -> None:
    fresh, life = cell(first_light_model)
    with open_dut("native", native_image) as dut:
        session = Session(dut, first_light_model)
        session.hello()
        with pytest.raises(TargetError, match=r"FINISH.*REJECTED_INPUT"):
            session.commission(fresh[:1])
        session.commission(fresh)
        with pytest.raises(TargetError, match="NOT_INITIALISED"):
            session.step(life[0])
        with pytest.raises(TargetError, match=r"ADD.*REJECTED_INPUT"):
            session.commission([replace(fresh[0], voltage_V=11.0)])
