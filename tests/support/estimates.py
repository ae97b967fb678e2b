"""A life of spectra that a model describes, and estimates as bits that can be compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from eishil.filters.step import StepInput, StepOutput
from eishil.model import Model
from eishil.network.integer import IntegerReference
from support.simulated_cells import simulated_trajectory

TIMING = ("round_trip_us", "interval_us")  # what no second run repeats


def life_of_spectra(model: Model, steps: int) -> list[StepInput]:
    """Spectra of one cell; in the last third points are masked or have a wrong sign."""
    rng = np.random.default_rng(11)
    life = simulated_trajectory(rng, model, IntegerReference(model.network), "cell", steps)
    spectra = [spectrum.measured for spectrum in life.spectra]
    sound = 2 * steps // 3
    return [*spectra[:sound], *(spoiled(rng, step) for step in spectra[sound:])]


def spoiled(rng: np.random.Generator, step: StepInput) -> StepInput:
    """The same with points masked, or of a wrong sign."""
    fate = rng.integers(0, 5, len(step.valid))
    z_ohm = np.where(fate == 1, -step.z_ohm.conj(), np.where(fate == 2, step.z_ohm.conj(), step.z_ohm))
    return replace(step, z_ohm=z_ohm, valid=fate != 3)


def untimed(table: pd.DataFrame) -> pd.DataFrame:
    """A run's table without what no second run repeats."""
    return table.drop(columns=list(TIMING))


def bits(output: StepOutput) -> tuple[object, ...]:
    """Everything of an estimate, as bytes where it is float32."""
    floats = (np.float32(output.nis), output.x, output.P, output.readout, output.readout_sigma)
    return (output.status, output.n_used, *(np.asarray(value, np.float32).tobytes() for value in floats))
