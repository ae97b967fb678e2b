"""Run the reference filter with the integer network through a scenario."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eishil.dataset.recipe import Recipe
from eishil.dataset.tables import Dataset
from eishil.errors import EishilError
from eishil.filters.commissioning import Commissioning, commission
from eishil.filters.replay import Estimates, MeasuredCell, fresh_steps, measured_cells, replay
from eishil.filters.scores import within
from eishil.model import Model
from eishil.network.integer import IntegerReference
from eishil.network.samples import frequency_columns
from eishil.robustness.scenarios import Scenario

LATE = 0.8  # of a cell's cycles: what comes after is the end of life


@dataclass(frozen=True)
class Outcome:
    """A scenario's estimates and where they belong.

    `rows` has columns cell_id, cycles, soh (label), estimate, sigma and late, one row for each spectrum; `masked`
    spectra were left out for the reasons in the data set.
    """

    scenario: Scenario
    rows: pd.DataFrame
    masked: int

    @property
    def error(self) -> NDArray[np.float64]:
        """(N,), estimate minus label."""
        return np.asarray(self.rows["estimate"] - self.rows["soh"], np.float64)

    def coverage(self, n_sigma: float) -> float:
        """Fraction of labels within `n_sigma` stated standard deviations."""
        return float(within(self.error, self.rows["sigma"].to_numpy(), n_sigma).mean())


def run(scenario: Scenario, recipe: Recipe, dataset: Dataset, model: Model, fresh: Dataset | None = None) -> Outcome:
    """Estimates along the held-out trajectories of `dataset`, measured as the scenario says.

    `fresh` has spectra of the same cells to commission them with.

    Raises
    ------
    EishilError
        No cell is left.
    """
    measurement = recipe.measurement
    noisy = measurement.model_copy(update={"z_relative_std": scenario.noise * measurement.z_relative_std})
    columns = frequency_columns(dataset.frequency_Hz, model.frequency_Hz, f"the model {model.name}")
    cells = measured_cells(dataset.split("test"), columns, noisy, recipe.seed)
    if scenario.disturb is not None:
        cells = scenario.disturb(cells, np.asarray(model.frequency_Hz))
    if not scenario.gate:
        model = model.model_copy(update={"gate": None})
    cells = [cell for cell in cells if cell.steps]
    if not cells:
        raise EishilError(f"{scenario.name}: no held-out cell is left to run")
    network = IntegerReference(model.network)
    if fresh is None:
        estimates = [replay(model, network, cells)]
    else:
        first = fresh_steps(fresh, columns, noisy, recipe.seed)
        learned = {cell_id: commission(model, network, steps) for cell_id, steps in first.items()}
        estimates = [replay_commissioned(learned[cell.cell_id], model, network, cell) for cell in cells]
    masked = sum(cell.masked for cell in cells)
    rows = pd.concat([_rows(cell) for cell in cells], ignore_index=True)
    soh, sigma = (np.concatenate([getattr(one, name) for one in estimates]) for name in ("soh", "sigma"))
    return Outcome(scenario, rows.assign(estimate=soh, sigma=sigma), masked)


def replay_commissioned(
    learned: Commissioning, model: Model, network: IntegerReference, cell: MeasuredCell
) -> Estimates:
    """Filter a cell with what its fresh spectra taught."""
    steps = tuple(learned.corrected(step) for step in cell.steps)
    return replay(learned.adapted(model), network, [replace(cell, steps=steps)])


def _rows(cell: MeasuredCell) -> pd.DataFrame:
    cycles = cell.samples["cycles"].to_numpy(np.float64)
    return pd.DataFrame(
        {"cell_id": cell.cell_id, "cycles": cycles, "soh": cell.soh, "late": cycles >= LATE * cycles[-1]}
    )
