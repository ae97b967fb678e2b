"""The estimator in C against the float64 reference, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eishil import codegen, wire
from eishil.ccore import CEstimator, CoreLibrary
from eishil.filters.ekf import Ekf
from eishil.filters.step import StepInput, StepOutput
from eishil.filters.ukf import reference_filter
from eishil.network.integer import IntegerReference
from support.core_cases import Case, steps

STATUS = wire.ENUMS["status"]


def state_bytes(estimator: CEstimator) -> bytes:
    return bytes(estimator.core.ffi.buffer(estimator.state))


def assert_close(got: StepOutput, expected: StepOutput, sigmas: float) -> None:
    """Equal to `sigmas` of the reference's own standard deviations; verdict and count of observations exactly."""
    std = np.sqrt(np.diag(expected.P))
    assert (got.status, got.n_used) == (expected.status, expected.n_used)
    assert np.abs((got.x - expected.x) / std).max() < sigmas
    assert np.abs((got.P - expected.P) / np.outer(std, std)).max() < sigmas
    assert np.abs((got.readout - expected.readout) / expected.readout_sigma).max() < sigmas
    assert np.abs(got.readout_sigma / expected.readout_sigma - 1).max() < sigmas


def take_over_state(reference: Ekf, estimator: CEstimator) -> None:
    """From here on the reference goes on where C is."""
    n = reference.x.shape[1]
    upper = np.triu_indices(n)
    for b in range(len(reference.x)):
        f = estimator.state.filter[b]
        half = np.zeros((n, n))
        half[upper] = list(f.P)
        reference.x[b], reference.P[b] = list(f.x), half + np.triu(half, 1).T
    reference.log_weight[:] = list(estimator.state.log_weight)


def test_every_step_agrees_with_the_float64_reference(case: Case) -> None:
    """One step at a time: left alone, both would soon read inputs of the integer network that round apart."""
    reference = reference_filter(case.model, IntegerReference(case.model.network))
    estimator = case.core.estimator()
    for step in steps(case, 30):
        take_over_state(reference, estimator)
        got, expected = estimator.step(step), reference.step(step)
        assert_close(got, expected, 3e-4)  # 1e-4 seen
        assert np.isclose(got.nis, expected.nis, rtol=1e-4, atol=1e-4)


def test_does_not_drift_from_the_float64_reference(case: Case) -> None:
    reference = reference_filter(case.model, IntegerReference(case.model.network))
    estimator = case.core.estimator()
    # Both run the same integer network, whose inputs may round apart by one unit where float32 and float64 states
    # straddle a tie; a bank multiplies that by the slope of its weights.
    # An unscented filter has 2 n + 1 times as many such inputs.
    sigmas = 0.1 * (3 if len(case.model.priors) > 1 else 1) * (6 if case.model.filter == "ukf" else 1)
    for step in steps(case, 30):
        assert_close(estimator.step(step), reference.step(step), sigmas)


def balanced_bank(case: Case, seed: int) -> tuple[CEstimator, Ekf]:
    """Filters that differ too little for one spectrum to decide between them, in C and in the reference."""
    rng = np.random.default_rng(seed)
    reference = reference_filter(case.model, IntegerReference(case.model.network))
    estimator = case.core.estimator()
    shrink = rng.uniform(0.02, 0.06, len(reference.P))[:, None, None]
    reference.P = shrink**2 * reference.P[0]
    offsets = np.array([np.linalg.cholesky(P) @ rng.normal(size=len(P)) for P in reference.P])
    reference.x = (reference.x[0] + offsets).astype(np.float32).astype(np.float64)
    upper = np.triu_indices(case.model.n_states)
    for b, (x, P) in enumerate(zip(reference.x, reference.P, strict=True)):
        estimator.state.filter[b].x = x.tolist()
        estimator.state.filter[b].P = P[upper].tolist()
    return estimator, reference


def test_a_bank_weighs_and_mixes_its_filters(case: Case) -> None:
    estimator, reference = balanced_bank(case, 40)
    n_priors = len(case.model.priors)
    # Noise that leaves the weights open: a spectrum with a tenth of its points.
    step = steps(case, 41, 1, 0.0)[0]
    few = np.arange(case.model.n_frequencies) % 10 == 0
    expected = reference.step(replace(step, valid=few))
    assert_close(estimator.step(replace(step, valid=few)), expected, 0.01)
    weights = np.exp(reference.log_weight)
    assert np.allclose(np.exp(list(estimator.state.log_weight)), weights, atol=2e-3)
    if n_priors > 1:
        assert weights.max() < 0.95, "the spectrum has decided: this test would see no mixture"


REFUSED = [
    *({"elapsed_cycles": value} for value in (-1e-3, np.nan, np.inf)),
    *({"voltage_V": value} for value in (-0.001, 10.001, np.nan, np.inf)),
    *({"temperature_degC": value} for value in (-60.1, 100.1, np.nan, -np.inf)),
]


