"""The estimator in C against the float64 reference, against the textbook's batch form, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eishil import codegen, wire
from eishil.ccore import CEstimator, CoreLibrary
from eishil.filters.ekf import Ekf
from eishil.filters.observation import ModeMap
from eishil.filters.step import StepInput, StepOutput
from eishil.filters.ukf import reference_filter
from eishil.model import Model
from eishil.network.integer import IntegerReference
from support.core_cases import Case
from support.random_models import random_steps

STATUS = wire.ENUMS["status"]
N_STEPS = 30


def state_bytes(estimator: CEstimator) -> bytes:
    return bytes(estimator.core.ffi.buffer(estimator.state))


def steps(case: Case, seed: int, n_steps: int = N_STEPS, spoiled: float = 0.05) -> list[StepInput]:
    rng = np.random.default_rng(seed)
    return list(random_steps(rng, case.model, case.network, n_steps, spoiled=spoiled))


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


@given(data=st.data())
def test_any_numbers_are_survived(core: CoreLibrary, data: st.DataObject) -> None:
    """A step is applied whole and leaves finite numbers, or it is refused and changes nothing."""
    number = st.floats(width=32) | st.sampled_from([0.0, 0.02, 3.7, 25.0, 1e-40, 3.4e38])
    n = core.model.n_frequencies
    estimator = core.estimator()
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


def channel_gradients(case: Case) -> np.ndarray:
    """How the channels depend on the state at cycle 0, (n_channels, n): the network's modes, the series terms."""
    model = case.model
    phi = np.eye(model.n_states) if model.trajectory is None else np.array(model.trajectory.phi[0])
    scale = np.array(model.network.jacobian_column_scale)[:-2, None]
    read = [model.mode_index(name) for name in model.network.inputs[:-2]]
    return np.concatenate([scale * phi[read], phi[[model.mode_index(term.mode) for term in model.series_terms]]])


def n_contexts(case: Case) -> int:
    """Errors that all observations share: of voltage and temperature, or with an effect by itself of temperature."""
    return 1 if case.model.noise.temperature_effect else 2


def condition(
    case: Case, f: Any, gradient: np.ndarray, v: np.ndarray, nu: np.ndarray, std: np.ndarray
) -> tuple[bool, float, float]:
    """Compress m observations, the context's channels first, and update `f`: whether it is sound, NIS and ln det S."""
    ffi, lib = case.core.ffi, case.core.lib
    observations = ffi.new("observation_t[]", len(nu))
    for row, g, variance, innovation in zip(observations, gradient, v, nu, strict=True):
        row.gradient, row.weight = g.tolist(), 1 / variance
        row.weighted_innovation, row.length = innovation / variance, innovation**2 / variance
    seen = ffi.new("pseudo_observation_t[]", case.core.model.network.n_inputs + case.core.model.n_series_terms)
    trajectory, nis, log_det = ffi.new("trajectory_t *"), ffi.new("float *"), ffi.new("float *", np.log(v).sum())
    lib.trajectory_interpolate(trajectory, case.core.model, 0.0)
    n_seen = lib.information_compress(observations, len(nu), std.tolist(), seen, nis, log_det)
    sound = lib.ekf_update(f, case.core.model, trajectory, seen, n_seen, nis, log_det)
    return sound, nis[0], log_det[0]


