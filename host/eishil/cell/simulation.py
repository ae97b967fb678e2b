"""Ageing by simulation: a PyBaMM cell that is cycled, and measured on the way without being disturbed.

To be measured, a copy of the cell's state has its side reactions frozen, is brought to a state of charge by a current
within ten hours, and rests for a day. What ages goes on from where it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import pybamm

from eishil.cell import esoh
from eishil.cell.constants import ACTIVE_FRACTIONS
from eishil.cell.mechanisms import (
    CONTACT,
    CURRENT,
    INITIAL,
    REACTIONS,
    TEMPERATURE,
    Mechanisms,
    Rates,
    ageing_parameters,
    rate_name,
)
from eishil.cell.mesh import Mesh, named_mesh
from eishil.cell.parameters import mended, on_mesh, scalar, unusable
from eishil.cell.protocols import CellRating, Load, cycle, starting_soc
from eishil.errors import EishilError
from eishil.units import ZERO_CELSIUS_K

Ah_PER_mol = float(pybamm.constants.F.value) / 3600
STEP_s, REST_s = 36_000.0, 86_400.0
SIDES = ("Negative", "Positive")


class AgeingError(EishilError):
    """A cell could not be simulated further; what was reached before stands."""


@dataclass(frozen=True)
class AgeingSetup:
    """What all cells of a population have in common; `constants` are those that differ from cell to cell."""

    parameter_set: str
    model: str
    mesh: str | Mesh
    mechanisms: Mechanisms
    load: Load
    constants: tuple[str, ...] = ()


@dataclass(frozen=True)
class Conditions:
    """What one cell ages under; `rates` include the acceleration.

    `factors` are the cell's own, one for each of its setup's `constants`.
    """

    temperature_degC: float
    contact_resistance_mOhm: float
    rates: Rates
    factors: Mapping[str, float] = field(default_factory=dict)

    def measuring(self) -> dict[str, float]:
        """PyBaMM's inputs of a cell that does not age."""
        kelvin = self.temperature_degC + ZERO_CELSIUS_K
        return {TEMPERATURE: kelvin, CONTACT: 1e-3 * self.contact_resistance_mOhm} | dict(self.factors)

    def inputs(self, *, ageing: bool) -> dict[str, float]:
        """PyBaMM's inputs, with the side reactions on or frozen."""
        rates = {rate_name(name): value for name, value in vars(self.rates).items()}
        return self.measuring() | {REACTIONS: float(ageing)} | rates

    def fresh_cell(self, parameter_set: str) -> esoh.FreshCell:
        """When it was new: active material as its factors have it, lithium with the positive electrode."""
        cell = esoh.fresh_cell(parameter_set)
        own_n, own_p = (self.factors.get(name, 1.0) for name in ACTIVE_FRACTIONS)
        return replace(cell, Q_n_Ah=cell.Q_n_Ah * own_n, Q_p_Ah=cell.Q_p_Ah * own_p, Q_Li_Ah=cell.Q_Li_Ah * own_p)


@dataclass(frozen=True)
class Inventory:
    """What is left in a cell, from a PyBaMM solution's last state; capacities in Ah, means over the electrode."""

    Q_n_Ah: float
    Q_p_Ah: float
    Q_Li_Ah: float
    theta_n: float
    theta_p: float
    plated_Ah: float
    sei_thickness_nm: float
    porosity_ne: float
    throughput_Ah: float
    stoichiometry_spread: float

    @classmethod
    def of(cls, solution: Any) -> Inventory:
        """Read a state. Plated lithium is both the reversible and the dead."""
        read = _Reader(solution)
        Q_n, Q_p = read("Negative electrode capacity [A.h]"), read("Positive electrode capacity [A.h]")
        lithium_n, lithium_p = (
            Ah_PER_mol * read(f"Total lithium in {side} electrode [mol]") for side in map(str.lower, SIDES)
        )
        return cls(
            Q_n, Q_p, lithium_n + lithium_p, lithium_n / Q_n, lithium_p / Q_p,
            plated_Ah=Ah_PER_mol * read("Loss of lithium to negative lithium plating [mol]"),
            sei_thickness_nm=1e9 * read("X-averaged negative SEI thickness [m]"),
            porosity_ne=read("X-averaged negative electrode porosity"),
            throughput_Ah=read("Throughput capacity [A.h]"),
            stoichiometry_spread=max(read.spread(f"{side} particle stoichiometry") for side in SIDES),
        )  # fmt: skip

    def electrodes(self, parameter_set: str) -> esoh.ElectrodeSoh:
        """Stoichiometries at the voltage limits and capacity, arrays of one."""
        capacities = (np.array([Q]) for Q in (self.Q_n_Ah, self.Q_p_Ah, self.Q_Li_Ah))
        return esoh.solve(esoh.fresh_cell(parameter_set), *capacities)


class _Reader:
    def __init__(self, solution: Any) -> None:
        self._last = solution.last_state

    def __call__(self, name: str) -> float:
        return float(self._last[name].entries[-1])

    def spread(self, name: str) -> float:
        return float(np.ptp(self._last[name].entries[..., -1]))