@pytest.mark.parametrize("change", REFUSED, ids=str)
def test_refused_input_leaves_the_state_bit_identical(case: Case, change: dict[str, float]) -> None:
    estimator = case.core.estimator()
    first, second = steps(case, 34, 2)
    accepted = estimator.step(first)
    before = state_bytes(estimator)
    refused = estimator.step(replace(second, **change))
    assert refused.status == STATUS["REJECTED_INPUT"]
    assert state_bytes(estimator) == before
    assert (refused.n_used, refused.nis) == (0, 0.0)
    assert np.array_equal(refused.x, accepted.x) and np.array_equal(refused.readout, accepted.readout)


@pytest.mark.parametrize("variance", [-1.0, np.inf, np.nan])
def test_lost_covariance_leaves_the_state_bit_identical(case: Case, variance: float) -> None:
    estimator = case.core.estimator()
    first, second = steps(case, 35, 2)
    estimator.step(first)
    estimator.state.filter[case.core.model.n_priors - 1].P[0] = variance
    before = state_bytes(estimator)
    assert estimator.step(second).status == STATUS["REJECTED_COVARIANCE"]
    assert state_bytes(estimator) == before


def test_limits_of_the_input_are_accepted(case: Case) -> None:
    step = steps(case, 36, 1)[0]
    for change in ({"voltage_V": 0.0}, {"voltage_V": 10.0}, {"temperature_degC": -60.0}, {"temperature_degC": 100.0}):
        assert case.core.estimator().step(replace(step, **change)).status in (STATUS["OK"], STATUS["POINTS_SKIPPED"])


def test_repeats_to_the_bit_and_estimators_do_not_share_state(case: Case) -> None:
    together, alone = [case.core.estimator(), case.core.estimator()], case.core.estimator()
    for step in steps(case, 37, 5):
        for estimator in together:
            estimator.step(step)
        alone.step(step)
    assert state_bytes(together[0]) == state_bytes(together[1]) == state_bytes(alone)
    alone.reset()
    assert state_bytes(alone) == state_bytes(case.core.estimator())


@pytest.mark.parametrize("case", ["latent", "bank"], indirect=True)
@given(data=st.data())
def test_any_numbers_are_survived(case: Case, data: st.DataObject) -> None:
    """A step is applied whole and leaves finite numbers, or it is refused and changes nothing."""
    number = st.floats(width=32) | st.sampled_from([0.0, 0.02, 3.7, 25.0, 1e-40, 3.4e38])
    n = case.model.n_frequencies
    estimator = case.core.estimator()
    for _ in range(3):
        z_ohm = np.empty(n, dtype=np.complex128)
        z_ohm.real = data.draw(st.lists(number, min_size=n, max_size=n))
        z_ohm.imag = data.draw(st.lists(number, min_size=n, max_size=n))
        before = state_bytes(estimator)
        out = estimator.step(
            StepInput(
                elapsed_cycles=data.draw(st.just(10.0) | number),
                voltage_V=data.draw(st.just(3.7) | number),
                temperature_degC=data.draw(st.just(25.0) | number),
                z_ohm=z_ohm,
                valid=np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n))),
            )
        )
        assert np.isfinite(out.x).all() and np.isfinite(out.P).all() and (np.diag(out.P) > 0).all()
        assert np.isfinite(out.nis) and np.isfinite(out.readout).all() and (out.readout_sigma > 0).all()
        if out.status in (STATUS["REJECTED_INPUT"], STATUS["REJECTED_COVARIANCE"]):
            assert state_bytes(estimator) == before


@pytest.mark.parametrize("optimisation", ["-O0", "-O3"])
def test_equality_3_core_is_bit_equal_at_every_optimisation_level(
    case: Case, tmp_path: Path, optimisation: str
) -> None:
    codegen.generate(case.model, tmp_path)
    usual = case.core.estimator()
    other = CoreLibrary.build(tmp_path, options=(optimisation,)).estimator()
    for step in steps(case, 42, 10):
        a, b = usual.step(step), other.step(step)
        assert (a.status, a.n_used, a.nis) == (b.status, b.n_used, b.nis)
        for name in ("x", "P", "readout", "readout_sigma"):
            assert getattr(a, name).tobytes() == getattr(b, name).tobytes(), name
        assert state_bytes(usual) == state_bytes(other)


def test_cycles_beyond_the_last_node_stay_at_it(case: Case) -> None:
    if case.model.trajectory is None:
        assert case.core.model.n_nodes == 0
        return
    trajectory = case.core.ffi.new("trajectory_t *")
    state = np.random.default_rng(38).normal(size=case.model.n_states)
    for cycles, node in ((0.0, 0), (75.0, 1), (1e9, -1)):
        modes = case.core.ffi.new("float[]", case.model.n_modes)
        case.core.lib.trajectory_interpolate(trajectory, case.core.model, cycles)
        case.core.lib.trajectory_map_state(trajectory, state.tolist(), modes)
        expected = case.model.trajectory.mean[node] + np.array(case.model.trajectory.phi[node]) @ state
        assert np.allclose(list(modes), expected, rtol=0, atol=1e-5)
