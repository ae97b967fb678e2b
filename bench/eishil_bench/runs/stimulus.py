"""Held-out spectra as they go over the wire, and what the float64 reference makes of exactly the same numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eishil.filters.step import StepInput, StepOutput
from eishil.model import Model

if TYPE_CHECKING:
    from eishil.dataset.recipe import Recipe
    from eishil.dataset.tables import Dataset
    from eishil.filters.ekf import Ekf


@dataclass(frozen=True)
class HeldOutSpectrum:
    """A spectrum with the labels that no estimator sees: `soh` and `soc` are fractions of the present cell.

    `modes` (n_modes,) are the model's, in its order; NaN where the data set has none of that name.
    """

    step: int
    cycles: float
    soh: float
    soc: float
    modes: NDArray[np.float64]
    measured: StepInput


@dataclass(frozen=True)
class Trajectory:
    """One cell's spectra in order of age; `masked` of its spectra were left out for the reason in the data set."""

    cell_id: str
    spectra: tuple[HeldOutSpectrum, ...]
    masked: int


@dataclass(frozen=True)
class ReferenceStep:
    """The reference's estimate, the network's spectrum at it (ohm, (F,)), and the estimate without any spectra."""

    output: StepOutput
    z_fit_ohm: NDArray[np.complex128]
    prior: StepOutput


def held_out_trajectories(dataset: Dataset, recipe: Recipe, model: Model) -> list[Trajectory]:
    """Trajectories of the test split with measurement noise, at the model's frequencies, rounded to float32.

    A masked spectrum is left out, never filled in: the cycles that it stands for elapse before the next one.
    """
    from eishil.filters.replay import measured_cells
    from eishil.network.samples import MODE_UNITS, frequency_columns, physical_modes

    test = dataset.split("test")
    columns = frequency_columns(test.frequency_Hz, model.frequency_Hz, f"the model {model.name}")
    trajectories = []
    for cell in measured_cells(test, columns, recipe.measurement, recipe.seed):
        spectra = []
        labels = dict(zip(MODE_UNITS, physical_modes(cell.samples).T, strict=True))
        unknown = np.full(len(cell.steps), np.nan)
        modes = np.column_stack([labels.get(mode.name, unknown) for mode in model.modes])
        for sample, known, step in zip(cell.samples.itertuples(), modes, cell.steps, strict=True):
            sent = as_sent(step.elapsed_cycles, step.voltage_V, step.temperature_degC, step.z_ohm)
            spectra.append(HeldOutSpectrum(int(sample.step), float(sample.cycles), sample.soh, sample.soc, known, sent))
        trajectories.append(Trajectory(cell.cell_id, tuple(spectra), cell.masked))
    return trajectories


def as_sent(
    elapsed_cycles: float, voltage_V: float, temperature_degC: float, z_ohm: NDArray[np.complex128]
) -> StepInput:
    """A spectrum rounded to what float32 fields carry; points that are not finite are marked, not filled in."""
    return StepInput(
        elapsed_cycles=float(np.float32(elapsed_cycles)),
        voltage_V=float(np.float32(voltage_V)),
        temperature_degC=float(np.float32(temperature_degC)),
        z_ohm=z_ohm.astype(np.complex64).astype(np.complex128),
        valid=np.isfinite(z_ohm),
    )


def reference_steps(ekf: Ekf, trajectory: Trajectory) -> list[ReferenceStep]:
    """What the reference makes of a trajectory, and what drift alone makes of it: the same filter, shown no point."""
    measured = [spectrum.measured for spectrum in trajectory.spectra]
    blind = [replace(step, valid=np.zeros_like(step.valid)) for step in measured]
    ekf.reset()
    priors = [ekf.step(step) for step in blind]
    ekf.reset()
    steps = []
    for step, prior in zip(measured, priors, strict=True):
        output = ekf.step(step)
        line = ekf.linearise(np.asarray(output.x, np.float64), ekf.cycles, step.voltage_V, step.temperature_degC)
        z_real_ohm, minus_z_imag_ohm = np.split(np.where(line.exists, np.exp(line.h), np.nan), 2)
        steps.append(ReferenceStep(output, z_real_ohm - 1j * minus_z_imag_ohm, prior))
    return steps
