"""What observations say together, in C, against the textbook's batch form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eishil.ccore import CoreLibrary
from support.core_cases import Case, new_filter


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
        row.gradient, row.weight = g[: len(row.gradient)].tolist(), 1 / variance
        if case.model.series_terms:
            row.by_term = g[len(row.gradient) :].tolist()
        row.weighted_innovation = innovation / variance
    everything = ffi.new("observations_t *")
    everything.row, everything.n = observations, len(nu)
    everything.length, everything.log_det = (nu**2 / v).sum(), np.log(v).sum()
    seen = ffi.new("pseudo_observation_t[]", case.core.model.network.n_inputs + case.core.model.n_series_terms)
    trajectory, nis, log_det = ffi.new("trajectory_t *"), ffi.new("float *"), ffi.new("float *")
    lib.trajectory_interpolate(trajectory, case.core.model, 0.0)
    n_seen = lib.information_compress(everything, std.tolist(), seen, nis, log_det)
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
    for term, by_term in zip(case.model.series_terms, gradient.T[case.model.network.n_inputs - 2 :], strict=True):
        by_term[np.flatnonzero(term.coefficient)[-1] + 1 :] = 0  # only the first observations have one
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
