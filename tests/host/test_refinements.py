"""Instrument noise, curvature and temperature effect of a model against draws of what they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from eishil.filters.ekf import Ekf
from eishil.filters.observation import observations
from eishil.filters.step import StepInput
from eishil.model import Curvature, Model
from eishil.network.noise import with_linear_context
from support.random_models import random_estimator

CONTEXT = (3.7, 21.0)


def with_noise(model: Model, **changed: Any) -> Model:
    return Model.model_validate(model.model_dump() | {"noise": model.noise.model_dump() | changed})


@dataclass(frozen=True)
class QuadraticNetwork:
    """y = offset + slope v + bend (gradient . v)^2, with v the modes, voltage and inverse temperature."""

    offset: np.ndarray  # (m,)
    slope: np.ndarray  # (m, n_inputs)
    bend: np.ndarray  # (m,)
    gradient: np.ndarray  # (n_inputs,)

    def evaluate(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        along = (v @ self.gradient)[..., None]
        J = self.slope + (2 * self.bend * along)[..., None] * self.gradient
        return self.offset + v @ self.slope.T + self.bend * along**2, J


def quadratic(bend: float, **shape: int) -> tuple[Model, QuadraticNetwork, np.ndarray]:
    """A model whose network is curved along one combination of its modes, and that combination as its curvature."""
    rng = np.random.default_rng(11)
    model, _ = random_estimator(rng, **shape)  # type: ignore[arg-type]
    m, n_in = model.n_observations, model.network.n_inputs
    gradient = np.array([*rng.normal(0.0, 1.0, n_in - 2), 0.0, 0.0])
    offset, slope, bends = np.full(m, np.log(0.02)), rng.normal(0.0, 0.3, (m, n_in)), bend * rng.normal(0.0, 1.0, m)
    slope[:, -2:] = 0.0
    by_mode = np.zeros(model.n_modes)
    by_mode[[model.mode_index(name) for name in model.network.inputs[:-2]]] = gradient[:-2]
    curved = model.model_copy(update={"curvature": Curvature(gradient=by_mode.tolist())})
    return curved, QuadraticNetwork(offset, slope, bends, gradient), by_mode


def test_instrument_noise_is_what_a_share_of_the_magnitude_does_to_the_logarithm_of_a_part() -> None:
    rng, std = np.random.default_rng(1), 0.003
    model, network = random_estimator(rng)
    model = with_noise(model, instrument_std=std)
    F, draws = model.n_frequencies, 20_000
    clean = 0.02 * np.exp(-1j * np.linspace(0.1, 1.4, F))  # from nearly resistive to nearly capacitive
    errors = rng.standard_normal((draws, F)) + 1j * rng.standard_normal((draws, F))
    noisy = observations(clean + std * np.abs(clean) * errors, np.ones((draws, F), bool))
    ekf = Ekf(model, network)
    line = ekf.linearise(np.array(model.priors[0].mean), 0.0, *CONTEXT)
    own = ekf.with_instrument_noise(line, observations(clean, np.ones(F, bool))).R - line.R
    np.testing.assert_allclose(own, np.diag(np.diag(own)), atol=0.0)
    np.testing.assert_allclose(np.diag(own), noisy.z.var(axis=0), rtol=0.06)  # 6 standard deviations of a variance


def test_noise_of_a_point_that_is_not_there_is_finite() -> None:
    model, network = random_estimator(np.random.default_rng(2))
    model = with_noise(model, instrument_std=0.003)
    z_ohm = np.full(model.n_frequencies, 0.02 - 0.01j)
    z_ohm[:5] = [np.nan, np.inf, -0.02 - 0.01j, 0.02 + 0.01j, 0.0]
    ekf, seen = Ekf(model, network), observations(z_ohm, np.ones(len(z_ohm), bool))
    assert seen.usable.sum() == 2 * (model.n_frequencies - 5) + 1
    line = ekf.linearise(np.array(model.priors[0].mean), 0.0, *CONTEXT)
    assert np.isfinite(ekf.with_instrument_noise(line, seen).R).all()


@pytest.mark.parametrize("latents", [0, 6])
def test_curvature_gives_the_moments_of_what_a_curved_network_makes_of_gaussian_states(latents: int) -> None:
    model, network, _ = quadratic(2.0, n_series_terms=0, n_latents=latents)
    ekf, cycles = Ekf(model, network), 110.0
    x, P = np.array(model.priors[0].mean), np.array(model.priors[0].covariance)
    seen = observations(np.full(model.n_frequencies, 0.02 - 0.01j), np.ones(model.n_frequencies, bool))
    expected = ekf.expect(x, P, cycles, *CONTEXT, seen)
    states = np.random.default_rng(3).multivariate_normal(x, P, 30_000)
    h = ekf.linearise(states, np.full(len(states), cycles), *(np.full(len(states), one) for one in CONTEXT)).h
    S = expected.H @ P @ expected.H.T + expected.R - np.diag(model.noise.variance)
    std = np.sqrt(np.diag(S))
    np.testing.assert_allclose((expected.h - h.mean(axis=0)) / std, 0.0, atol=4 / np.sqrt(len(states)))
    np.testing.assert_allclose(np.cov(h.T) / np.outer(std, std), S / np.outer(std, std), atol=0.05)
    once = ekf.linearise(x, cycles, *CONTEXT)
    assert np.abs((once.h - h.mean(axis=0)) / std).max() > 0.3, "the example is hardly curved"


def test_curvature_of_the_network_counts_by_its_share_of_the_observation() -> None:
    """Against the logarithm of the sum itself, for a curvature that is small."""
    model, network, gradient = quadratic(1e-5)
    ekf, n = Ekf(model, network), model.n_frequencies
    x, P = np.array(model.priors[0].mean), np.array(model.priors[0].covariance)
    x[-1] = 8.0  # mOhm in series, with 20 mOhm of the cell
    expected = ekf.expect(x, P, 0.0, *CONTEXT, observations(np.full(n, 0.02 - 0.01j), np.ones(n, bool)))
    once = ekf.linearise(x, 0.0, *CONTEXT)
    series = 1e-3 * x[-1] * np.repeat([1.0, 0.0], n)
    bent = np.log((np.exp(once.h) - series) * np.exp(network.bend * (gradient @ P @ gradient)) + series)
    np.testing.assert_allclose(expected.h - once.h, bent - once.h, rtol=1e-3)


def test_no_variance_along_the_gradient_is_no_curvature() -> None:
    model, network, _ = quadratic(2.0)
    x, P = np.array(model.priors[0].mean), np.zeros((model.n_states, model.n_states))
    ekf, n = Ekf(model, network), model.n_frequencies
    expected = ekf.expect(x, P, 0.0, *CONTEXT, observations(np.full(n, 0.02 - 0.01j), np.ones(n, bool)))
    np.testing.assert_array_equal(expected.h, ekf.linearise(x, 0.0, *CONTEXT).h)


def test_a_curved_observation_is_believed_as_far_as_it_tells() -> None:
    """One state, z = x^2 with much doubt about x: nearer to the exact posterior than a filter without curvature."""
    model, _ = random_estimator(np.random.default_rng(4), n_modes=1, n_series_terms=0, n_frequencies=1, hidden=(3,))
    model = with_noise(model, variance=[0.01, 1e6], voltage_std_V=0.0, temperature_std_K=0.0)
    curved = model.model_copy(update={"curvature": Curvature(gradient=[1.0])})
    network = QuadraticNetwork(np.zeros(2), np.zeros((2, 3)), np.array([1.0, 0.0]), np.array([1.0, 0.0, 0.0]))
    grid = np.linspace(-2, 3, 20_001)
    for z in (0.1, 0.3, 0.8):
        posterior = norm.pdf(grid, 0.5, 0.3) * norm.pdf(z, grid**2, 0.1)
        step = StepInput(0.0, *CONTEXT, np.array([np.exp(z) - 1.0j]), np.ones(1, bool))
        scores = []
        for ekf in (Ekf(curved, network), Ekf(model, network)):
            ekf.x, ekf.P = np.array([[0.5]]), np.array([[[0.09]]])
            output = ekf.step(step)
            density = norm.logpdf(grid, output.x[0], np.sqrt(output.P[0, 0]))
            scores.append(np.average(density, weights=posterior))
        assert scores[0] > scores[1]


def test_temperature_effect_is_the_slope_of_the_network_that_it_stands_for() -> None:
    """Of a network that is quadratic in the inverse temperature, by central differences in kelvin."""
    model, plain, _ = quadratic(0.0)
    rng, m = np.random.default_rng(5), model.n_observations
    by_inverse = rng.normal(0.0, 1.0, (m, 2))

    class Warm:
        def evaluate(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            y, J = plain.evaluate(v)
            w = v[..., -1:]
            return y + by_inverse[:, 0] * (w - 3.4) + by_inverse[:, 1] * (w**2 - 3.4**2) / 2, J

    model = with_noise(model, temperature_effect=by_inverse.tolist(), voltage_std_V=0.0, temperature_std_K=0.5)
    ekf, x, (V, T) = Ekf(model, Warm()), np.array(model.priors[0].mean), CONTEXT
    by_kelvin = (ekf.linearise(x, 0.0, V, T + 0.01).h - ekf.linearise(x, 0.0, V, T - 0.01).h) / 0.02
    shared = ekf.linearise(x, 0.0, V, T).R - np.diag(model.noise.variance)
    np.testing.assert_allclose(shared, 0.25 * np.outer(by_kelvin, by_kelvin), rtol=1e-4, atol=1e-9)


def test_linear_context_is_found_again_in_a_network_that_has_it() -> None:
    """dy/d(1000/T) is a straight line of 1000/T for every output, dy/dV differs from input to input."""
    model, _ = random_estimator(np.random.default_rng(6))
    rng, m = np.random.default_rng(7), model.n_observations
    v = np.column_stack([rng.uniform(0.0, 0.3, (500, model.network.n_inputs - 2)), *rng.uniform(3.2, 4.0, (2, 500))])
    line = rng.normal(0.0, 1.0, (m, 2))
    by_voltage = 0.3 * v[:, :1] + rng.normal(0.0, 0.1, m)

    class Contexts:
        def evaluate(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            J = np.zeros((len(v), m, v.shape[-1]))
            J[..., -2], J[..., -1] = by_voltage, line[:, 0] + line[:, 1] * v[:, -1:]
            return np.zeros((len(v), m)), J

    noise = with_linear_context(model.noise, Contexts(), v)
    np.testing.assert_allclose(noise.temperature_effect, line, rtol=1e-9)
    draws = by_voltage[None] * rng.normal(0.0, model.noise.voltage_std_V, (400, 500, 1))
    added = np.array(noise.variance) - model.noise.variance
    np.testing.assert_allclose(added, draws.reshape(-1, m).var(axis=0), rtol=0.02)
    assert (noise.voltage_std_V, noise.temperature_std_K) == (0.0, model.noise.temperature_std_K)
