"""Identifiability: sensitivities against the model asked directly, the bound against a Kalman filter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filterpy.kalman import KalmanFilter
from scipy.optimize import newton

import eishil
from eishil.cell.impedance import solver
from eishil.dataset.factory import Options, generate
from eishil.dataset.recipe import MeasurementRecipe, Recipe
from eishil.dataset.tables import Dataset
from eishil.identify import cramer_rao, sensitivity_store
from eishil.identify.bound import LifePrior, posterior, readout_std
from eishil.identify.cramer_rao import per_trajectory_cramer_rao, population_lives
from eishil.identify.information import channel_information, mode_information
from eishil.identify.sensitivities import MODES, Sensitivities, sensitivities
from eishil.identify.sensitivity_store import TrajectorySensitivities
from eishil.identify.study import rises
from eishil.progress import silent

FREQUENCY_HZ = np.array([0.01, 1.0, 100.0])
CELL = {"lli": 0.08, "lam_ne": 0.04, "lam_pe": 0.05, "sei_thickness_nm": 20.0, "contact_resistance_mOhm": 1.0}
SOC, TEMPERATURE_DEGC = 0.45, 22.0
QUIET = MeasurementRecipe(z_relative_std=0.003, voltage_std_V=0.002, temperature_std_K=0.5)


# --- sensitivities ---


def spectrum(modes: dict[str, float], soc: float, temperature_degC: float = TEMPERATURE_DEGC) -> eishil.Spectrum:
    return eishil.impedance(
        model="SPM", mesh="pybamm", soc=soc, temperature_degC=temperature_degC, frequency_Hz=FREQUENCY_HZ,
        aged=eishil.AgedState(**modes),
    )  # fmt: skip


def seen(channels: np.ndarray) -> np.ndarray:
    """Observations of the cell with its modes moved by `channels` and held at a rest voltage and a temperature."""
    by = dict(zip(MODES, channels, strict=False))
    modes = CELL | {name: CELL[name] + by[name] for name in ("lli", "lam_ne", "lam_pe")}
    modes |= {
        "sei_thickness_nm": CELL["sei_thickness_nm"] * 10 ** by["log10_sei_thickness"],
        "contact_resistance_mOhm": CELL["contact_resistance_mOhm"] + by["contact_resistance"],
    }
    voltage_V, temperature_degC = spectrum(CELL, SOC).voltage_V + channels[5], TEMPERATURE_DEGC + channels[6]
    soc = newton(lambda s: spectrum(modes, s, temperature_degC).voltage_V - voltage_V, SOC, x1=SOC + 0.01, tol=1e-9)
    z = spectrum(modes, soc, temperature_degC).z_ohm
    return np.log(np.concatenate([z.real, -z.imag]))


def test_shares_that_rise_are_counted_at_the_chosen_frequencies() -> None:
    """Two cells, three spectra, one of which is not there."""
    dz = np.full((3, 4, len(MODES) + 2), -1.0)  # ln Re Z at two frequencies, then ln(-Im Z)
    dz[0, 1, 0], dz[:2, 3, 1], dz[2] = 1.0, 1.0, np.nan
    blank = Sensitivities(np.zeros((3, 2), complex), dz, np.zeros((3, 5)), np.zeros(3))
    lives = [
        TrajectorySensitivities(str(k), np.zeros(len(part)), np.ones(len(part), bool), blank.take(part))
        for k, part in enumerate(([0], [1, 2]))
    ]
    found = rises(lives, [1], 2)
    assert found["lli"] == [0.5, 0.0] and found["lam_ne"] == [0.0, 1.0] and found["lam_pe"] == [0.0, 0.0]


@pytest.fixture(scope="module")
def here() -> Sensitivities:
    samples = pd.DataFrame([CELL | {"soc": SOC, "temperature_degC": TEMPERATURE_DEGC}])
    return sensitivities(solver("Chen2020", "SPM", "pybamm"), "Chen2020", samples, FREQUENCY_HZ)


def test_sensitivities_are_those_of_a_cell_held_at_its_rest_voltage(here: Sensitivities) -> None:
    width = np.array([1e-3, 1e-3, 1e-3, 1e-2, 0.1, 1e-3, 0.1])
    for direction in width * np.random.default_rng(0).uniform(-1, 1, (3, 7)):
        expected = (seen(direction) - seen(-direction)) / 2
        np.testing.assert_allclose(here.dz[0] @ direction, expected, atol=1e-3 * np.abs(here.dz[0] * direction).max())
    assert 0 < here.step_error[0] < 1e-3


def test_soh_gradient_is_that_of_the_capacity(here: Sensitivities) -> None:
    """C = Q_n (x_100 - x_0): more of an electrode at constant lithium, by PyBaMM's own solver."""
    import pybamm

    values = pybamm.ParameterValues("Chen2020")
    parameters = pybamm.LithiumIonParameters()
    esoh = pybamm.lithium_ion.ElectrodeSOHSolver(values, parameters)
    fresh = [float(values.evaluate(x)) for x in (parameters.n.Q_init, parameters.p.Q_init)]
    lithium = float(values.evaluate(parameters.Q_Li_particles_init))

    def capacity(modes: dict[str, float]) -> float:
        inputs = {"Q_n": fresh[0] * (1 - modes["lam_ne"]), "Q_p": fresh[1] * (1 - modes["lam_pe"]),
                  "Q_Li": lithium * (1 - modes["lli"])}  # fmt: skip
        solution = esoh.solve(inputs)
        return float(inputs["Q_n"] * (solution["x_100"] - solution["x_0"]))

    new = capacity(dict.fromkeys(("lli", "lam_ne", "lam_pe"), 0.0))
    for column, name in enumerate(("lli", "lam_ne", "lam_pe")):
        more, less = (capacity(CELL | {name: CELL[name] + d}) for d in (1e-3, -1e-3))
        assert here.soh_gradient[0, column] == pytest.approx((more - less) / 2e-3 / new, abs=2e-4)
    assert not here.soh_gradient[0, 3:].any()


