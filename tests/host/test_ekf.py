"""The reference filter against filterpy, the textbook's batch form, finite differences and scipy's densities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from filterpy.kalman import ExtendedKalmanFilter
from scipy.stats import multivariate_normal

from eishil import wire
from eishil.filters.ekf import Ekf
from eishil.filters.observation import ModeMap, observations
from eishil.filters.step import StepInput
from eishil.model import Model
from eishil.network.mlp import FloatNetwork
from support.random_models import random_estimator, random_steps, with_refinements

STATUS = wire.ENUMS["status"]
SHAPES = {
    "modes": {},
    "no series": {"n_series_terms": 0},
    "latents": {"n_latents": 12},
    "bank": {"n_priors": 4, "n_readouts": 2},
    "all": {
        "n_latents": 7,
        "n_priors": 3,
        "n_series_terms": 2,
        "n_readouts": 3,
        "n_frequencies": 16,
        "hidden": (16, 8),
    },
    "refined": {"n_latents": 7, "n_priors": 2},
}


def estimator(shape: str, seed: int = 0) -> tuple[Model, FloatNetwork, list[StepInput]]:
    rng = np.random.default_rng(seed)
    model, network = random_estimator(rng, **SHAPES[shape])
    if shape == "refined":
        model = with_refinements(rng, model, temperature_effect=True)
    return model, network, list(random_steps(rng, model, network, 12, spoiled=0.1))


def whole(step: StepInput) -> StepInput:
    z = np.where(np.isfinite(step.z_ohm), step.z_ohm, 0.02 - 0.01j)
    return replace(step, z_ohm=np.abs(z.real) - 1j * np.abs(z.imag), valid=np.ones(len(z), bool))


def ln_z(step: StepInput) -> np.ndarray:
    return np.log(np.concatenate([step.z_ohm.real, -step.z_ohm.imag]))


def test_one_filter_equals_filterpy() -> None:
    model, network, steps = estimator("modes")
    ekf = Ekf(model, network)
    other = ExtendedKalmanFilter(model.n_states, model.n_observations)
    other.x, other.P = np.array(model.priors[0].mean), np.array(model.priors[0].covariance)
    for step in map(whole, steps):
        c = step.elapsed_cycles
        other.F, other.B = np.eye(model.n_states), np.array([s.drift_per_cycle for s in model.states])
        other.Q = np.diag([s.process_variance_per_cycle * c for s in model.states])
        other.predict(u=c)
        line = ekf.linearise(other.x, 0.0, step.voltage_V, step.temperature_degC)
        other.R = line.R
        other.update(ln_z(step), HJacobian=lambda x, line=line: line.H, Hx=lambda x, line=line: line.h)
        output = ekf.step(step)
        np.testing.assert_allclose(output.x, other.x, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(output.P, other.P, rtol=1e-7, atol=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
def test_step_equals_the_batch_form_with_explicit_inverse(shape: str) -> None:
    """Bar-Shalom et al. 5.4 for each filter and 11.6 for the mixture, on what the masks leave."""
    model, network, steps = estimator(shape)
    ekf = Ekf(model, network)
    drift = np.array([s.drift_per_cycle for s in model.states])
    q = np.array([s.process_variance_per_cycle for s in model.states])
    bank = [(np.log(p.weight), np.array(p.mean), np.array(p.covariance)) for p in model.priors]
    cycles = 0.0
    for step in steps:
        cycles += step.elapsed_cycles
        with np.errstate(invalid="ignore", divide="ignore"):
            ln = ln_z(step)
        updated = []
        for log_weight, x, P in bank:
            x, P = x + drift * step.elapsed_cycles, P + np.diag(q) * step.elapsed_cycles
            seen = observations(step.z_ohm, step.valid)
            line = ekf.expect(x, P, cycles, step.voltage_V, step.temperature_degC, seen)
            real_ok = step.valid & np.isfinite(step.z_ohm) & (step.z_ohm.real > 0)
            keep = np.concatenate([real_ok, real_ok & (step.z_ohm.imag < 0)]) & line.exists
            H, nu = line.H[keep], ln[keep] - line.h[keep]
            S = H @ P @ H.T + line.R[np.ix_(keep, keep)]
            K = P @ H.T @ np.linalg.inv(S)
            log_weight += multivariate_normal(np.zeros(len(nu)), S).logpdf(nu) + len(nu) * np.log(2 * np.pi) / 2
            updated.append(
                (log_weight, x + K @ nu, (np.eye(len(x)) - K @ H) @ P, nu @ np.linalg.inv(S) @ nu, keep.sum())
            )
        bank = [one[:3] for one in updated]
        weight = np.exp([one[0] - max(b[0] for b in bank) for one in bank])
        weight /= weight.sum()
        x = sum(w * one[1] for w, one in zip(weight, updated, strict=True))
        P = sum(w * (one[2] + np.outer(one[1] - x, one[1] - x)) for w, one in zip(weight, updated, strict=True))
        best = updated[int(np.argmax(weight))]
        output = ekf.step(step)
        np.testing.assert_allclose(output.x, x, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(output.P, P, rtol=1e-6, atol=1e-12)
        assert output.nis == pytest.approx(best[3], rel=1e-7)
        assert output.n_used == best[4]
        assert output.status == STATUS["OK" if best[4] == model.n_observations else "POINTS_SKIPPED"]


@pytest.mark.parametrize("shape", SHAPES)
def test_observation_jacobian_agrees_with_central_differences(shape: str) -> None:
    model, network, _ = estimator(shape)
    ekf = Ekf(model, network)
    x, cycles, context = np.array(model.priors[0].mean), 110.0, (3.7, 21.0)
    line = ekf.linearise(x, cycles, *context)
    assert line.exists.all()
    for k in range(model.n_states):
        step = 1e-5 * np.eye(model.n_states)[k]
        high, low = ekf.linearise(x + step, cycles, *context), ekf.linearise(x - step, cycles, *context)
        np.testing.assert_allclose(line.H[:, k], (high.h - low.h) / 2e-5, rtol=1e-5, atol=1e-7)


def test_noise_carries_voltage_and_temperature_errors_that_all_points_share() -> None:
    """The covariance of what a wrong voltage and a wrong temperature do to h, over many draws of them."""
    model, network, _ = estimator("modes")
    ekf = Ekf(model, network)
    x, V, T, noise = np.array(model.priors[0].mean), 3.7, 21.0, model.noise
    rng = np.random.default_rng(2)
    # A tenth of the errors, so that h is a straight line over them.
    errors = 0.1 * rng.standard_normal((4000, 2)) * [noise.voltage_std_V, noise.temperature_std_K]
    h = np.array([ekf.linearise(x, 0.0, V + dV, T + dT).h for dV, dT in errors])
    expected = 100.0 * np.cov(h.T)
    shared = ekf.linearise(x, 0.0, V, T).R - np.diag(noise.variance)
    std = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(shared / np.outer(std, std), expected / np.outer(std, std), atol=0.08)


def test_series_resistance_adds_to_the_real_part() -> None:
    model, network, _ = estimator("modes")
    ekf = Ekf(model, network)
    x = np.array(model.priors[0].mean)
    without, with_one = x.copy(), x.copy()
    without[-1], with_one[-1] = 0.0, 1.0  # mOhm
    z = [np.exp(ekf.linearise(one, 0.0, 3.7, 25.0).h) for one in (without, with_one)]
    n = model.n_frequencies
    np.testing.assert_allclose(z[1] - z[0], [1e-3] * n + [0.0] * n, atol=1e-12)


def test_observations_without_a_logarithm_are_left_out() -> None:
    """A state whose series resistance is negative enough predicts Re Z < 0."""
    model, network, steps = estimator("modes")
    ekf = Ekf(model, network)
    ekf.x[0, -1] = -1e3
    output = ekf.step(whole(steps[0]))
    assert output.status == STATUS["POINTS_SKIPPED"]
    assert output.n_used == model.n_frequencies
    assert np.isfinite(output.x).all()


def test_a_spectrum_without_points_is_a_prediction() -> None:
    model, network, steps = estimator("latents")
    ekf = Ekf(model, network)
    step = replace(whole(steps[1]), valid=np.zeros(model.n_frequencies, bool), elapsed_cycles=80.0)
    output = ekf.step(step)
    prior = model.priors[0]
    drift = np.array([s.drift_per_cycle for s in model.states])
    np.testing.assert_allclose(output.x, np.array(prior.mean) + 80.0 * drift)
    assert (output.n_used, output.nis, output.status) == (0, 0.0, STATUS["POINTS_SKIPPED"])


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"elapsed_cycles": -1.0}, "REJECTED_INPUT"),
        ({"elapsed_cycles": np.nan}, "REJECTED_INPUT"),
        ({"elapsed_cycles": np.inf}, "REJECTED_INPUT"),
        ({"voltage_V": 10.1}, "REJECTED_INPUT"),
        ({"voltage_V": np.nan}, "REJECTED_INPUT"),
        ({"temperature_degC": -60.1}, "REJECTED_INPUT"),
        ({"temperature_degC": np.inf}, "REJECTED_INPUT"),
    ],
)
def test_a_refused_step_changes_nothing(change: dict[str, float], status: str) -> None:
    model, network, steps = estimator("all")
    ekf = Ekf(model, network)
    before = ekf.step(steps[0])
    refused = ekf.step(replace(steps[1], **change))
    assert (refused.status, refused.n_used, refused.nis) == (STATUS[status], 0, 0.0)
    np.testing.assert_array_equal(refused.x, before.x)
    np.testing.assert_array_equal(refused.readout_sigma, before.readout_sigma)
    untouched = Ekf(model, network)
    untouched.step(steps[0])
    np.testing.assert_array_equal(ekf.step(steps[1]).x, untouched.step(steps[1]).x)


def test_a_covariance_that_is_none_refuses_the_step() -> None:
    model, network, steps = estimator("modes")
    ekf = Ekf(model, network)
    ekf.P[0] *= -1.0
    before = ekf.x.copy()
    with np.errstate(invalid="ignore"):
        assert ekf.step(whole(steps[0])).status == STATUS["REJECTED_COVARIANCE"]
    np.testing.assert_array_equal(ekf.x, before)


def test_a_lost_diagonal_refuses_even_a_spectrum_without_points() -> None:
    model, network, steps = estimator("modes")
    ekf = Ekf(model, network)
    ekf.P[0, 1, 1] = -1.0
    blind = replace(whole(steps[0]), valid=np.zeros(model.n_frequencies, bool))
    with np.errstate(invalid="ignore"):
        assert ekf.step(blind).status == STATUS["REJECTED_COVARIANCE"]


def test_latent_trajectory_is_linear_between_nodes_and_constant_beyond() -> None:
    model, _, _ = estimator("latents")
    assert model.trajectory is not None
    mean, phi = np.array(model.trajectory.mean), np.array(model.trajectory.phi)
    nodes = np.arange(len(mean)) * model.trajectory.cycle_spacing
    for cycles in (-5.0, 0.0, 10.0, 75.0, 262.5, 300.0, 1e4):
        got_mean, got_phi = ModeMap(model).at(cycles)
        np.testing.assert_allclose(got_mean, [np.interp(cycles, nodes, column) for column in mean.T], atol=1e-12)
        flat = phi.reshape(len(nodes), -1)
        np.testing.assert_allclose(got_phi.ravel(), [np.interp(cycles, nodes, one) for one in flat.T], atol=1e-12)


def test_mixture_moments_are_those_of_samples_from_the_bank() -> None:
    model, network, steps = estimator("bank")
    ekf = Ekf(model, network)
    output = ekf.step(replace(whole(steps[0]), valid=np.zeros(model.n_frequencies, bool)))
    rng = np.random.default_rng(1)
    weights = np.array([p.weight for p in model.priors])
    draws = np.concatenate(
        [
            rng.multivariate_normal(p.mean, p.covariance, int(200_000 * w))
            for p, w in zip(model.priors, weights / weights.sum(), strict=True)
        ]
    )
    width = np.sqrt(np.diag(output.P))
    np.testing.assert_allclose(output.x, draws.mean(axis=0), atol=0.01 * width.max())
    np.testing.assert_allclose(output.P, np.cov(draws.T), atol=0.02 * width.max() ** 2)
