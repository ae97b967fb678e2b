"""Cells that age by simulation: what each goes through, and its spectra with the labels of the states they belong to.

A cell's random stream hangs on seed, split and number alone, as in `design`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eishil.cell.constants import SPREAD_PREFIX
from eishil.cell.esoh import FreshCell
from eishil.cell.impedance import Batch
from eishil.cell.mechanisms import Mechanisms, Rates, ageing_parameters
from eishil.cell.protocols import Load
from eishil.cell.reasons import SPREAD_LIMIT, VOLTAGE_LIMIT_V
from eishil.cell.rested import RestedSolver, rested_solver
from eishil.cell.simulation import (
    AgeingError,
    AgeingSetup,
    Conditions,
    Inventory,
    Rested,
    ageing_cell,
    fresh_electrodes,
)
from eishil.dataset import quality
from eishil.dataset.labels import with_remaining_life
from eishil.dataset.recipe import PopulationRecipe, Recipe
from eishil.dataset.simulation_recipe import SimulationRecipe
from eishil.dataset.spread import cell_factors
from eishil.dataset.streams import generator

Floats = NDArray[np.float64]
LABEL_SOURCE = "simulation"
UNKNOWN_WHERE_FAILED = (
    "cycles", "soc", "voltage_V", "capacity_Ah", "soh", "theta_n", "theta_p", "lli", "lam_ne", "lam_pe",
    "plating_loss", "sei_thickness_nm", "porosity_ne", "local_resistance_mOhm", "consistency_residual",
    "solve_residual",
)  # fmt: skip


@dataclass(frozen=True)
class SimulatedCell:
    """One cell and the operating points (N,) at which it is measured, if it lives that long."""

    cell_id: str
    split: str
    conditions: Conditions
    soc: Floats
    temperature_degC: Floats


def _simulation(recipe: Recipe) -> SimulationRecipe:
    assert recipe.simulation is not None, "a recipe with simulated cells has been checked to have it"
    return recipe.simulation


def simulated_cell(recipe: Recipe, split: str, number: int) -> SimulatedCell:
    """Draw a cell."""
    simulation = _simulation(recipe)
    population: PopulationRecipe = getattr(recipe.population, split)
    rng = generator(recipe.seed_of(split), split, "simulated", number)
    ranges = simulation.rates.model_dump()
    rates = Rates(**{name: float(low * (high / low) ** rng.random()) for name, (low, high) in ranges.items()})
    conditions = Conditions(
        temperature_degC=rng.uniform(*simulation.temperature_degC),
        contact_resistance_mOhm=rng.uniform(*simulation.contact_resistance_mOhm),
        rates=rates.accelerated(simulation.rate_scaling),
        factors=cell_factors(recipe, split, "simulated", number),
    )
    points = simulation.spectra()
    soc, temperature = rng.uniform(*population.soc, points), rng.uniform(*population.temperature_degC, points)
    return SimulatedCell(f"{split}-a{number:05d}", split, conditions, soc, temperature)


def setup(recipe: Recipe) -> AgeingSetup:
    """What the recipe's simulated cells have in common."""
    simulation = _simulation(recipe)
    mechanisms = Mechanisms(**simulation.mechanisms.model_dump())
    load = Load(simulation.protocol, **simulation.load.model_dump())
    mesh, constants = simulation.points(recipe.cell.points()), tuple(recipe.cell.spreads())
    return AgeingSetup(recipe.cell.parameter_set, simulation.model, mesh, mechanisms, load, constants)


def check_parameters(recipe: Recipe) -> None:
    """Whether the parameter set has what the recipe's mechanisms need, without building anything.

    Raises
    ------
    EishilError
        It lacks something.
    """
    ages = setup(recipe)
    ageing_parameters(ages.parameter_set, ages.mechanisms, ages.constants)


def simulate(recipe: Recipe, cell: SimulatedCell) -> tuple[pd.DataFrame, NDArray[np.complex128], str]:
    """Age one cell and measure it on the way: rows of `samples`, their spectra (rows, F) and what solved them.

    A cell that cannot be simulated further ends with a row that has the reason and no labels.
    """
    stops: list[tuple[dict[str, Any], NDArray[np.complex128]]] = []
    try:
        stops.extend(_life(recipe, cell))
    except AgeingError:
        stops.append(_failed(recipe, cell, len(stops)))
    rows, spectra = zip(*stops, strict=True)
    samples = with_remaining_life(pd.DataFrame(rows).assign(**_common(recipe, cell)))
    return samples, np.array(spectra), "compiled" if _rested_solver(recipe).solver.linear.compiled else "numpy"