# --- information ---


def test_information_is_that_of_the_full_covariance_of_the_noise(here: Sensitivities) -> None:
    """The Schur complement against R with two correlated terms, inverted as it stands."""
    z, dz = here.z_ohm[0], here.dz[0]
    std = QUIET.z_relative_std * np.concatenate([np.abs(z) / z.real, np.abs(z) / -z.imag])
    for used in (QUIET, QUIET.model_copy(update={"voltage_std_V": 0.0, "temperature_std_K": 0.0})):
        R = np.diag(std**2) + np.outer(dz[:, 5], dz[:, 5]) * used.voltage_std_V**2
        R += np.outer(dz[:, 6], dz[:, 6]) * used.temperature_std_K**2
        expected = dz[:, :5].T @ np.linalg.inv(R) @ dz[:, :5]
        found = mode_information(channel_information(here, used)[0].sum(axis=0), used)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())


# --- bound ---


def kalman_covariances(P: np.ndarray, Q: np.ndarray, H: np.ndarray, R: np.ndarray, steps: int) -> np.ndarray:
    """A textbook filter of a random walk that sees H x at each step."""
    textbook = KalmanFilter(dim_x=len(P), dim_z=len(R))
    textbook.P, textbook.Q, textbook.H, textbook.R = P.copy(), Q, H, R
    found = []
    for step in range(steps):
        if step:
            textbook.predict()
        textbook.update(np.zeros(len(R)))
        found.append(textbook.P.copy())
    return np.array(found)


def test_the_bound_of_a_linear_gaussian_cell_is_its_kalman_filter() -> None:
    rng = np.random.default_rng(1)
    steps, p, m = 6, 3, 2
    fresh, gained = rng.uniform(0.5, 2.0, p), rng.uniform(0.5, 2.0, p)
    walk = np.minimum.outer(np.arange(steps), np.arange(steps)) / (steps - 1)
    covariance = np.einsum("ij,ab->iajb", np.ones((steps, steps)), np.diag(fresh))
    covariance += np.einsum("ij,ab->iajb", walk, np.diag(gained))
    prior = LifePrior.of_moments(np.zeros((steps, p)), covariance.reshape(steps * p, -1))
    H, R = rng.standard_normal((m, p)), np.diag(rng.uniform(0.1, 1.0, m))
    expected = kalman_covariances(np.diag(fresh), np.diag(gained) / (steps - 1), H, R, steps)
    found = posterior(prior, np.broadcast_to(H.T @ np.linalg.inv(R) @ H, (steps, p, p)))
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)
    gradient = rng.standard_normal((steps, p))
    by_hand = [np.sqrt(g @ P @ g) for g, P in zip(gradient, expected, strict=True)]
    np.testing.assert_allclose(readout_std(found, gradient), by_hand, rtol=1e-8)


def test_without_spectra_the_bound_is_the_population() -> None:
    rng = np.random.default_rng(2)
    lives = rng.standard_normal((50, 4, 2)) @ np.array([[1.0, 0.5], [0.0, 100.0]]) + 3.0
    prior = LifePrior.of_population(lives)
    expected = np.array([np.cov(lives[:, k].T) for k in range(4)])
    np.testing.assert_allclose(posterior(prior, np.zeros((4, 2, 2))), expected, rtol=1e-9)
    walk = LifePrior.of_random_walk(lives, np.arange(4.0)).covariance()
    np.testing.assert_allclose(walk[0].diagonal(), lives[:, 0].var(axis=0))
    np.testing.assert_allclose((walk[3] - walk[0]).diagonal(), (lives[:, 3] - lives[:, 0]).var(axis=0))


