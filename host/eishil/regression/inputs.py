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

from eishil.dataset.measurement import measure
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
    part = dataset.split(split)
    part = part.select((part.samples["population"] == "trajectory").to_numpy())
    measured = measure(part, measurement, seed)
    with np.errstate(invalid="ignore"):
        parts = np.concatenate([np.log(measured.z_ohm.real), np.log(-measured.z_ohm.imag)], axis=1)
    x = np.column_stack([parts, measured.voltage_V, measured.temperature_degC])
    y = part.samples[label].to_numpy(np.float64)
    if label == "rul_cycles":
        y = np.where(part.samples["rul_censored"].to_numpy(dtype=object) == True, np.nan, y)  # noqa: E712
    whole = np.isfinite(np.column_stack([x, y])).all(axis=1)
    names = (*(f"ln {which} at {f:g} Hz" for which in ("Re Z", "-Im Z") for f in part.frequency_Hz), *CONTEXT)
    check_names(names)
    return Table(x[whole], y[whole], names, part.samples.loc[whole, ["sample_id", "cell_id", "cycles"]])
