"""Run the reference filter over measured trajectories and score its SOH against the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eishil.dataset.measurement import measure
from eishil.dataset.recipe import MeasurementRecipe
from eishil.dataset.tables import Dataset
from eishil.filters.batch import replay_many
from eishil.filters.ekf import Ekf
from eishil.filters.observation import Network
from eishil.filters.scores import rms, within
from eishil.filters.step import StepInput
from eishil.filters.ukf import reference_filter
from eishil.model import Model

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MeasuredCell:
    """One cell's spectra at the model's frequencies in order of age, and their rows (K) of the data set's samples.

    `masked` of its spectra were left out for the reason in the data set.
    """

    cell_id: str
    steps: tuple[StepInput, ...]
    samples: pd.DataFrame
    masked: int

    @property
    def soh(self) -> Array:
        """(K,), the label."""
        return np.asarray(self.samples["soh"], np.float64)


@dataclass(frozen=True)
class Estimates:
    """SOH estimate, its standard deviation and the label, of all steps of all cells, each (N,).

    `nis` (N,) is the normalised innovation squared of a spectrum, `n_used` (N,) its degrees of freedom.
    """

    soh: Array
    sigma: Array
    label: Array
    nis: Array
    n_used: Array

    @property
    def rmse(self) -> float:
        return rms(self.soh - self.label)

    @property
    def nis_mean(self) -> float:
        """Normalised innovation squared per observation; 1 where S is what innovations scatter by."""
        return float(self.nis.sum() / self.n_used.sum())

    @property
    def nees_mean(self) -> float:
        """Mean squared error of SOH in units of its stated variance; 1 where the filter is honest."""
        return rms((self.soh - self.label) / self.sigma) ** 2

    @property
    def negative_log_likelihood(self) -> float:
        """Mean of -ln N(label; soh, sigma^2): small where the estimate is near and its sigma is honest."""
        normalised = (self.soh - self.label) / self.sigma
        return float(np.mean(np.log(self.sigma * np.sqrt(2 * np.pi)) + normalised**2 / 2))

    def coverage(self, n_sigma: float) -> float:
        """Fraction of labels within `n_sigma` standard deviations."""
        return float(np.mean(within(self.soh - self.label, self.sigma, n_sigma)))


def measured_cells(
    dataset: Dataset, columns: Sequence[int], measurement: MeasurementRecipe, seed: int
) -> list[MeasuredCell]:
    """Trajectories with measurement noise, at the frequencies of `columns`; whole spectra that are masked are left out.

    The cycles that a masked spectrum stands for elapse before the next one.
    """
    cells = []
    for cell_id, cell in dataset.trajectories():
        measured = measure(cell, measurement, seed)
        z_ohm = measured.z_ohm[:, list(columns)]
        rows = np.flatnonzero(np.isfinite(z_ohm).any(axis=1))
        cycles = cell.samples["cycles"].to_numpy(np.float64)[rows]
        steps = tuple(
            StepInput(
                elapsed_cycles=float(elapsed),
                voltage_V=float(measured.voltage_V[row]),
                temperature_degC=float(measured.temperature_degC[row]),
                z_ohm=z_ohm[row],
                valid=np.isfinite(z_ohm[row]),
            )
            for row, elapsed in zip(rows, np.diff(cycles, prepend=0.0), strict=True)
        )
        cells.append(MeasuredCell(cell_id, steps, cell.samples.iloc[rows], len(cell) - len(rows)))
    return cells


def fresh_steps(
    fresh: Dataset, columns: Sequence[int], measurement: MeasurementRecipe, seed: int
) -> dict[str, tuple[StepInput, ...]]:
    """Spectra of the test cells before they age, by cell, as `measured_cells` would measure their lives.

    The noise is another one: samples of the two data sets have the same names.
    """
    return {cell.cell_id: cell.steps for cell in measured_cells(fresh.split("test"), columns, measurement, seed + 1)}


def replay(model: Model, network: Network, cells: Sequence[MeasuredCell]) -> Estimates:
    """Filter every cell from the model's prior; SOH is the first readout."""
    filter_ = reference_filter(model, network)
    found = replay_many(model, network, [cell.steps for cell in cells])
    lives = [_steps(filter_, cell) if one is None else one for one, cell in zip(found, cells, strict=True)]
    soh, sigma, nis, n_used = np.concatenate(lives, axis=1)
    return Estimates(soh, sigma, np.concatenate([cell.soh for cell in cells]), nis, n_used)


def _steps(filter_: Ekf, cell: MeasuredCell) -> Array:
    """As `replay_many` gives a life, step by step."""
    filter_.reset()
    outputs = [filter_.step(step) for step in cell.steps]
    rows = [(output.readout[0], output.readout_sigma[0], output.nis, output.n_used) for output in outputs]
    return np.array(rows, np.float64).reshape(-1, 4).T