@pytest.mark.parametrize("std", [(0.0, 0.0), (0.7, 0.0), (0.6, 1.5)])
@pytest.mark.parametrize("m", [0, 1, 12])
def test_compressed_updates_equal_the_batch_form(case: Case, m: int, std: tuple[float, float]) -> None:
    """X + K nu and (I - K H) P with K = P H' (H P H' + R)^-1, Bar-Shalom et al. 2001, 5.2; R with shared errors."""
    rng = np.random.default_rng(39)
    n, channels = case.model.n_states, channel_gradients(case)
    root = rng.normal(size=(n, n))
    x, P = rng.normal(size=n), root @ root.T + np.eye(n)
    gradient = rng.normal(size=(m, len(channels))) / np.linalg.norm(channels, axis=1)
    shared_std = np.array([*[1.0] * (case.model.curvature is not None), *std[: n_contexts(case)]])
    context = rng.normal(size=(m, len(shared_std)))
    H, v, nu = gradient @ channels, rng.uniform(0.5, 2.0, m), rng.normal(size=m)
    S = H @ P @ H.T + np.diag(v) + (context * shared_std**2) @ context.T
    K = P @ H.T @ np.linalg.inv(S)
    f = new_filter(case.core, x, P)
    shared = np.hstack([context, gradient])
    sound, nis, log_det = condition(case, f, shared, v, nu, shared_std[-n_contexts(case) :])
    assert sound
    assert np.allclose(list(f.x), x + K @ nu, atol=2e-4)
    assert np.allclose(list(f.P), (P - K @ H @ P)[np.triu_indices(n)], atol=2e-4)
    assert np.isclose(nis, nu @ np.linalg.solve(S, nu), rtol=1e-4)
    if len(case.model.priors) > 1:
        assert np.isclose(log_det, np.linalg.slogdet(S)[1], rtol=1e-4)
    g = rng.normal(size=n)
    assert np.isclose(case.core.lib.gaussian_variance(f, g.tolist()), g @ (P - K @ H @ P) @ g, rtol=1e-3)


def test_what_no_observation_tells_is_left_alone(case: Case) -> None:
    """Two equal gradients are one direction: the second pivot is rounding, and no pseudo-observation."""
    n, channels = case.model.n_states, channel_gradients(case)
    f = new_filter(case.core, np.zeros(n), np.eye(n))
    gradient = np.ones((2, len(channels))) / np.linalg.norm(channels, axis=1)
    H = gradient @ channels
    nothing_shared = np.zeros((2, n_contexts(case) + (case.model.curvature is not None)))
    both = np.hstack([nothing_shared, gradient])
    sound, nis, _ = condition(case, f, both, np.ones(2), np.array([1.0, 1.0]), np.zeros(n_contexts(case)))
    S = H @ H.T + np.eye(2)
    assert sound and np.isclose(nis, np.linalg.solve(S, [1, 1]).sum(), rtol=1e-4)
    assert np.allclose(list(f.P), (np.eye(n) - H.T @ np.linalg.solve(S, H))[np.triu_indices(n)], atol=1e-4)


@pytest.mark.parametrize("variance", [-1e6, np.nan, np.inf])
def test_update_refuses_a_variance_that_is_none(case: Case, variance: float) -> None:
    n, channels = case.model.n_states, channel_gradients(case)
    f = new_filter(case.core, np.zeros(n), np.eye(n))
    seen = case.core.ffi.new("pseudo_observation_t *")
    seen.gradient = (1 / np.linalg.norm(channels, axis=1)).tolist()
    seen.innovation, seen.variance = 0.1, variance
    trajectory, sums = case.core.ffi.new("trajectory_t *"), case.core.ffi.new("float[2]")
    case.core.lib.trajectory_interpolate(trajectory, case.core.model, 0.0)
    assert not case.core.lib.ekf_update(f, case.core.model, trajectory, seen, 1, sums, sums + 1)


@pytest.mark.parametrize("spoil", [{"x": np.nan}, {"x": np.inf}, {"P": 0.0}, {"P": -1.0}, {"P": np.nan}, {"P": np.inf}])
def test_soundness(core: CoreLibrary, spoil: dict[str, float]) -> None:
    n = core.model.n_states
    f = new_filter(core, np.zeros(n), np.eye(n))
    assert core.lib.gaussian_is_sound(f)
    for name, value in spoil.items():
        array = getattr(f, name)
        array[len(array) - 1] = value
    assert not core.lib.gaussian_is_sound(f)


def new_filter(core: CoreLibrary, x: np.ndarray, P: np.ndarray) -> Any:
    return core.ffi.new("gaussian_t *", {"x": x.tolist(), "P": P[np.triu_indices(len(x))].tolist()})
