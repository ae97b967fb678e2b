"""Training, process models and the choice between them, on small problems with known answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eishil.dataset.recipe import NetworkRecipe, Recipe
from eishil.filters import readout
from eishil.filters.choice import Candidate, choose
from eishil.filters.ekf import Ekf
from eishil.filters.population import (
    AgeingPath,
    empirical_moments,
    latent_trajectories,
    level_and_velocity_moments,
    random_walk,
)
from eishil.filters.replay import Estimates, MeasuredCell
from eishil.model import Mode, Model
from eishil.network.onnx_files import load_float_network
from eishil.network.samples import NetworkSamples
from eishil.network.soap import Schedule, loss_and_gradients, minimise
from eishil.network.train import fit_network, residual_rms
from eishil.progress import silent
from support.central_differences import check_gradients
from support.random_models import random_estimator, random_steps

ROOT = Path(__file__).parents[2]
FIRST_LIGHT = ROOT / "datasets/models/first_light"
MODES = [Mode(name=name, unit="1", minimum=0.0, maximum=1.0) for name in ("a", "b")]


def smooth_samples(rng: np.random.Generator, n: int) -> NetworkSamples:
    """A circuit: resistance, one arc and a Warburg tail, at 0.1 and 100 Hz."""
    v = rng.uniform([0, 0, 0, 0, 3.4, 3.2], [0.3, 0.3, 0.3, 1.5, 4.0, 3.5], (n, 6))
    omega = 2 * np.pi * np.array([0.1, 100.0])
    arc = (0.01 + 0.01 * v[:, 3] + 0.02 * v[:, 1]) * np.exp(2 * (v[:, 5] - 3.35))
    tail = 0.01 * (1 + v[:, 0] + (v[:, 4] - 3.7) ** 2) / (1 - v[:, 2])
    z = 0.01 + arc[:, None] / (1 + 1j * omega * 0.01) + tail[:, None] / np.sqrt(1j * omega)
    return NetworkSamples(v, np.log(np.concatenate([z.real, -z.imag], axis=1)))


def settings(**changes: object) -> NetworkRecipe:
    values = {"hidden": [12, 12], "frequency_Hz": [0.1, 100.0], "seed": 3, "epochs": 60, "batch": 64}
    return NetworkRecipe(**(values | changes))


def test_training_learns_a_circuit_and_does_so_again() -> None:
    rng = np.random.default_rng(0)
    train, fresh = smooth_samples(rng, 1500), smooth_samples(rng, 500)
    network, loss = fit_network(settings(), train, silent)
    assert loss[0] > loss[10] > loss[-1]
    assert np.all(residual_rms(network, fresh) < 0.05 * fresh.ln_ohm.std())
    again, _ = fit_network(settings(), train, silent)
    for one, other in zip(network.weights, again.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    other, _ = fit_network(settings(seed=4), train, silent)
    assert not np.array_equal(network.weights[0], other.weights[0])


def test_random_walk_has_the_population_slope_and_width() -> None:
    """Straight paths of 1000 cycles whose ends have a known mean and spread."""
    ends = np.array([[0.1, 0.3], [0.2, 0.5], [0.3, 0.4]])
    cycles = np.linspace(0.0, 1000.0, 11)
    paths = [AgeingPath(cycles, 0.01 + cycles[:, None] / 1000 * end) for end in ends]
    process = random_walk(paths, MODES, std_scale=2.0)
    np.testing.assert_allclose([s.drift_per_cycle for s in process.states], ends.mean(axis=0) / 1000)
    variance = [s.process_variance_per_cycle for s in process.states]
    np.testing.assert_allclose(variance, 4.0 * ends.var(axis=0) / 1000)
    np.testing.assert_allclose(process.priors[0].mean, [0.01, 0.01])


def test_latent_trajectories_have_the_moments_of_the_population() -> None:
    rng = np.random.default_rng(1)
    cycles = np.linspace(0.0, 900.0, 10)
    paths = [
        AgeingPath(cycles, np.column_stack([a * (cycles / 900) ** p, b + a * cycles / 900]))
        for a, b, p in rng.uniform([0.1, 0.0, 0.5], [0.3, 0.1, 1.5], (40, 3))
    ]
    process = latent_trajectories(empirical_moments(paths, 10), np.eye(2), n_latents=16, std_scale=1.0)
    trajectory = process.trajectory
    assert trajectory is not None
    assert trajectory.cycle_spacing == pytest.approx(100.0)
    curves = np.array([path.modes for path in paths])
    np.testing.assert_allclose(trajectory.mean, curves.mean(axis=0), atol=1e-12)
    phi = np.array(trajectory.phi)
    np.testing.assert_allclose(np.sum(phi**2, axis=2), curves.var(axis=0, ddof=1), rtol=1e-3, atol=1e-9)
    first_two = np.cov(curves[:, 3, 0], curves[:, 8, 1])[0, 1]
    assert phi[3, 0] @ phi[8, 1] == pytest.approx(first_two, rel=1e-3)


def test_a_path_that_ends_early_goes_on_with_its_last_slope() -> None:
    line = np.linspace(0.0, 1.0, 11)[:, None] * [1.0, 2.0]
    full, short = AgeingPath(np.linspace(0, 100, 11), line), AgeingPath(np.linspace(0, 50, 6), line[:6])
    bent = AgeingPath(full.cycles, line**2)
    process = latent_trajectories(empirical_moments([full, short, bent], 11), np.eye(2), n_latents=2, std_scale=1.0)
    assert process.trajectory is not None
    np.testing.assert_allclose(process.trajectory.mean, (2 * line + line**2) / 3, atol=1e-12)


def test_what_is_worth_more_is_kept_first() -> None:
    """One latent for two independent modes of equal width takes the one that matters."""
    rng = np.random.default_rng(4)
    cycles = np.linspace(0.0, 100.0, 5)
    paths = [AgeingPath(cycles, np.outer(cycles / 100, ends)) for ends in rng.normal(size=(50, 2))]
    for first, worth in ((0, [4.0, 1.0]), (1, [1.0, 4.0])):
        process = latent_trajectories(empirical_moments(paths, 5), np.diag(worth), n_latents=1, std_scale=1.0)
        assert process.trajectory is not None
        phi = np.abs(np.array(process.trajectory.phi)[-1, :, 0])
        assert phi[first] > 3 * phi[1 - first]


def test_latents_walk_by_what_is_said_over_a_life() -> None:
    cycles = np.linspace(0.0, 500.0, 6)
    paths = [AgeingPath(cycles, np.outer(cycles, ends)) for ends in np.random.default_rng(6).normal(size=(9, 2))]
    process = latent_trajectories(empirical_moments(paths, 6), np.eye(2), 2, std_scale=1.5, walk_std=0.4)
    assert [state.process_variance_per_cycle * 500.0 for state in process.states] == pytest.approx([0.16, 0.16])
    np.testing.assert_allclose(process.priors[0].covariance, 2.25 * np.eye(2))


def test_velocities_that_walk_have_the_covariance_of_their_simulation() -> None:
    """Against paths whose velocity is changed at random in a thousand small steps."""
    rng = np.random.default_rng(7)
    cycles = np.linspace(0.0, 1000.0, 6)
    ends = rng.normal([0.2, 0.4], [0.05, 0.1], (400, 2))
    paths = [AgeingPath(cycles, rng.normal(0.0, 0.01, 2) + np.outer(cycles / 1000, end)) for end in ends]
    moments = level_and_velocity_moments(paths, 6)
    start = np.array([path.modes[0] for path in paths])
    slope = np.array([path.modes[-1] - path.modes[0] for path in paths]) / 1000
    n, steps = 4000, 1000
    velocity = rng.normal(0, slope.std(axis=0), (n, 2))[:, None] + np.cumsum(
        rng.normal(0, 1, (n, steps, 2)) * slope.std(axis=0) / np.sqrt(steps), axis=1
    )
    lives = rng.normal(0, start.std(axis=0), (n, 2))[:, None] + np.cumsum(velocity, axis=1)
    simulated = np.cov(lives[:, [399, 999], 1].T)
    covariance = moments.covariance.reshape(6, 2, 6, 2)
    np.testing.assert_allclose(covariance[np.ix_([2, 5], [1], [2, 5], [1])].reshape(2, 2), simulated, rtol=0.1)
    assert np.all(covariance[:, 0, :, 1] == 0)


def test_gradients_of_the_loss_agree_with_central_differences() -> None:
    rng = np.random.default_rng(8)
    sizes = ((5, 3), (4, 5), (2, 4))
    parameters = [rng.normal(size=size) for size in sizes] + [rng.normal(size=size[0]) for size in sizes]
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    check_gradients(loss_and_gradients, parameters, x, y)


def test_training_gets_through_a_narrow_valley() -> None:
    """A linear layer on inputs of very different and correlated sizes reaches what least squares does."""
    rng = np.random.default_rng(9)
    x = (rng.normal(size=(512, 4)) @ (rng.normal(size=(4, 4)) * [3.0, 1.0, 0.1, 0.03])).astype(np.float32)
    y = (x @ rng.normal(size=(4, 2)) + 0.01 * rng.normal(size=(512, 2))).astype(np.float32)
    design = np.column_stack([x, np.ones(512)])
    least = np.mean((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2)
    start = [np.zeros((2, 4), np.float32), np.zeros(2, np.float32)]
    trained = minimise(start, x, y, Schedule(300, 64, 0.1), rng, lambda done, loss: None)
    assert loss_and_gradients(trained, x, y)[0] < 1.1 * least


def test_score_asks_for_small_errors_and_honest_sigmas() -> None:
    label = np.zeros(1000)
    error = np.random.default_rng(2).normal(0.0, 0.01, 1000)

    def score(scale: float, sigma: float) -> float:
        return Estimates(scale * error, np.full(1000, sigma), label, label, label).negative_log_likelihood

    assert score(1.0, 0.01) < min(score(1.0, 0.002), score(1.0, 0.05), score(3.0, 0.03))
    honest = Estimates(error, np.full(1000, 0.01), label, label, label)
    assert honest.nees_mean == pytest.approx(1.0, abs=0.15)
    assert honest.coverage(1.0) == pytest.approx(0.683, abs=0.04)
    assert honest.coverage(2.0) == pytest.approx(0.954, abs=0.02)


def test_choice_finds_the_noise_that_the_spectra_have() -> None:
    """Spectra of the model's own states with 0.02 ln ohm of noise: too small and too large a floor score worse."""
    rng = np.random.default_rng(5)
    model, network = random_estimator(rng, n_readouts=1)
    still = [s.model_copy(update={"drift_per_cycle": 0.0, "process_variance_per_cycle": 0.0}) for s in model.states]
    model = model.model_copy(update={"states": still})
    prior = model.priors[0]
    near = (np.array(prior.covariance) / 100).tolist()  # so that h is nearly linear and the filter nearly exact
    prior = prior.model_copy(update={"covariance": near})
    model = model.model_copy(update={"priors": [prior]})
    names = [mode.name for mode in model.modes]
    cells = []
    for index in range(25):
        x = rng.multivariate_normal(prior.mean, prior.covariance)
        truth = Ekf(model, network)
        steps = []
        for step in random_steps(rng, model, network, 4, spoiled=0.0):
            noise = rng.normal(0.0, 0.02, model.n_observations)
            ln = truth.linearise(x, 0.0, step.voltage_V, step.temperature_degC).h + noise
            real, imaginary = np.split(np.exp(ln), 2)
            steps.append(replace(step, z_ohm=real - 1j * imaginary))
        soh = readout.evaluate(model.readouts[0], names, x)[0] + rng.normal(0.0, model.readouts[0].residual_std, 4)
        cells.append(MeasuredCell(str(index), tuple(steps), pd.DataFrame({"soh": soh}), 0))

    def build(candidate: Candidate) -> Model:
        variance = [candidate.mismatch_std**2] * model.n_observations
        noise = model.noise.model_copy(update={"variance": variance, "voltage_std_V": 0.0, "temperature_std_K": 0.0})
        return model.model_copy(update={"noise": noise})

    candidates = [Candidate("random_walk", 1.0, std) for std in (0.002, 0.02, 0.3)]
    choice = choose(candidates, build, network, cells, lambda done, note: None)
    assert choice.candidate.mismatch_std == 0.02
    assert list(choice.scores) == candidates
    assert f"{choice.estimates.negative_log_likelihood:.4f}" in choice.scores[choice.candidate]


def test_committed_model_is_of_the_committed_recipe() -> None:
    recipe = Recipe.load(ROOT / "datasets/recipes/first_light.toml")
    model = Model.load(FIRST_LIGHT / "model.json")
    network = load_float_network(FIRST_LIGHT / "network_float.onnx")
    assert model.name == recipe.name
    assert model.provenance["recipe_dataset_sha256"] == recipe.dataset_sha256()
    assert model.frequency_Hz == network.frequency_Hz.tolist() == recipe.network.frequency_Hz
    assert tuple(model.network.inputs) == network.inputs
    assert [mode.name for mode in model.modes] == [
        "lli",
        "lam_ne",
        "lam_pe",
        "log10_sei_thickness",
        "contact_resistance",
    ]
