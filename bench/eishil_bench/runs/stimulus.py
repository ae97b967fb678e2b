"""Held-out spectra as they go over the wire, and what the float64 reference makes of exactly the same numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eishil.errors import EishilError
from eishil.filters.commissioning import LEAST_SPECTRA, Commissioning, commission
from eishil.filters.step import StepInput, StepOutput
from eishil.filters.ukf import reference_filter
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
    """One cell's spectra in order of age; `masked` of its spectra were left out for the reason in the data set.

    `fresh` were measured before the cell aged, to commission it with; empty where it is not commissioned.
    """

    cell_id: str
    spectra: tuple[HeldOutSpectrum, ...]
    masked: int
    fresh: tuple[StepInput, ...] = ()

    @property
    def measured(self) -> list[StepInput]:
        """What an estimator sees of the life."""
        return [spectrum.measured for spectrum in self.spectra]


@dataclass(frozen=True)
class ReferenceStep:
    """The reference's estimate, the network's spectrum at it (ohm, (F,)), and the estimate without any spectra.

    `uncommissioned` is the estimate of a reference that has not seen the cell's fresh spectra; None where nobody has.
    """

    output: StepOutput
    z_fit_ohm: NDArray[np.complex128]
    prior: StepOutput
    uncommissioned: StepOutput | None = None


@dataclass(frozen=True)
class ReferenceLife:
    """The reference along a trajectory, and what the cell's fresh spectra had taught it."""

    steps: list[ReferenceStep]
    commissioning: Commissioning | None = None


def held_out_trajectories(
    dataset: Dataset, recipe: Recipe, model: Model, fresh: Dataset | None = None
) -> list[Trajectory]:
    """Trajectories of the test split with measurement noise, at the model's frequencies, rounded to float32.

    A masked spectrum is left out, never filled in: the cycles that it stands for elapse before the next one. `fresh`
    has spectra of the same cells before they age.

    Raises
    ------
    EishilError
        Too few of a cell's fresh spectra are there.
    """
    from eishil.filters.replay import fresh_steps, measured_cells
    from eishil.network.samples import MODE_UNITS, frequency_columns, physical_modes

    test = dataset.split("test")
    columns = frequency_columns(test.frequency_Hz, model.frequency_Hz, f"the model {model.name}")
    before = {} if fresh is None else fresh_steps(fresh, columns, recipe.measurement, recipe.seed)
    trajectories = []
    for cell in measured_cells(test, columns, recipe.measurement, recipe.seed):
        spectra = []
        labels = dict(zip(MODE_UNITS, physical_modes(cell.samples).T, strict=True))
        unknown = np.full(len(cell.steps), np.nan)
        modes = np.column_stack([labels.get(mode.name, unknown) for mode in model.modes])
        for sample, known, step in zip(cell.samples.itertuples(), modes, cell.steps, strict=True):
            labelled = (int(sample.step), float(sample.cycles), sample.soh, sample.soc, known)
            spectra.append(HeldOutSpectrum(*labelled, _sent(step)))
        first = tuple(map(_sent, before.get(cell.cell_id, ())))
        if fresh is not None and len(first) < LEAST_SPECTRA:
            raise EishilError(
                f"cell {cell.cell_id}: {len(first)} of its fresh spectra are not masked, and {LEAST_SPECTRA} or more"
                " are needed to commission it; raise commissioning.spectra in the recipe"
            )
        trajectories.append(Trajectory(cell.cell_id, tuple(spectra), cell.masked, first))
    return trajectories


def _sent(step: StepInput) -> StepInput:
    return as_sent(step.elapsed_cycles, step.voltage_V, step.temperature_degC, step.z_ohm)


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


def reference_life(ekf: Ekf, trajectory: Trajectory) -> ReferenceLife:
    """What the reference makes of a trajectory, and what drift alone makes of it: the same filter, shown no point.

    A cell with fresh spectra is commissioned as the device is, by the same filter with the variances that are the
    cell's.
    """
    measured = trajectory.measured
    priors = _estimates(ekf, [replace(step, valid=np.zeros_like(step.valid)) for step in measured])
    if not trajectory.fresh:
        fits = zip(_fits(ekf, measured), priors, strict=True)
        return ReferenceLife([ReferenceStep(*fit, prior) for fit, prior in fits])
    plain = _estimates(ekf, measured)
    learned = commission(ekf.model, ekf.network, trajectory.fresh)
    own = reference_filter(learned.adapted(ekf.model), ekf.network)
    own_fits = _fits(own, [learned.corrected(step) for step in measured])
    steps = [
        ReferenceStep(output, learned.restored(z_ohm), prior, before)
        for (output, z_ohm), prior, before in zip(own_fits, priors, plain, strict=True)
    ]
    return ReferenceLife(steps, learned)


def _estimates(ekf: Ekf, measured: Sequence[StepInput]) -> list[StepOutput]:
    ekf.reset()
    return [ekf.step(step) for step in measured]


def _fits(ekf: Ekf, measured: Sequence[StepInput]) -> Iterator[tuple[StepOutput, NDArray[np.complex128]]]:
    """Every estimate with the network's spectrum at it."""
    ekf.reset()
    for step in measured:
        output = ekf.step(step)
        line = ekf.linearise(np.asarray(output.x, np.float64), ekf.cycles, step.voltage_V, step.temperature_degC)
        z_real_ohm, minus_z_imag_ohm = np.split(np.where(line.exists, np.exp(line.h), np.nan), 2)
        yield output, z_real_ohm - 1j * minus_z_imag_ohm
