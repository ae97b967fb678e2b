"""The teacher and the baselines: Kramers-Kronig, gradients, Jacobians, and what they can learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel

from eishil.dataset.recipe import NetworkRecipe, Recipe
from eishil.dataset.tables import Dataset
from eishil.filters.scores import rms
from eishil.network.mlp import FloatNetwork
from eishil.network.samples import NETWORK_INPUTS, NetworkSamples, network_samples
from eishil.network.train import Scaling, fit_network, residual_rms
from eishil.network_study import baselines, refinement
from eishil.network_study.baselines import fit_gaussian_process, fit_polynomial
from eishil.network_study.points import unsolved_points
from eishil.network_study.refinement import refine
from eishil.network_study.relaxation import RelaxationBasis
from eishil.network_study.teacher import Teacher, fit_teacher, relaxation_objective
from eishil.progress import silent
from support.central_differences import check_gradients
from support.tiny_dataset import make

FREQUENCY_HZ = np.geomspace(0.01, 1000.0, 9)


def inputs(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.uniform([0, 0, 0, 0, 3.4, 3.2], [0.3, 0.3, 0.3, 1.5, 4.0, 3.5], (n, 6))


def circuit(v: np.ndarray) -> NetworkSamples:
    """A resistance, an arc whose time moves, and a Warburg tail: ln Re Z and ln(-Im Z)."""
    omega = 2 * np.pi * FREQUENCY_HZ
    arc = (0.01 + 0.01 * v[:, 3] + 0.02 * v[:, 1]) * np.exp(2 * (v[:, 5] - 3.35))
    tail = 0.003 * (1 + v[:, 0] + (v[:, 4] - 3.7) ** 2) / (1 - v[:, 2])
    z = 0.01 + arc[:, None] / (1 + 1j * omega * 0.5 * arc[:, None]) + tail[:, None] / np.sqrt(1j * omega)
    return NetworkSamples(v, np.log(np.concatenate([z.real, -z.imag], axis=1)))


def random_teacher(rng: np.random.Generator) -> Teacher:
    basis = RelaxationBasis.of(FREQUENCY_HZ)
    sizes = (6, 8, basis.n_weights)
    network = FloatNetwork(
        inputs=NETWORK_INPUTS,
        frequency_Hz=FREQUENCY_HZ,
        input_mean=rng.normal(size=6),
        input_scale=rng.uniform(0.5, 2.0, 6),
        weights=tuple(rng.normal(size=(n_out, n_in)) for n_in, n_out in pairwise(sizes)),
        biases=tuple(rng.normal(size=n) for n in sizes[1:]),
    )
    return Teacher(network, basis, rng.uniform(1e-4, 1e-3, basis.n_weights), FREQUENCY_HZ)


def impedance(teacher: Teacher, v: np.ndarray, frequency_Hz: np.ndarray) -> np.ndarray:
    real, imaginary = np.split(np.exp(teacher.at(frequency_Hz).evaluate(v)[0]), 2, axis=-1)
    return real - 1j * imaginary


# --- physics ---


def test_a_teacher_satisfies_kramers_kronig() -> None:
    """Re Z from Im Z by the integral itself, with the singularity subtracted (Agarwal et al., 1995)."""
    teacher = random_teacher(np.random.default_rng(0))
    network = teacher.network
    no_capacitor = replace(network, biases=(*network.biases[:-1], np.r_[network.biases[-1][:-1], -1000.0]))
    teacher, v = replace(teacher, network=no_capacitor), inputs(np.random.default_rng(1), 1)[0]
    ln_x = np.linspace(np.log(1e-7), np.log(1e10), 20_001)
    x = np.exp(ln_x)
    imaginary = impedance(teacher, v, x / (2 * np.pi)).imag
    at_infinity = impedance(teacher, v, np.array([1e12])).real[0]
    for k in (7_000, 10_000, 13_000):
        w = x[k]
        with np.errstate(invalid="ignore"):
            integrand = (x * imaginary - w * imaginary[k]) / (x**2 - w**2)
        integrand[k] = (integrand[k - 1] + integrand[k + 1]) / 2
        expected = at_infinity - 2 / np.pi * np.trapezoid(integrand * x, ln_x)
        assert impedance(teacher, v, np.array([w / (2 * np.pi)])).real[0] == pytest.approx(expected, rel=1e-4)


def test_a_teacher_is_capacitive_and_falls_with_frequency_whatever_its_weights() -> None:
    rng = np.random.default_rng(2)
    z = impedance(random_teacher(rng), 5 * rng.normal(size=(50, 6)), np.geomspace(1e-3, 1e5, 60))
    assert (z.imag < 0).all() and (z.real > 0).all()
    assert (np.diff(z.real, axis=1) < 0).all()


def test_the_basis_explains_arcs_and_tails() -> None:
    """At most the arc's time, which lies between two of the grid, is missed."""
    samples, basis = circuit(inputs(np.random.default_rng(3), 40)), RelaxationBasis.of(FREQUENCY_HZ)
    error = basis.closest(samples.ln_ohm, FREQUENCY_HZ) - samples.ln_ohm
    assert np.sqrt(np.mean(error**2)) < 1e-3
    inductive = samples.ln_ohm[:1] + np.r_[np.linspace(0.0, 1.0, 9), np.zeros(9)]  # Re Z rises: nothing passive
    assert np.abs(basis.closest(inductive, FREQUENCY_HZ) - inductive).max() > 0.1


