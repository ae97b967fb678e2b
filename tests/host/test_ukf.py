"""The unscented reference against filterpy's filter, and against what sigma points are to have in common with P."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from filterpy.kalman import MerweScaledSigmaPoints, UnscentedKalmanFilter

from eishil import wire
from eishil.filters.ekf import Ekf
from eishil.filters.observation import observations
from eishil.filters.ukf import Ukf, reference_filter, sigma_points
from eishil.model import Model
from eishil.network.mlp import FloatNetwork
from support.random_models import random_estimator, random_steps, with_refinements

STATUS = wire.ENUMS["status"]


def make_model(**shape: int) -> tuple[Model, FloatNetwork]:
    model, network = random_estimator(np.random.default_rng(5), **shape)  # type: ignore[arg-type]
    return model.model_copy(update={"filter": "ukf"}), network


def filterpy_filter(ukf: Ukf) -> UnscentedKalmanFilter:
    n = ukf.model.n_states
    points = MerweScaledSigmaPoints(n, alpha=1.0, beta=2.0, kappa=0.0)
    other = UnscentedKalmanFilter(
        n, ukf.model.n_observations, dt=1.0, hx=lambda x: x, fx=lambda x, dt: x, points=points
    )
    other.x, other.P = ukf.x[0].copy(), ukf.P[0].copy()
    return other


@pytest.mark.parametrize("refined", [False, True])
@pytest.mark.parametrize("shape", [{}, {"n_latents": 7}, {"n_modes": 1, "n_series_terms": 0}])
def test_agrees_with_filterpy(shape: dict[str, int], refined: bool) -> None:
    model, network = make_model(**shape)
    if refined:
        model = with_refinements(np.random.default_rng(4), model, temperature_effect=True)
    ukf = Ukf(model, network)
    other = filterpy_filter(ukf)
    for step in random_steps(np.random.default_rng(6), model, network, 6, spoiled=0.0):
        x_minus, P_minus = ukf.predict(other.x, other.P, step.elapsed_cycles)
        cycles = ukf.cycles + step.elapsed_cycles
        seen = observations(step.z_ohm, step.valid)
        line = ukf.linearise(x_minus, cycles, step.voltage_V, step.temperature_degC)
        R = ukf.with_instrument_noise(line, seen).R
        other.x, other.P = x_minus, P_minus
        other.sigmas_f = other.points_fn.sigma_points(x_minus, P_minus)
        other.update(
            seen.z,
            R=R,
            hx=lambda x, c=cycles, s=step: ukf.linearise(x, c, s.voltage_V, s.temperature_degC).h,
        )
        out = ukf.step(step)
        assert out.status == STATUS["OK"]
        assert np.allclose(out.x, other.x, rtol=1e-9, atol=1e-12)
        assert np.allclose(out.P, other.P, rtol=1e-7, atol=1e-14)
        assert np.isclose(out.nis, other.y @ np.linalg.solve(other.S, other.y))


def test_sigma_points_have_mean_and_covariance() -> None:
    x, root = np.array([1.0, -2.0, 0.5]), np.random.default_rng(7).normal(size=(3, 3))
    P = root @ root.T
    points = sigma_points(x, P)
    assert np.allclose(points[1:].mean(axis=0), x)
    assert np.allclose((points - x).T @ (points - x) / 6, P)


def test_masked_points_are_left_out() -> None:
    model, network = make_model()
    step = next(iter(random_steps(np.random.default_rng(8), model, network, 1, spoiled=0.0)))
    valid = np.arange(model.n_frequencies) % 2 == 0
    out = Ukf(model, network).step(replace(step, valid=valid))
    assert (out.status, out.n_used) == (STATUS["POINTS_SKIPPED"], 2 * valid.sum())


@pytest.mark.parametrize("variance", [-1.0, np.nan])
def test_a_lost_covariance_is_refused(variance: float) -> None:
    model, network = make_model()
    ukf = Ukf(model, network)
    ukf.P[0, 0, 0] = variance
    step = next(iter(random_steps(np.random.default_rng(9), model, network, 1)))
    assert ukf.step(step).status == STATUS["REJECTED_COVARIANCE"]


def test_the_model_names_the_filter() -> None:
    model, network = make_model()
    assert isinstance(reference_filter(model, network), Ukf)
    extended = model.model_copy(update={"filter": "ekf"})
    assert type(reference_filter(extended, network)) is Ekf
    assert model.model_id != extended.model_id
