"""What a cell's own constants do to its spectra, learned from its first ones: data of an instance, not of the model.

Cells of one make differ in diffusivities, rates, conductivities. On ln Z that is mostly an offset at every observation,
which spectra of the fresh cell show, because the fresh state is known. What is left (the offset is not the same at all
temperatures and charges, changes as the cell ages, and a mean of few spectra is not exact) is a variance that comes on
top of the model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eishil.errors import EishilError
from eishil.filters.observation import Network, ObservationModel, observations
from eishil.filters.step import StepInput
from eishil.model import Model

Array = NDArray[np.float64]
LEAST_SPECTRA = 2
CHANGE = 0.25  # of an offset over a life; docs/estimator.md has how it was chosen


@dataclass(frozen=True)
class Commissioning:
    """Offset of ln Z (m,), measured minus expected, and the variance (m,) that is left of it, in (ln ohm)^2."""

    offset: Array
    variance: Array

    def corrected(self, step: StepInput) -> StepInput:
        """The spectrum without the offset: what a cell with the model's constants would have given."""
        return replace(step, z_ohm=_scaled(step.z_ohm, -self.offset))

    def restored(self, z_ohm: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """A spectrum (F,) of the model with the offset: what this cell would give."""
        return _scaled(z_ohm, self.offset)

    def adapted(self, model: Model) -> Model:
        """The model for this cell: it doubts the observations by as much as is left."""
        variance = (np.array(model.noise.variance) + self.variance).tolist()
        return model.model_copy(update={"noise": model.noise.model_copy(update={"variance": variance})})


def _scaled(z_ohm: NDArray[np.complex128], ln_factor: Array) -> NDArray[np.complex128]:
    real, imaginary = np.split(np.exp(ln_factor), 2)
    return np.asarray(z_ohm.real * real + 1j * z_ohm.imag * imaginary, np.complex128)


def commission(model: Model, network: Network, fresh: Sequence[StepInput], change: float = CHANGE) -> Commissioning:
    """Learn from spectra of a fresh cell, at several charges and temperatures if possible.

    Parameters
    ----------
    fresh
        Measured before the cell aged; their elapsed cycles play no part.
    change
        How much of an offset a life changes; the core knows no other than this.

    Raises
    ------
    EishilError
        There are fewer than two spectra: one does not tell how much an offset varies.
    """
    if len(fresh) < LEAST_SPECTRA:
        raise EishilError(f"commissioning takes {LEAST_SPECTRA} or more spectra of the fresh cell, not {len(fresh)}")
    expected_of, x = ObservationModel(model, network), np.array(model.priors[0].mean)
    difference, expected = [], []
    for step in fresh:
        seen = observations(step.z_ohm, step.valid)
        line = expected_of.linearise(x, 0.0, step.voltage_V, step.temperature_degC)
        line = expected_of.with_instrument_noise(line, seen)
        used = seen.usable & line.exists
        difference.append(np.where(used, seen.z - line.h, np.nan))
        expected.append(np.where(used, np.diag(line.R), np.nan))
    return _summary(np.array(difference), np.array(expected), change)


def _summary(difference: Array, expected: Array, change: float) -> Commissioning:
    """From differences and expected variances (K, m), NaN where there are none, to offset and what is left of it.

    The scatter beyond what instrument and context explain is taken over all observations together: a few spectra say
    little of a single one. So is what ageing will change of the offsets, which no fresh spectrum shows. An observation
    that was never there has no offset, and the square of all others is left.
    """
    count = np.isfinite(difference).sum(axis=0)
    known = count >= LEAST_SPECTRA
    offset = np.zeros(len(count))
    offset[known] = np.nanmean(difference[:, known], axis=0)
    scatter = np.nanvar(difference[:, known], axis=0, ddof=1)
    beyond = max(0.0, float(np.mean(scatter - np.nanmean(expected[:, known], axis=0)))) if known.any() else 0.0
    square = float(np.mean(offset[known] ** 2)) if known.any() else 0.0
    variance = np.full(len(count), square)
    variance[known] = beyond + change**2 * square + scatter / count[known]
    return Commissioning(offset, variance)