def _life(recipe: Recipe, cell: SimulatedCell) -> Iterator[tuple[dict[str, Any], NDArray[np.complex128]]]:
    simulation, ageing = _simulation(recipe), ageing_cell(setup(recipe))
    start = state = ageing.fresh(cell.conditions)
    for step in range(simulation.spectra()):
        for _ in range(simulation.repetitions_per_spectrum // simulation.rate_scaling if step else 0):
            state = ageing.repeat(state, cell.conditions)
        there = replace(cell.conditions, temperature_degC=float(cell.temperature_degC[step]))
        rested = ageing.rest(state, there, float(cell.soc[step]))
        row, z = _measured(recipe, rested, there)
        yield _identity(cell, step) | {"cycles": _full_cycles(recipe, cell, start, state)} | row, z
        if row["soh"] < simulation.end_soh:
            return


def _measured(recipe: Recipe, rested: Rested, there: Conditions) -> tuple[dict[str, Any], NDArray[np.complex128]]:
    """Labels, verdict and spectrum (F,) of a rested cell."""
    frequency = np.asarray(recipe.impedance.frequency_Hz)
    batch = _rested_solver(recipe).solve(rested, there, frequency)
    labels = _labels(recipe.cell.parameter_set, there.fresh_cell(recipe.cell.parameter_set), rested.inventory)
    verdict = {
        "temperature_degC": there.temperature_degC,
        "voltage_V": float(batch.voltage_V[0]),
        "local_resistance_mOhm": rested.resistance_mOhm,
        "reason": _reason(rested, batch, frequency),
        "solver_status": str(quality.solver_status(batch.pivoted, batch.solve_residual)[0]),
        "consistency_residual": float(batch.consistency_residual[0]),
        "solve_residual": float(batch.solve_residual[0]),
    }
    return labels | verdict, batch.z_ohm[0]


def _labels(parameter_set: str, cell: FreshCell, left: Inventory) -> dict[str, float]:
    """What is left of a cell against what it was when new; state of charge of the present capacity."""
    now, new = left.electrodes(parameter_set), fresh_electrodes(cell)
    x_0, x_100, capacity_Ah = (float(values[0]) for values in (now.x_0, now.x_100, now.capacity_Ah))
    return {
        "capacity_Ah": capacity_Ah,
        "soh": capacity_Ah / float(new.capacity_Ah[0]),
        "soc": (left.theta_n - x_0) / (x_100 - x_0),
        "theta_n": left.theta_n,
        "theta_p": left.theta_p,
        "lli": 1 - left.Q_Li_Ah / cell.Q_Li_Ah,
        "lam_ne": 1 - left.Q_n_Ah / cell.Q_n_Ah,
        "lam_pe": 1 - left.Q_p_Ah / cell.Q_p_Ah,
        "plating_loss": left.plated_Ah / cell.Q_Li_Ah,
        "sei_thickness_nm": left.sei_thickness_nm,
        "porosity_ne": left.porosity_ne,
    }


def _reason(rested: Rested, batch: Batch, frequency_Hz: Floats) -> str:
    """First reason against a spectrum, "" where there is none."""
    if not rested.inventory.stoichiometry_spread <= SPREAD_LIMIT:
        return "spread"
    if not abs(batch.voltage_V[0] - rested.voltage_V) <= VOLTAGE_LIMIT_V:
        return "not_carried_over"
    return str(quality.judge(batch.z_ohm, frequency_Hz, batch.consistency_residual, batch.solve_residual)[0])


def _full_cycles(recipe: Recipe, cell: SimulatedCell, start: Any, state: Any) -> float:
    """Equivalent full cycles: throughput over twice the fresh capacity. NaN where the protocol has no cycles."""
    if _simulation(recipe).protocol == "calendar_rest":
        return np.nan
    throughput_Ah = Inventory.of(state).throughput_Ah - Inventory.of(start).throughput_Ah
    new = fresh_electrodes(cell.conditions.fresh_cell(recipe.cell.parameter_set))
    return _simulation(recipe).rate_scaling * throughput_Ah / (2 * float(new.capacity_Ah[0]))


def _failed(recipe: Recipe, cell: SimulatedCell, step: int) -> tuple[dict[str, Any], NDArray[np.complex128]]:
    masked = {"reason": "ageing_failed", "solver_status": "not_solved"}
    temperature = {"temperature_degC": float(cell.temperature_degC[step])}
    nothing = dict.fromkeys(UNKNOWN_WHERE_FAILED, np.nan)
    return _identity(cell, step) | nothing | temperature | masked, np.full(
        len(recipe.impedance.frequency_Hz), np.nan, complex
    )


def _identity(cell: SimulatedCell, step: int) -> dict[str, Any]:
    return {"sample_id": f"{cell.cell_id}-{step:02d}", "step": step}


def _common(recipe: Recipe, cell: SimulatedCell) -> dict[str, Any]:
    simulation = _simulation(recipe)
    return {
        "cell_id": cell.cell_id,
        "split": cell.split,
        "population": "trajectory",
        "model": recipe.cell.model,
        "parameter_set": Path(recipe.cell.parameter_set).name,
        "protocol_id": simulation.protocol,
        "rate_scaling": float(simulation.rate_scaling),
        "label_source": LABEL_SOURCE,
        "contact_resistance_mOhm": cell.conditions.contact_resistance_mOhm,
    } | {SPREAD_PREFIX + name: factor for name, factor in cell.conditions.factors.items()}


def _rested_solver(recipe: Recipe) -> RestedSolver:
    cell, ages = recipe.cell, setup(recipe)
    return rested_solver(cell.parameter_set, ages.mechanisms, cell.model, cell.points(), ages.constants)
