"""Aged cells as snapshots: a block of the design, labelled, solved and judged."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eishil.cell.ageing import LABEL_SOURCE, Snapshot, snapshot
from eishil.cell.impedance import Batch, ImpedanceSolver, solver
from eishil.dataset import quality
from eishil.dataset.design import Block, rows
from eishil.dataset.labels import with_remaining_life
from eishil.dataset.recipe import Recipe
from eishil.dataset.spread import factors
from eishil.dataset.states import aged_state, solver_constants, with_labels

# From here on compiling saves more than it takes: 1, 4.5 and 28 s of CPU time for 25, 70 and 180 us a sample.
COMPILE_FROM_SAMPLES = {"SPM": 40_000, "SPMe": 65_000, "DFN": 150_000}


def solver_for(recipe: Recipe) -> ImpedanceSolver:
    """The recipe's solver, built once a process."""
    steps = recipe.ageing_paths().steps
    samples = recipe.population.count("trajectories") * steps + recipe.population.count("snapshots")
    filled = recipe.ageing_paths().porosity_loss_ne is not None
    cell, constants = recipe.cell, solver_constants(recipe.cell, pores_fill=filled)
    make = _compiled if samples >= COMPILE_FROM_SAMPLES[cell.model] else solver
    return make(cell.parameter_set, cell.model, cell.points(), constants)


@cache
def _compiled(*names: Any) -> ImpedanceSolver:
    built = solver(*names)
    return ImpedanceSolver(built.model.compiled(), built.linear)


def solve_block(recipe: Recipe, block: Block) -> tuple[pd.DataFrame, NDArray[np.complex128], str]:
    """Rows of `samples` with their spectra (S, F), NaN where nothing was solved, and what solved them."""
    samples = rows(recipe, block)
    aged = aged_state(recipe.cell.parameter_set, samples)
    soc, temperature_degC = samples["soc"].to_numpy(), samples["temperature_degC"].to_numpy()
    state = snapshot(recipe.cell.parameter_set, aged, soc, temperature_degC, factors(samples))
    feasible = np.flatnonzero(state.reason == "")
    built, frequency = solver_for(recipe), np.asarray(recipe.impedance.frequency_Hz)
    z = np.full((len(samples), len(frequency)), np.nan, complex)
    verdicts: dict[str, Any] = {"reason": state.reason, "solver_status": "not_solved"} | UNSOLVED
    if feasible.size:
        batch = built.solve(state.inputs.take(feasible), frequency)
        z[feasible] = batch.z_ohm
        verdicts = _verdicts(state, feasible, batch, frequency)
    labelled = with_remaining_life(with_labels(recipe.cell.parameter_set, _labelled(recipe, samples, state)))
    return labelled.assign(**verdicts), z, "compiled" if built.linear.compiled else "numpy"


UNSOLVED = dict.fromkeys(("voltage_V", "consistency_residual", "solve_residual"), np.nan)


def _labelled(recipe: Recipe, samples: pd.DataFrame, state: Snapshot) -> pd.DataFrame:
    return samples.assign(
        capacity_Ah=state.capacity_Ah,
        soh=state.soh,
        theta_n=state.theta_n,
        theta_p=state.theta_p,
        model=recipe.cell.model,
        parameter_set=Path(recipe.cell.parameter_set).name,
        label_source=LABEL_SOURCE,
    )


def _verdicts(
    state: Snapshot, feasible: NDArray[np.intp], batch: Batch, frequency_Hz: NDArray[np.float64]
) -> dict[str, Any]:
    """Columns of all samples from what was solved for the feasible ones."""
    size = len(state.reason)
    verdict = quality.judge(batch.z_ohm, frequency_Hz, batch.consistency_residual, batch.solve_residual)
    status = quality.solver_status(batch.pivoted, batch.solve_residual)
    return {
        "voltage_V": _spread(size, feasible, batch.voltage_V, np.nan),
        "reason": np.where(state.reason != "", state.reason, _spread(size, feasible, verdict, "")),
        "solver_status": _spread(size, feasible, status, "not_solved"),
        "consistency_residual": _spread(size, feasible, batch.consistency_residual, np.nan),
        "solve_residual": _spread(size, feasible, batch.solve_residual, np.nan),
    }


def _spread(size: int, positions: NDArray[np.intp], values: NDArray[Any], otherwise: Any) -> NDArray[Any]:
    column = np.full(size, otherwise, dtype=object if isinstance(otherwise, str) else float)
    column[positions] = values
    return column
