"""The forecast against lives that are drawn from the filter's own posterior and followed to their end."""

from __future__ import annotations

import numpy as np
import pytest

from eishil.filters import readout
from eishil.filters.forecast import Forecast
from eishil.filters.step import StepOutput
from eishil.model import Mode, Model, Prior, Readout, State, Trajectory
from support.random_models import random_estimator

CYCLES = np.linspace(0.0, 1000.0, 11)
SOH = Readout(
    name="soh",
    unit="1",
    inputs=["loss"],
    input_mean=[0.2],
    input_scale=[3.0],
    w1=[[0.4]],
    b1=[0.0],
    w2=[-0.8],
    b2=0.8,
    residual_std=1e-4,
)


def make_model(**changes: object) -> Model:
    """One mode, which a life takes from 0 to 0.4, and SOH from about 1 to 0.6."""
    model, _ = random_estimator(np.random.default_rng(0), n_modes=1, n_series_terms=0)
    network = model.network.model_copy(update={"inputs": ["loss", *model.network.inputs[1:]]})
    usual = {"modes": [Mode(name="loss", unit="1", minimum=0.0, maximum=1.0)], "network": network, "readouts": [SOH]}
    return model.model_copy(update=usual | changes)


def latent_model() -> Model:
    share = CYCLES / 1000
    phi = 0.05 * np.stack([share, share**2], axis=1)[:, None, :]
    trajectory = Trajectory(cycle_spacing=100.0, mean=(0.4 * share)[:, None].tolist(), phi=phi.tolist())
    states = [State(name=f"a{i}", unit="1", drift_per_cycle=0.0, process_variance_per_cycle=1e-5) for i in range(2)]
    prior = Prior(weight=1.0, mean=[0.0, 0.0], covariance=np.eye(2).tolist())
    return make_model(states=states, trajectory=trajectory, priors=[prior])


def estimate(x: list[float], P: np.ndarray) -> StepOutput:
    return StepOutput(0, 22, 22.0, np.array(x), P, np.array([0.9]), np.array([0.01]))


def soh_of(loss: np.ndarray) -> np.ndarray:
    return readout.evaluate(SOH, ["loss"], loss[..., None])[0]


def test_remaining_life_has_the_quantiles_of_drawn_lives() -> None:
    rng = np.random.default_rng(1)
    x, P, now = [0.3, -0.4], np.array([[0.3, 0.1], [0.1, 0.4]]), 200.0
    life = Forecast(latent_model()).remaining_life(estimate(x, P), now)
    later = np.linspace(now, 1000.0, 401)
    steps = rng.normal(0.0, np.sqrt(1e-5 * (later[1] - now)), (6000, 400, 2))
    walk = np.concatenate([np.zeros((6000, 1, 2)), np.cumsum(steps, axis=1)], axis=1)
    a = rng.multivariate_normal(x, P, 6000)[:, None] + walk
    share = later / 1000
    lives = soh_of(0.4 * share + 0.05 * (a[..., 0] * share + a[..., 1] * share**2))
    end = later[np.argmax(lives < 0.8, axis=1)] - now
    assert (lives[:, -1] < 0.8).all()
    for got, quantile in ((life.low, 0.05), (life.median, 0.5), (life.high, 0.95)):
        assert got == pytest.approx(np.quantile(end, quantile), abs=8.0)


def test_an_end_beyond_the_horizon_is_not_invented_and_one_that_is_past_is_zero() -> None:
    forecast = Forecast(latent_model())
    slow, worn = (forecast.remaining_life(estimate([x, 0.0], 1e-6 * np.eye(2)), 900.0) for x in (-8.0, 4.0))
    assert (slow.low, slow.median, slow.high) == (np.inf, np.inf, np.inf)
    assert (worn.low, worn.median, worn.high) == (0.0, 0.0, 0.0)
    undecided = forecast.remaining_life(estimate([-4.2, 0.0], np.eye(2)), 900.0)
    assert undecided.low < 100.0 and undecided.high == np.inf


def test_a_random_walk_goes_on_with_its_drift() -> None:
    state = State(name="loss", unit="1", drift_per_cycle=4e-4, process_variance_per_cycle=1e-12)
    prior = Prior(weight=1.0, mean=[0.0], covariance=[[1.0]])
    forecast = Forecast(make_model(states=[state], priors=[prior]), horizon_cycles=2000.0)
    life = forecast.remaining_life(estimate([0.1], np.array([[1e-10]])), 100.0)
    loss_at_limit = 0.2  # where SOH's only tanh is 0
    assert life.median == pytest.approx((loss_at_limit - 0.1) / 4e-4, rel=1e-3)


def test_modes_come_with_their_covariance() -> None:
    P = np.array([[0.3, 0.1], [0.1, 0.4]])
    modes, covariance = Forecast(latent_model()).modes(estimate([0.5, 1.0], P), 500.0)
    gradient = 0.05 * np.array([0.5, 0.25])
    np.testing.assert_allclose(modes, [0.2 + gradient @ [0.5, 1.0]])
    np.testing.assert_allclose(covariance, [[gradient @ P @ gradient]])
