"""What may be otherwise than the estimator was told: other cells, other measurements, another start.

Cells that differ in their physics are simulated anew from a variant of the recipe, whose random streams stay the same:
the held-out cells of a variant are those of the recipe, changed. Where only the measurement differs, the measured
spectra are changed and not the cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eishil.dataset.cell_recipe import CellRecipe, SpreadRecipe
from eishil.dataset.recipe import Recipe
from eishil.dataset.variants import other_cells
from eishil.filters.replay import MeasuredCell
from eishil.filters.step import StepInput

Floats = NDArray[np.float64]
SPREAD_GROUP = "transport_and_kinetics"
CONTACT_STEP_OHM = 0.5e-3
LOW_FREQUENCY_Hz = 0.1
LOST_BEFORE = 0.10  # of SOH
FRESH_SPECTRA = 8
OUTLIER_SHARE = 1 / 20  # of all spectra
POINT_ERROR = 0.30
OUTLIER_SEED = 1_000_005

Vary = Callable[[Recipe], Recipe]
Disturb = Callable[[list[MeasuredCell], Floats], list[MeasuredCell]]


@dataclass(frozen=True)
class Scenario:
    """One row of the table.

    `vary` gives the recipe of other cells, with a name of its own; None keeps the data set. `noise` multiplies the
    noise on Z. `disturb` changes the measured cells, given the frequencies (F,); one without steps is left out. Without
    `gate` the filter believes every spectrum. `commissioned` cells are measured `FRESH_SPECTRA` times before they age
    (`eishil.filters.commissioning`).
    """

    name: str
    meaning: str
    vary: Vary | None = None
    noise: float = 1.0
    disturb: Disturb | None = None
    gate: bool = True
    commissioned: bool = False


def _speed(recipe: Recipe) -> Recipe:
    return other_cells(recipe, "speed", ageing=recipe.ageing_paths().model_copy(update={"speed": (0.4, 1.6)}))


def _knee(recipe: Recipe) -> Recipe:
    strongest = recipe.ageing_paths().knee_gain[1]
    knee = {"knee_probability": 1.0, "knee_gain": (strongest, 2 * strongest)}
    return other_cells(recipe, "knee", ageing=recipe.ageing_paths().model_copy(update=knee))


def spread_cells(std: float) -> Vary:
    """Constants of transport and kinetics that differ from cell to cell with that standard deviation."""

    def vary(recipe: Recipe) -> Recipe:
        spread = {SPREAD_GROUP: SpreadRecipe(distribution="normal", std=std)}
        cell: CellRecipe = recipe.cell.model_copy(update={"spread": spread, "spread_splits": None})
        return other_cells(recipe, f"spread-{100 * std:g}", cell=cell)

    return vary


def _each_cell(change: Callable[[MeasuredCell], MeasuredCell]) -> Disturb:
    return lambda cells, frequency_Hz: [change(cell) for cell in cells]


def _each_step(change: Callable[[StepInput], StepInput]) -> Disturb:
    return _each_cell(lambda cell: replace(cell, steps=tuple(change(step) for step in cell.steps)))


def _voltage(bias_V: float) -> Disturb:
    return _each_step(lambda step: replace(step, voltage_V=step.voltage_V + bias_V))


def _temperature(bias_K: float) -> Disturb:
    return _each_step(lambda step: replace(step, temperature_degC=step.temperature_degC + bias_K))


def _contact(cell: MeasuredCell) -> MeasuredCell:
    """A resistance in series from the middle of the cell's spectra on."""
    half = len(cell.steps) // 2
    worse = tuple(replace(step, z_ohm=step.z_ohm + CONTACT_STEP_OHM) for step in cell.steps[half:])
    return replace(cell, steps=cell.steps[:half] + worse)


def _no_low_frequencies(cells: list[MeasuredCell], frequency_Hz: Floats) -> list[MeasuredCell]:
    missing = frequency_Hz < LOW_FREQUENCY_Hz
    return _each_step(lambda step: replace(step, valid=step.valid & ~missing))(cells, frequency_Hz)


def _used(cell: MeasuredCell) -> MeasuredCell:
    """The first spectra are not there, and the cycles start where the cell has lost SOH already."""
    aged = np.flatnonzero(cell.soh <= cell.soh[0] - LOST_BEFORE)
    first = int(aged[0]) if aged.size else len(cell.steps)
    steps = cell.steps[first:]
    if steps:
        steps = (replace(steps[0], elapsed_cycles=0.0), *steps[1:])
    return replace(cell, steps=steps, samples=cell.samples.iloc[first:])