def test_the_best_linear_estimator_attains_the_bound() -> None:
    """Lives from a Gaussian, noisy readings of them, and a regression on many such lives: its errors are the bound."""
    rng = np.random.default_rng(3)
    mix, H, sigma = rng.standard_normal((8, 8)), np.array([[1.0, 0.4]]), 0.7
    lives = (rng.standard_normal((40_000, 8)) @ mix).reshape(-1, 4, 2)
    readings = (lives @ H.T)[..., 0] + sigma * rng.standard_normal((len(lives), 4))
    prior = LifePrior.of_moments(np.zeros((4, 2)), mix.T @ mix)
    found = posterior(prior, np.broadcast_to(H.T @ H / sigma**2, (4, 2, 2)))
    for k in range(4):
        weights, *_ = np.linalg.lstsq(readings[:, : k + 1], lives[:, k], rcond=None)
        error = lives[:, k] - readings[:, : k + 1] @ weights
        np.testing.assert_allclose(np.cov(error.T), found[k], rtol=0.03, atol=0.05)


# --- a recipe ---


@pytest.fixture
def tiny(
    write_recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Recipe, Dataset, Path]:
    monkeypatch.setattr(cramer_rao, "POPULATION_LIVES", 400)
    path = write_recipe("snapshots = 40", "snapshots = 0")
    generate(Recipe.load(path), path, tmp_path / "dataset", Options(), silent)
    return Recipe.load(path), Dataset.open(tmp_path / "dataset"), tmp_path / "identify"


def test_the_bound_of_a_recipe_lies_between_nothing_and_the_prior(tiny: tuple[Recipe, Dataset, Path]) -> None:
    recipe, dataset, folder = tiny
    few = per_trajectory_cramer_rao(recipe, dataset, folder, 1, silent)
    all_three = per_trajectory_cramer_rao(recipe, dataset, folder, 1, silent, frequency_Hz=dataset.frequency_Hz)
    assert few.soh_std.shape == (2, 4)
    assert (all_three.soh_std < few.soh_std).all() and (few.soh_std < few.prior_soh_std).all()
    assert 0 < all_three.soh_rms < few.soh_rms < 0.1
    late = few.soh_std[:, 3:]
    assert few.soh_rms_end_of_life == pytest.approx(np.sqrt(np.mean(late**2)))


def test_sensitivities_are_kept_and_damaged_ones_made_again(
    tiny: tuple[Recipe, Dataset, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, dataset, folder = tiny
    first = per_trajectory_cramer_rao(recipe, dataset, folder, 1, silent)
    files = sorted(folder.glob("test-*.npz"))
    assert len(files) == 2
    whole = files[0].read_bytes()
    files[0].write_bytes(whole[:-500])
    assert per_trajectory_cramer_rao(recipe, dataset, folder, 1, silent).soh_rms == first.soh_rms
    assert files[0].read_bytes() == whole

    def refuse(*_: object) -> None:
        raise AssertionError("nothing was missing")

    monkeypatch.setattr(sensitivity_store, "solver", refuse)
    assert per_trajectory_cramer_rao(recipe, dataset, folder, 1, silent).soh_rms == first.soh_rms


def test_a_masked_spectrum_tells_nothing(tiny: tuple[Recipe, Dataset, Path]) -> None:
    recipe, dataset, folder = tiny
    z_ohm = dataset.z_ohm.copy()
    row = dataset.samples.index[dataset.samples["sample_id"] == "test-t00000-02"][0]
    z_ohm[row] = np.nan
    whole = per_trajectory_cramer_rao(recipe, dataset, folder, 1, silent)
    masked = per_trajectory_cramer_rao(recipe, replace(dataset, z_ohm=z_ohm), folder, 1, silent)
    assert np.isnan(masked.soh_std[0, 2]) and np.isfinite(np.delete(masked.soh_std.ravel(), 2)).all()
    assert masked.soh_std[0, 3] > whole.soh_std[0, 3]
    np.testing.assert_array_equal(masked.soh_std[1], whole.soh_std[1])


def test_the_population_is_drawn_from_the_recipe(write_recipe: Callable[..., Path]) -> None:
    recipe = Recipe.load(write_recipe())
    lives = population_lives(recipe)
    assert lives.shape == (cramer_rao.POPULATION_LIVES, 4, 5)
    assert lives[:, 0, 0].min() >= 0 and lives[:, 0, 0].max() <= 0.01
    assert lives[:, -1, 0].max() > 0.2