def test_the_start_is_near_the_spectrum_and_has_no_zeros() -> None:
    ln_ohm = circuit(inputs(np.random.default_rng(4), 200)).ln_ohm.mean(axis=0)
    basis = RelaxationBasis.of(FREQUENCY_HZ)
    weights = basis.spread_weights(ln_ohm, FREQUENCY_HZ)
    assert (weights > 0).all()
    assert np.sqrt(np.mean((np.log(basis.matrix(FREQUENCY_HZ) @ weights) - ln_ohm) ** 2)) < 0.1


# --- training ---


def test_gradients_of_the_relaxations_agree_with_central_differences() -> None:
    rng = np.random.default_rng(5)
    matrix = RelaxationBasis.of(np.array([0.1, 1.0])).matrix(np.array([0.1, 1.0]))[:, ::12]
    objective = relaxation_objective(matrix)
    sizes = ((5, 3), (matrix.shape[1], 5))
    parameters = [rng.normal(size=size) for size in sizes] + [rng.normal(size=size[0]) for size in sizes]
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(20, len(matrix)))
    check_gradients(objective, parameters, x, y)


def test_a_teacher_learns_a_circuit_and_knows_it_between_its_frequencies() -> None:
    rng = np.random.default_rng(6)
    samples, fresh = circuit(inputs(rng, 1000)), circuit(inputs(rng, 300))
    settings = NetworkRecipe(hidden=[24, 24], frequency_Hz=FREQUENCY_HZ.tolist(), seed=1, epochs=50, batch=64)
    teacher = fit_teacher(settings, samples, silent)
    assert np.all(residual_rms(teacher, fresh) < 0.1 * fresh.ln_ohm.std())
    between = np.sqrt(FREQUENCY_HZ[1:] * FREQUENCY_HZ[:-1])
    found = impedance(teacher, fresh.v, between)
    ends = np.exp(fresh.ln_ohm[:, :9])
    assert ((found.real > 0.85 * ends[:, 1:]) & (found.real < 1.15 * ends[:, :-1])).all()