def _some_steps(spoil: Callable[[StepInput, np.random.Generator, Sequence[StepInput]], StepInput]) -> Disturb:
    """`spoil` one spectrum in twenty, given those of all cells."""

    def disturb(cells: list[MeasuredCell], frequency_Hz: Floats) -> list[MeasuredCell]:
        rng, pool = np.random.default_rng(OUTLIER_SEED), [step for cell in cells for step in cell.steps]
        return [
            replace(
                cell,
                steps=tuple(spoil(step, rng, pool) if rng.random() < OUTLIER_SHARE else step for step in cell.steps),
            )
            for cell in cells
        ]

    return disturb


def _wrong_point(step: StepInput, rng: np.random.Generator, pool: Sequence[StepInput]) -> StepInput:
    z_ohm = step.z_ohm.copy()
    z_ohm[rng.integers(len(z_ohm))] *= 1.0 + rng.choice([-POINT_ERROR, POINT_ERROR])
    return replace(step, z_ohm=z_ohm)


def _foreign_spectrum(step: StepInput, rng: np.random.Generator, pool: Sequence[StepInput]) -> StepInput:
    """All that was measured is another cell's, at any age of it."""
    return replace(pool[int(rng.integers(len(pool)))], elapsed_cycles=step.elapsed_cycles)


_WRONG_POINTS, _FOREIGN_SPECTRA = _some_steps(_wrong_point), _some_steps(_foreign_spectrum)
_COMMISSIONED = f"the same cells, their offset of ln Z learned from {FRESH_SPECTRA} spectra before they age"
_CONSTANTS = "transport and kinetics, each with that standard deviation"
SCENARIOS = (
    Scenario("as in the recipe", "held-out cells of the recipe's population"),
    Scenario("ageing speed x 0.4 to 1.6", "each cell's speed drawn from that range", vary=_speed),
    Scenario("a knee in every mode", "of once to twice the gain of the strongest one in training", vary=_knee),
    Scenario(
        "cell constants off by 3 %", "transport and kinetics, each with that standard deviation", spread_cells(0.03)
    ),
    Scenario(
        "cell constants off by 10 %", "transport and kinetics, each with that standard deviation", spread_cells(0.10)
    ),
    Scenario("3 %, commissioned", _COMMISSIONED, vary=spread_cells(0.03), commissioned=True),
    Scenario("10 %, commissioned", _COMMISSIONED, vary=spread_cells(0.10), commissioned=True),
    Scenario("voltage + 2 mV", "the same error in every spectrum", disturb=_voltage(0.002)),
    Scenario("voltage + 5 mV", "the same error in every spectrum", disturb=_voltage(0.005)),
    Scenario("voltage - 5 mV", "the same error in every spectrum", disturb=_voltage(-0.005)),
    Scenario("temperature + 1 K", "the same error in every spectrum", disturb=_temperature(1.0)),
    Scenario("temperature + 2 K", "the same error in every spectrum", disturb=_temperature(2.0)),
    Scenario("temperature - 2 K", "the same error in every spectrum", disturb=_temperature(-2.0)),
    Scenario("noise on Z x 3", "three times what the recipe says", noise=3.0),
    Scenario(
        "0.5 mOhm more at a contact",
        "suddenly, from the middle of each cell's spectra on",
        disturb=_each_cell(_contact),
    ),
    Scenario(
        "initial SOH wrong by 10 %",
        "used cells taken for new, from that loss on",
        disturb=_each_cell(_used),
    ),
    Scenario("nothing below 0.1 Hz", "points not measured in any spectrum", disturb=_no_low_frequencies),
    Scenario(
        "one spectrum in 20 with a wrong point", "one frequency, 30 % too much or too little", disturb=_WRONG_POINTS
    ),
    Scenario("the same without the gate", "every spectrum is believed", disturb=_WRONG_POINTS, gate=False),
    Scenario("one spectrum in 20 of another cell", "at any age of that cell", disturb=_FOREIGN_SPECTRA),
    Scenario("that without the gate", "every spectrum is believed", disturb=_FOREIGN_SPECTRA, gate=False),
)
