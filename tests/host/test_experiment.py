"""Choice of frequencies: against every possible set, on cells whose information is made up."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from eishil.dataset.recipe import MeasurementRecipe
from eishil.identify.bound import LifePrior
from eishil.identify.experiment import MULTISINE, ONE_BY_ONE, Criterion, TimeModel, best_plan
from eishil.identify.sensitivities import Sensitivities
from eishil.identify.sensitivity_store import TrajectorySensitivities

FREQUENCY_HZ = np.array([0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0])
MEASUREMENT = MeasurementRecipe(z_relative_std=0.01, voltage_std_V=0.002, temperature_std_K=0.5)


@pytest.fixture
def criterion() -> Criterion:
    """Two lives of three spectra with random sensitivities, the lower frequencies the more telling."""
    rng = np.random.default_rng(5)
    f = len(FREQUENCY_HZ)
    lives = []
    for name in "ab":
        z = 0.02 - 0.01j * np.ones((3, f))
        dz = rng.standard_normal((3, 2 * f, 7)) / np.tile(np.sqrt(1 + np.arange(f)), 2)[:, None]
        here = Sensitivities(z, dz, rng.standard_normal((3, 5)), np.full(3, np.nan))
        lives.append(TrajectorySensitivities(name, np.arange(3.0), np.array([True, name == "a", True]), here))
    prior = LifePrior.of_population(0.05 * rng.standard_normal((60, 3, 5)).cumsum(axis=1))
    return Criterion(prior, lives, FREQUENCY_HZ, MEASUREMENT)


def test_an_instrument_takes_its_periods() -> None:
    assert TimeModel(MULTISINE, 3.0).duration_s(np.array([0.1, 10.0])) == pytest.approx(30.0)
    assert TimeModel(ONE_BY_ONE, 3.0).duration_s(np.array([0.1, 10.0])) == pytest.approx(30.3)
    assert TimeModel(MULTISINE, 3.0).duration_s(np.array([])) == 0.0


@pytest.mark.parametrize("instrument", [MULTISINE, ONE_BY_ONE])
@pytest.mark.parametrize("budget_s", [1.0, 12.0, 150.0, 1000.0])
def test_a_plan_is_near_the_best_of_all_sets(criterion: Criterion, instrument: str, budget_s: float) -> None:
    time = TimeModel(instrument, 3.0)
    sets = [
        chosen
        for size in range(4)
        for chosen in combinations(range(len(FREQUENCY_HZ)), size)
        if time.duration_s(FREQUENCY_HZ[list(chosen)]) <= budget_s
    ]
    best = min(criterion.soh_rms(chosen) for chosen in sets)
    plan = best_plan(criterion, time, budget_s, 3)
    assert len(plan.frequency_Hz) <= 3 and plan.duration_s <= budget_s
    assert best <= plan.soh_rms <= 1.02 * best


def test_more_time_and_more_frequencies_never_tell_less(criterion: Criterion) -> None:
    everything = criterion.soh_rms(range(len(FREQUENCY_HZ)))
    assert everything < criterion.soh_rms([0, 1, 2]) < criterion.soh_rms([1, 2]) < criterion.soh_rms([])


def test_where_nothing_fits_nothing_is_planned(criterion: Criterion) -> None:
    plan = best_plan(criterion, TimeModel(MULTISINE, 3.0), 0.01, 3)
    assert plan.frequency_Hz == () and plan.soh_rms == criterion.soh_rms([])
