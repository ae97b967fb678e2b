"""What a regression may look at: one measured spectrum, the rest voltage and the temperature, and nothing else.

Whoever also gives it the state of charge, the cycles or a stoichiometry gives the answer away: state of charge and rest
voltage together are the capacity's doing, and cycles are the population's mean life.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eishil.dataset.features import features as spectrum_features
from eishil.dataset.measurement import Measured, measure
from eishil.dataset.recipe import MeasurementRecipe
from eishil.dataset.tables import Dataset
from eishil.errors import EishilError

Floats = NDArray[np.float64]
CONTEXT = ("voltage_V", "temperature_degC")
# Columns of a data set that are labels, or that hold one in other words.
LEAKS = (
    "soc", "cycles", "step", "capacity_Ah", "soh", "theta_n", "theta_p", "rul_cycles", "lli", "lam_ne", "lam_pe",
    "sei_thickness_nm", "contact_resistance_mOhm", "local_resistance_mOhm", "plating_loss",
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """Rows to learn from or to be judged on.

    Attributes
    ----------
    x
        (N, n), columns as in `names`.
    y
        (N,), the label.
    rows
        (N rows), identity: sample_id, cell_id, cycles.
    """

    x: Floats
    y: Floats
    names: tuple[str, ...]
    rows: pd.DataFrame

    def thinned(self, most: int) -> Table:
        """At most so many rows, evenly."""
        every = max(1, -(-len(self.y) // most))
        return Table(self.x[::every], self.y[::every], self.names, self.rows.iloc[::every])


def check_names(names: Sequence[str]) -> None:
    """EishilError where an input would give the label away."""
    leaking = [name for name in names if name in LEAKS]
    if leaking:
        raise EishilError(f"{', '.join(leaking)}: cannot be inputs, because they give the label away")


def spectra(dataset: Dataset, split: str, label: str, measurement: MeasurementRecipe, seed: int) -> Table:
    """Trajectories of one split, measured with the recipe's noise: ln Re Z, ln(-Im Z), rest voltage and temperature.

    Left out are masked spectra, points whose logarithm does not exist, and rows whose label is censored.
    """
    part, measured = _measured(dataset, split, measurement, seed)
    with np.errstate(invalid="ignore"):
        logarithms = np.concatenate([np.log(measured.z_ohm.real), np.log(-measured.z_ohm.imag)], axis=1)
    names = tuple(f"ln {which} at {f:g} Hz" for which in ("Re Z", "-Im Z") for f in part.frequency_Hz)
    return _table(part, measured, names, logarithms, label, np.asarray(np.isfinite(logarithms).all(axis=1)))


def features(dataset: Dataset, split: str, label: str, measurement: MeasurementRecipe, seed: int) -> Table:
    """The same with the features of `eishil.dataset.features` for the points; one that a spectrum lacks is NaN."""
    part, measured = _measured(dataset, split, measurement, seed)
    whole = np.asarray(np.isfinite(measured.z_ohm).all(axis=1))
    found = [spectrum_features(z, part.frequency_Hz) for z in measured.z_ohm]
    names = tuple(name for name, value in found[0].items() if not isinstance(value, str)) if found else ()
    values = np.array([[one[name] for name in names] for one in found], np.float64).reshape(len(part), -1)
    return _table(part, measured, names, values, label, whole)


def _measured(dataset: Dataset, split: str, measurement: MeasurementRecipe, seed: int) -> tuple[Dataset, Measured]:
    part = dataset.split(split)
    part = part.select((part.samples["population"] == "trajectory").to_numpy())
    return part, measure(part, measurement, seed)


def _table(
    part: Dataset, measured: Measured, names: tuple[str, ...], x: Floats, label: str, usable: NDArray[np.bool_]
) -> Table:
    names = (*names, *CONTEXT)
    check_names(names)
    y = part.samples[label].to_numpy(np.float64)
    if label == "rul_cycles":
        y = np.where(part.samples["rul_censored"].fillna(True).to_numpy(bool), np.nan, y)
    x = np.column_stack([x, measured.voltage_V, measured.temperature_degC])
    kept = usable & np.isfinite(y)
    return Table(x[kept], y[kept], names, part.samples.loc[kept, ["sample_id", "cell_id", "cycles"]])