def test_refinement_finds_weights_that_rounding_leaves_alone() -> None:
    """With 4-bit steps, so that rounding is what the error is made of."""
    rng = np.random.default_rng(10)
    samples, fresh = circuit(inputs(rng, 1000)), circuit(inputs(rng, 300))
    settings = NetworkRecipe(hidden=[12, 12], frequency_Hz=FREQUENCY_HZ.tolist(), seed=1, epochs=40, batch=64)
    network, _ = fit_network(settings, samples, silent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refinement, "WEIGHT_MAX", 7)
        refined = refine(network, settings, samples, silent)
    steps = [weight / np.abs(weight).max(axis=1, keepdims=True) * 7 for weight in refined.weights]
    assert max(np.abs(one - np.rint(one)).max() for one in steps) < 1e-5
    rounded = [
        np.rint(weight / step) * step
        for weight in network.weights
        for step in [np.abs(weight).max(axis=1, keepdims=True) / 7]
    ]
    coarse = replace(network, weights=tuple(rounded))
    assert rms(residual_rms(refined, fresh)) < 0.75 * rms(residual_rms(coarse, fresh))


# --- baselines ---


def assert_jacobian(model: object, v: np.ndarray) -> None:
    _, J = model.evaluate(v)  # type: ignore[attr-defined]
    step = 1e-5
    for j in range(v.shape[1]):
        up, down = (model.evaluate(v + sign * step * np.eye(6)[j])[0] for sign in (1, -1))  # type: ignore[attr-defined]
        np.testing.assert_allclose(J[..., j], (up - down) / (2 * step), rtol=1e-4, atol=1e-5)


def test_jacobians_agree_with_central_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    monkeypatch.setattr(baselines, "HYPERPARAMETER_POINTS", 60)
    samples, v = circuit(inputs(rng, 300)), inputs(rng, 4)
    for model in (random_teacher(rng), fit_polynomial(samples, 3), fit_gaussian_process(samples, 100, 1)):
        assert_jacobian(model, v)
        one = model.evaluate(v[0])
        np.testing.assert_allclose(one[0], model.evaluate(v)[0][0])
        assert one[1].shape == (18, 6)


def test_a_polynomial_finds_the_polynomial_that_it_was_given() -> None:
    rng = np.random.default_rng(8)
    v = inputs(rng, 200)
    fresh = inputs(rng, 50)

    def truth(v: np.ndarray) -> np.ndarray:
        return np.column_stack([1 + v[:, 0] * v[:, 4] + v[:, 5] ** 2, v[:, 1] - v[:, 2] * v[:, 3]])

    found = fit_polynomial(NetworkSamples(v, truth(v)), 2)
    np.testing.assert_allclose(found.evaluate(fresh)[0], truth(fresh), atol=1e-4)
    assert found.macs == 28 * 2


def test_the_process_is_scikit_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "HYPERPARAMETER_POINTS", 50)
    rng = np.random.default_rng(9)
    samples, fresh = circuit(inputs(rng, 120)), inputs(rng, 30)
    found = fit_gaussian_process(samples, 120, 3)
    scaling = Scaling.of(samples)
    drawn = np.random.default_rng(3).permutation(120)
    x, x_fresh = ((one - scaling.input_mean) / scaling.input_std for one in (samples.v[drawn], fresh))
    y = samples.ln_ohm[drawn]
    start = RBF(np.full(6, 3.0), (0.1, 1e3)) + WhiteKernel(1e-4, (1e-9, 1.0))
    standard = (y - scaling.output_mean) / scaling.output_std
    kernel = GaussianProcessRegressor(start).fit(x[:50], standard[:50]).kernel_
    process = GaussianProcessRegressor(kernel, optimizer=None).fit(x, standard)
    expected = process.predict(x_fresh) * scaling.output_std + scaling.output_mean
    np.testing.assert_allclose(found.evaluate(fresh)[0], expected, atol=1e-6)


# --- points ---


def test_unsolved_points_are_those_that_a_larger_data_set_would_have(
    write_recipe: Callable[..., Path], tmp_path: Path
) -> None:
    small = Recipe.load(write_recipe())
    larger = write_recipe("snapshots = 40", "snapshots = 70")
    make(larger, tmp_path / "larger")
    train = Dataset.open(tmp_path / "larger").split("train")
    solved = network_samples(train.select((train.samples["population"] == "snapshot").to_numpy()), [1.0])
    points = unsolved_points(small, 30)
    assert 5 < len(points) < len(solved.v)
    np.testing.assert_allclose(points, solved.v[-len(points) :], atol=2e-4)
