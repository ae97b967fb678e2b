"""The bound for a recipe: sensitivities along its trajectories, the population's moments as prior, one figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eishil.dataset.design import ageing_path
from eishil.dataset.recipe import MeasurementRecipe, Recipe
from eishil.dataset.tables import Dataset
from eishil.identify.bound import LifePrior, posterior, readout_std
from eishil.identify.information import channel_information, mode_information
from eishil.identify.sensitivities import N_MODES
from eishil.identify.sensitivity_store import TrajectorySensitivities, trajectory_sensitivities
from eishil.network.samples import frequency_columns, physical_modes
from eishil.progress import Progress

Floats = NDArray[np.float64]
POPULATION_LIVES = 4000  # twice as many move the bound by 0.2 % of itself
POPULATION_STREAM = 1_000_003  # apart from the streams of the data set
LATE = 0.8  # of a life: what comes after is the end of life


@dataclass(frozen=True)
class Bound:
    """Standard deviations that no estimator undercuts, of T trajectories with K steps each.

    Attributes
    ----------
    soh_std
        (T, K), NaN where there is no spectrum.
    mode_covariance
        (T, K, 5, 5), in the order of `sensitivities.MODES`.
    prior_soh_std
        (T, K), before any spectrum: the population's scatter.
    cycles
        (K,).
    """

    soh_std: Floats
    mode_covariance: Floats
    prior_soh_std: Floats
    cycles: Floats

    @property
    def soh_rms(self) -> float:
        """Root mean square of the bound over all spectra of all trajectories."""
        return _rms(self.soh_std)

    @property
    def soh_rms_end_of_life(self) -> float:
        """The same over the last fifth of the cycles."""
        return _rms(self.soh_std[:, self.cycles >= LATE * self.cycles[-1]])

    @property
    def mode_rms(self) -> Floats:
        """(5,), of each mode."""
        seen = self.mode_covariance[np.isfinite(self.soh_std)]
        return np.asarray(np.sqrt(np.diagonal(seen, axis1=-2, axis2=-1).mean(axis=0)))


def per_trajectory_cramer_rao(
    recipe: Recipe,
    dataset: Dataset,
    directory: Path,
    workers: int,
    progress: Progress,
    *,
    split: str = "test",
    frequency_Hz: Sequence[float] | Floats | None = None,
) -> Bound:
    """Posterior Cramér-Rao bound of SOH and modes along the trajectories of one split.

    Parameters
    ----------
    dataset
        Of the recipe.
    directory
        Where sensitivities are kept.
    frequency_Hz
        What is measured; None is the network's frequencies. All have to be in the data set.
    """
    along = trajectory_sensitivities(
        recipe.cell, dataset.split(split), dataset.frequency_Hz, directory, workers, progress
    )
    wanted_Hz = recipe.network.frequency_Hz if frequency_Hz is None else frequency_Hz
    columns = frequency_columns(dataset.frequency_Hz, wanted_Hz)
    prior = LifePrior.of_population(population_lives(recipe))
    return bound_of(prior, along, columns, recipe.measurement)


def bound_of(
    prior: LifePrior, along: Sequence[TrajectorySensitivities], columns: Sequence[int], measurement: MeasurementRecipe
) -> Bound:
    """The bound for the frequencies in `columns` of the sensitivities."""
    soh_std, covariances, before = [], [], []
    for life in along:
        information = mode_information(channel_information(life.here, measurement)[:, list(columns)].sum(axis=1),
                                       measurement)  # fmt: skip
        information[~life.measured] = 0.0
        covariance = posterior(prior, information)
        seen = readout_std(covariance, life.here.soh_gradient)
        soh_std.append(np.where(life.measured, seen, np.nan))
        before.append(readout_std(prior.covariance(), life.here.soh_gradient))
        covariances.append(covariance)
    return Bound(np.array(soh_std), np.array(covariances), np.array(before), along[0].cycles)


def population_lives(recipe: Recipe) -> Floats:
    """Modes (N, K, 5) of cells drawn anew from the recipe's population: its moments without a sample's scatter."""
    rng = np.random.default_rng([recipe.seed, POPULATION_STREAM])
    drawn = np.array([physical_modes(ageing_path(recipe.ageing_paths(), rng)) for _ in range(POPULATION_LIVES)])
    assert drawn.shape[2] == N_MODES
    return drawn


def _rms(std: Floats) -> float:
    return float(np.sqrt(np.nanmean(np.square(std))))
