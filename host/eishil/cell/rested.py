"""Impedance of a cell that was aged by simulation: its own state, linearised where it rests.

The model is the one that aged, with its side reactions frozen and the double layer as states. All states are taken over
by name; from SPMe to DFN an electrode's one value goes to every point. On another mesh the mean does: after the rest
particles and salt of an SPMe cell are in equilibrium, and porosity was seen to vary by less than 0.1 % with deposits.
What the ageing model does not know, the double layers and algebraic states, is solved for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pybamm
from numpy.typing import NDArray

from eishil.cell.impedance import Batch, ImpedanceSolver, planned
from eishil.cell.linearise import differentiate
from eishil.cell.mechanisms import CONTACT, TEMPERATURE, Mechanisms, ageing_parameters
from eishil.cell.mesh import Mesh, named_mesh
from eishil.cell.parameters import mended, on_mesh
from eishil.cell.simulation import Conditions, Rested

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
DOUBLE_LAYER = "surface potential difference [V]"  # ends the names of its states
# States that do not move while the reactions are frozen, or that only count what flowed.
HELD = (
    "apacity [A.h]", "Loss of lithium due to", "active material volume fraction", "SEI",
    "plating concentration", "dead lithium",
)  # fmt: skip


@dataclass(frozen=True)
class RestedSolver:
    """Linearised model for rested cells of one setup; `discrete` is PyBaMM's discretised model.

    `held` are its states that do not move, `follows` those among the others that follow from the rest; the inputs of
    the linearisation are `names`, in this order.
    """

    discrete: Any
    solver: ImpedanceSolver
    held: Indices
    follows: Indices
    names: tuple[str, ...]

    def solve(self, cell: Rested, conditions: Conditions, frequency_Hz: Floats) -> Batch:
        """Impedance of one cell, a batch of one.

        `voltage_V` is that of the linearised model; it has to be that of the rested one.
        """
        given = conditions.measuring()
        inputs = {name: given[name] for name in self.names}
        states = _initial(self.discrete, inputs)
        self._take_over(cell.solution, inputs, states)
        p = np.concatenate([list(inputs.values()), states[self.held]])
        y = np.delete(states, self.held)
        return self.solver.solve_at(y[None], p[None], frequency_Hz, follows=self.follows)

    def _take_over(self, solution: Any, inputs: dict[str, float], states: Floats) -> None:
        """Fill in the last state's values by name, where it has them."""
        last = solution.last_state
        known = last.all_models[-1].variables
        for variable, slices in self.discrete.y_slices.items():
            # What is joined of parts is there part by part as well, and one mean would mix them.
            if variable.name in known and not isinstance(variable, pybamm.ConcatenationVariable):
                value = last[variable.name].entries[..., -1].ravel(order="F")
                here = value if len(value) == len(states[slices[0]]) else value.mean()
                reference, scale = (_number(symbol, inputs) for symbol in (variable.reference, variable.scale))
                states[slices[0]] = (here - reference) / scale


def _number(symbol: Any, inputs: dict[str, float]) -> float:
    return float(np.asarray(symbol.evaluate(inputs=inputs)).ravel()[0])


def _initial(discrete: Any, inputs: dict[str, float]) -> Floats:
    """Initial conditions in PyBaMM's scaled units."""
    return np.array(discrete.concatenated_initial_conditions.evaluate(0, inputs=inputs), float).ravel()


@cache
def rested_solver(
    parameter_set: str, mechanisms: Mechanisms, model: str, mesh: str | Mesh, constants: tuple[str, ...] = ()
) -> RestedSolver:
    """Build the solver once per process; cells have factors of their own on `constants`."""
    options = mechanisms.options() | {"surface form": "differential"}
    built = mended(getattr(pybamm.lithium_ion, model)(options))
    values = ageing_parameters(parameter_set, mechanisms, constants, frozen=True)
    simulation = pybamm.EISSimulation(built, parameter_values=values, **on_mesh(built, named_mesh(mesh)))
    simulation.build()
    discrete = simulation.built_model
    held = _positions(discrete, lambda name: any(part in name for part in HELD))
    layers = _positions(discrete, lambda name: name.endswith(DOUBLE_LAYER))
    names = (TEMPERATURE, CONTACT, *constants)
    solver = planned(differentiate(discrete, names, held))
    return RestedSolver(discrete, solver, held, layers - np.searchsorted(held, layers), names)


def _positions(discrete: Any, chosen: Callable[[str], bool]) -> Indices:
    """Rising positions of the states whose names are chosen."""
    parts = [slices[0] for variable, slices in discrete.y_slices.items() if chosen(variable.name)]
    return np.unique(np.concatenate([np.arange(part.start, part.stop) for part in parts]))