@dataclass(frozen=True)
class Rested:
    """A cell at an operating point, frozen and rested.

    `resistance_mOhm` is the step of voltage between the end of the current that set the state of charge and the end of
    the rest, over that current.
    """

    inventory: Inventory
    voltage_V: float
    resistance_mOhm: float
    solution: Any


class AgeingCell:
    """The simulations of one setup, built once; a state is a PyBaMM solution."""

    def __init__(self, setup: AgeingSetup) -> None:
        pybamm.set_logging_level("CRITICAL")  # what goes wrong is told by AgeingError
        self.setup = setup
        rating = CellRating.of(setup.parameter_set)
        current = pybamm.step.current(pybamm.InputParameter(CURRENT), duration=STEP_s, period=STEP_s)
        to_operating_point = pybamm.Experiment([(current, pybamm.step.rest(duration=REST_s, period=REST_s))])
        self._ageing = self._simulation(cycle(setup.load, rating))
        self._frozen = self._simulation(to_operating_point)

    def _simulation(self, experiment: Any) -> Any:
        setup = self.setup
        try:
            model = mended(getattr(pybamm.lithium_ion, setup.model)(setup.mechanisms.options()))
            values = ageing_parameters(setup.parameter_set, setup.mechanisms, setup.constants)
            mesh = on_mesh(model, named_mesh(setup.mesh))
            solver = pybamm.IDAKLUSolver()
            return pybamm.Simulation(model, parameter_values=values, experiment=experiment, solver=solver, **mesh)
        except (KeyError, pybamm.OptionError) as error:
            raise unusable(setup.parameter_set, error) from error

    def fresh(self, conditions: Conditions) -> Any:
        """The state in which the protocol begins."""
        return self._move(None, conditions, 0.0)

    def repeat(self, state: Any, conditions: Conditions) -> Any:
        """The state after one repetition of the protocol."""
        return _solve(self._ageing, state, self._inputs(conditions, ageing=True))

    def rest(self, state: Any, conditions: Conditions, soc: float) -> Rested:
        """A copy at a state of charge, 0..1 of the present capacity, at `conditions.temperature_degC`.

        Raises
        ------
        AgeingError
            The electrodes no longer reach the voltage limits, or the simulation failed.
        """
        now = Inventory.of(state)
        electrodes = now.electrodes(self.setup.parameter_set)
        if not electrodes.feasible[0]:
            raise AgeingError("no stoichiometries reach both voltage limits")
        target = float(electrodes.stoichiometries(np.array([soc]))[0][0])
        discharged_Ah = (now.theta_n - target) * now.Q_n_Ah
        solution = self._move(state, conditions, discharged_Ah)
        moved, rested = (step["Voltage [V]"].entries[-1] for step in solution.cycles[-1].steps)
        resistance = (rested - moved) / (discharged_Ah / STEP_s * 3600)
        return Rested(Inventory.of(solution), float(rested), 1e3 * float(resistance), solution)

    def _move(self, state: Any, conditions: Conditions, discharged_Ah: float) -> Any:
        current_A = discharged_Ah / STEP_s * 3600
        return _solve(self._frozen, state, self._inputs(conditions, ageing=False) | {CURRENT: current_A})

    def _inputs(self, conditions: Conditions, *, ageing: bool) -> dict[str, float]:
        return conditions.inputs(ageing=ageing) | self._start(conditions)

    def _start(self, conditions: Conditions) -> dict[str, float]:
        """Concentrations in a new cell at the state of charge in which the protocol begins."""
        name = self.setup.parameter_set
        electrodes = fresh_electrodes(conditions.fresh_cell(name))
        if not electrodes.feasible[0]:
            raise AgeingError("with its own active material the new cell does not reach both voltage limits")
        theta = electrodes.stoichiometries(np.array([starting_soc(self.setup.load)]))
        full = (scalar(name, f"Maximum concentration in {side.lower()} electrode [mol.m-3]") for side in SIDES)
        return {key: float(part[0]) * most for key, part, most in zip(INITIAL, theta, full, strict=True)}


def _solve(simulation: Any, state: Any, inputs: dict[str, float]) -> Any:
    start = None if state is None else state.last_state
    try:
        solution = simulation.solve(starting_solution=start, inputs=inputs, calc_esoh=False)
    except (pybamm.SolverError, ValueError) as error:
        raise AgeingError(f"the solver failed: {str(error).splitlines()[0]}") from error
    if len(solution.cycles[-1].steps) != simulation.experiment.cycle_lengths[0]:
        raise AgeingError(f"the protocol could not be completed: {solution.termination}")
    return solution


def fresh_electrodes(cell: esoh.FreshCell) -> esoh.ElectrodeSoh:
    """Stoichiometries at the voltage limits and capacity of a new cell, arrays of one."""
    return esoh.solve(cell, *(np.array([Q]) for Q in (cell.Q_n_Ah, cell.Q_p_Ah, cell.Q_Li_Ah)))


def fresh_capacity_Ah(parameter_set: str) -> float:
    """Of the fresh cell, by eSOH."""
    return float(esoh.fresh_state(parameter_set).capacity_Ah[0])


@cache
def ageing_cell(setup: AgeingSetup) -> AgeingCell:
    """Build the simulations of a setup once per process."""
    return AgeingCell(setup)
