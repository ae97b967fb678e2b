"""What the C core reads from a spectrum, and what it expects in its place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from eishil import wire
from eishil.ccore import CoreLibrary
from eishil.filters.observation import ModeMap
from eishil.filters.step import StepInput
from eishil.filters.ukf import reference_filter
from eishil.model import Model
from eishil.network.integer import IntegerReference
from support.core_cases import Case, new_filter, steps

STATUS = wire.ENUMS["status"]


def test_masked_and_unusable_points_are_left_out(case: Case) -> None:
    m = case.model.n_observations
    for spoiled, expected in ((0.0, STATUS["OK"]), (1.0, STATUS["POINTS_SKIPPED"])):
        estimator = case.core.estimator()
        out = estimator.step(steps(case, 31, 1, spoiled)[0])
        assert out.status == expected
        assert (out.n_used == m) == (expected == STATUS["OK"])
    step = steps(case, 32, 1, 0.0)[0]
    without = replace(step, valid=np.zeros_like(step.valid))
    out = case.core.estimator().step(without)
    assert (out.n_used, out.nis, out.status) == (0, 0.0, STATUS["POINTS_SKIPPED"])


@pytest.mark.parametrize(
    ("z_real_ohm", "z_imag_ohm", "lost"),
    [
        (0.02, -0.01, 0),
        (0.02, 0.01, 1),  # inductive: its real part is kept
        (0.02, 0.0, 1),
        (0.0, -0.01, 2),
        (-0.02, -0.01, 2),
        (np.nan, -0.01, 2),
        (np.inf, -0.01, 2),
        (0.02, np.nan, 2),
        (0.02, -np.inf, 2),
        (0.02, np.inf, 2),
    ],
)
def test_which_part_of_a_bad_point_is_left_out(case: Case, z_real_ohm: float, z_imag_ohm: float, lost: int) -> None:
    step = steps(case, 33, 1, 0.0)[0]
    z = step.z_ohm.copy()
    z[0] = complex(z_real_ohm, z_imag_ohm)
    spoiled = replace(step, z_ohm=z)
    reference = reference_filter(case.model, IntegerReference(case.model.network)).step(spoiled)
    out = case.core.estimator().step(spoiled)
    assert out.n_used == reference.n_used == case.model.n_observations - lost


def test_a_point_whose_expected_impedance_is_negative_is_left_out(core: CoreLibrary, first_light: Model) -> None:
    estimator = core.estimator()
    mean, phi = (part[first_light.mode_index("contact_resistance")] for part in ModeMap(first_light).at(0.0))
    for k, value in enumerate(phi / (phi @ phi) * (-1000.0 - mean)):  # mOhm
        estimator.state.filter[0].x[k] = value
    n = first_light.n_frequencies
    step = StepInput(0.0, 3.7, 25.0, np.full(n, 0.02 - 0.01j), np.ones(n, dtype=bool))
    out = estimator.step(step)
    assert (out.status, out.n_used) == (STATUS["POINTS_SKIPPED"], n)  # the imaginary parts
    assert np.isfinite(out.x).all()


def take_usable(case: Case, z_ohm: np.ndarray) -> Any:
    """`measured_t *` of a spectrum."""
    measured = case.core.ffi.new("measured_t *")
    parts = [np.ascontiguousarray(part, np.float32) for part in (z_ohm.real, z_ohm.imag)]
    buffers = [case.core.ffi.from_buffer("float[]", part) for part in parts]
    case.core.lib.observation_take_usable(case.core.model, *buffers, 2**32 - 1, measured)
    return measured


def own_variance(case: Case, z_ohm: np.ndarray) -> np.ndarray:
    """Variance + s^2 |Z|^2 / part^2, (m,)."""
    noise, part = case.model.noise, np.concatenate([z_ohm.real, z_ohm.imag])
    share = np.abs(np.tile(z_ohm, 2)) / part
    return np.asarray(noise.variance + (noise.instrument_std * share) ** 2)


@pytest.mark.parametrize("case", ["random_walk", "unscented_bank"], indirect=True)
def test_noise_of_the_instrument_follows_the_spectrum(case: Case) -> None:
    """Over twelve decades of |Z|, and eight of the ratio of its parts."""
    rng = np.random.default_rng(44)
    for _ in range(50):
        magnitude, ratio = 10 ** rng.uniform(-6, 6, case.model.n_frequencies), 10 ** rng.uniform(-4, 4)
        z_ohm = magnitude * (1 - 1j * ratio) / np.hypot(1, ratio)
        measured = take_usable(case, z_ohm)
        assert min(measured.part_ohm) > 0
        inverse = np.array(list(measured.inverse_variance))
        np.testing.assert_allclose(1 / inverse, own_variance(case, z_ohm), rtol=1e-5)


@pytest.mark.parametrize("case", ["random_walk"], indirect=True)
@pytest.mark.parametrize("magnitude_ohm", [1e-30, 1e30])
def test_a_point_whose_variance_float32_cannot_hold_is_left_out(case: Case, magnitude_ohm: float) -> None:
    z_ohm = np.full(case.model.n_frequencies, 0.02 - 0.01j)
    z_ohm[2] = magnitude_ohm * (1 - 1j)
    part_ohm = np.array(list(take_usable(case, z_ohm).part_ohm))
    assert np.array_equal(np.flatnonzero(part_ohm <= 0), [2, 2 + case.model.n_frequencies])


@pytest.mark.parametrize("case", ["bank", "largest"], indirect=True)
def test_filters_that_see_other_observations_are_weighed_by_their_variances(case: Case) -> None:
    ffi, lib = case.core.ffi, case.core.lib
    step = steps(case, 46, 1, 0.0)[0]
    conditions, work = ffi.new("conditions_t *", (step.voltage_V, 3.4)), ffi.new("update_work_t *")
    modes = ffi.new("float[]", [0.1] * case.model.n_modes)
    negative = case.model.series_terms[0]
    modes[case.model.mode_index(negative.mode)] = -1e6
    there = np.array(negative.coefficient) == 0
    aside = ffi.new("uint32_t[]", case.model.n_observations)
    lib.observation_predict(case.core.model, modes, conditions, ffi.addressof(work.network))
    measured = take_usable(case, step.z_ohm)
    network = ffi.addressof(work.network)
    seen = lib.observation_linearise(case.core.model, network, conditions, modes, aside, measured, work.observation)
    assert 0 < seen.n == there.sum() < case.model.n_observations
    assert np.isclose(seen.log_det, np.log(own_variance(case, step.z_ohm)[there]).sum(), rtol=1e-5)


@pytest.mark.parametrize("case", ["latent", "bank", "smallest"], indirect=True)
@pytest.mark.parametrize("variance", [0.0, -1.0, np.nan, np.inf])
def test_where_the_combination_has_no_variance_nothing_is_corrected(case: Case, variance: float) -> None:
    """Both sides are then the state itself: twice its accumulators, modulo 2^32."""
    ffi, lib, n = case.core.ffi, case.core.lib, case.model.n_states
    trajectory, conditions = ffi.new("trajectory_t *"), ffi.new("conditions_t *", (3.7, 3.4))
    lib.trajectory_interpolate(trajectory, case.core.model, 10.0)
    modes, inputs = ffi.new("float[]", case.model.n_modes), ffi.new("int32_t[]", case.model.network.n_inputs)
    f = new_filter(case.core, np.full(n, 0.1), np.diag(np.full(n, variance)))
    lib.trajectory_map_state(trajectory, f.x, modes)
    lib.observation_read_inputs(case.core.model, modes, conditions, inputs)
    aside, work = ffi.new("uint32_t[]", case.model.n_observations), ffi.new("network_work_t *")
    lib.curvature_look_aside(f, case.core.model, trajectory, modes, conditions, work, aside)
    accumulator, _ = case.core.network_quantised(np.array(list(inputs)))
    if np.isfinite(variance):
        assert np.array_equal(np.array(list(aside)), 2 * accumulator.astype(np.int64) % 2**32)
    estimator = case.core.estimator()
    estimator.state.filter[0].P = f.P
    assert estimator.step(steps(case, 45, 1)[0]).status == STATUS["REJECTED_COVARIANCE"]
