"""Impedance of PyBaMM models: linearise at a consistent state, then solve all frequencies of many samples.

    M dy/dt = F(y, p),   (j omega M - J) x = b,   Z = -(dV/dy x) / x_current

with J = dF/dy at rest and b the unit perturbation of the current (Hallemans et al., arXiv 2412.10896, the method of
`pybamm.EISSimulation`). Differences from PyBaMM's: the state is made consistent first, which SPMe needs (its raw
initial conditions violate the algebraic equations, and `EISSimulation` linearises there); inputs are stacked by name;
temperature reaches isothermal and lumped models alike; every answer carries its residuals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from eishil.cell import arguments
from eishil.cell.ageing import AgedState, snapshot
from eishil.cell.constants import model_constants
from eishil.cell.linearise import CellInputs, Linearisation, linearise
from eishil.cell.mesh import Mesh
from eishil.cell.reasons import REASONS
from eishil.cell.schedule import Pattern, schedule
from eishil.cell.static_lu import StaticSolver, checked_impedance
from eishil.errors import EishilError
from eishil.spectrum import Spectrum

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
CONSISTENT = 1e-9  # largest |F| of an algebraic equation that counts as solved, in PyBaMM's scaled units
NEWTON_STEPS = 20
NEWTON_VALUES = 2_000_000  # of Jacobians at once


@dataclass(frozen=True)
class Batch:
    """Impedance of S samples at F frequencies.

    Attributes
    ----------
    z_ohm
        (S, F).
    voltage_V
        (S,), at rest.
    consistency_residual
        (S,), largest |F(y0)|: 0 for a cell at rest in equilibrium.
    solve_residual
        (S,), largest componentwise backward error over the frequencies; NaN where even pivoting failed.
    pivoted
        (S,), whether a frequency needed pivoting.
    """

    z_ohm: NDArray[np.complex128]
    voltage_V: Floats
    consistency_residual: Floats
    solve_residual: Floats
    pivoted: NDArray[np.bool_]


@dataclass(frozen=True)
class ImpedanceSolver:
    """A linearised model with its linear solver; pickles, so that worker processes need not build it again."""

    model: Linearisation
    linear: StaticSolver

    def solve(self, inputs: CellInputs, frequency_Hz: Floats) -> Batch:
        """Impedance of all samples in `inputs` at all frequencies."""
        p = inputs.stacked(self.model.constants)
        return self.solve_at(self.model.initial_state(p), p, frequency_Hz)

    def solve_at(self, y: Floats, p: Floats, frequency_Hz: Floats, follows: Indices | None = None) -> Batch:
        """Impedance at the states y (S, n) with the parameters p (S, inputs).

        The algebraic states of y are solved for in place, and with them those that `follows` names.
        """
        here = self.model.local(y, p)
        algebraic = np.flatnonzero(self.model.pattern.mass == 0)
        if _make_consistent(self.model, y, p, here.F, algebraic if follows is None else np.union1d(algebraic, follows)):
            here = self.model.local(y, p)
        z, error, pivoted = checked_impedance(
            self.model.pattern, self.linear, here.J, here.dV, 2 * np.pi * frequency_Hz
        )
        return Batch(z, here.voltage_V[:, 0], np.abs(here.F).max(axis=1), error.max(axis=1), pivoted)


def _make_consistent(model: Linearisation, y: Floats, p: Floats, F: Floats, states: Indices) -> bool:
    """Solve F = 0 for some states of y (S, n) in place, where F (S, n) needs it; whether any did."""
    samples = np.flatnonzero(~(np.abs(F[:, states]).max(axis=1) <= CONSISTENT))
    if samples.size:
        states = _connected(model, states, np.flatnonzero((np.abs(F[samples]) > CONSISTENT).any(axis=0)))
    at_once = max(1, NEWTON_VALUES // len(states) ** 2)
    for part in np.array_split(samples, range(at_once, len(samples), at_once)):
        y[part] = _newton(model, y[part], p[part], states)
    return samples.size > 0


def _connected(model: Linearisation, states: Indices, wrong: Indices) -> Indices:
    """Those of `states` that depend on one another and, through others of them, on one of the `wrong`."""
    _, row, column = _block(model.pattern, states)
    size = len(states)
    _, component = connected_components(sp.coo_matrix((np.ones(len(row)), (row, column)), shape=(size, size)))
    return states[np.isin(component, component[np.isin(states, wrong)])]


def _block(pattern: Pattern, states: Indices) -> tuple[Indices, Indices, Indices]:
    """Which of the Jacobian's values lie in the rows and columns of `states`, and in which of them."""
    number = np.full(pattern.n, -1)
    number[states] = np.arange(len(states))
    row, column = number[pattern.row], number[np.repeat(np.arange(pattern.n), np.diff(pattern.column_start))]
    inside = np.flatnonzero((row >= 0) & (column >= 0))
    return inside, row[inside], column[inside]


def _newton(model: Linearisation, y: Floats, p: Floats, states: Indices) -> Floats:
    """The states y (S, n) with F = 0 in `states`, as far as Newton's method gets."""
    inside, row, column = _block(model.pattern, states)
    jacobian = np.zeros((len(y), len(states), len(states)))
    for _ in range(NEWTON_STEPS):
        here = model.local(y, p)
        F = here.F[:, states]
        if not np.abs(F).max(initial=0.0) > CONSISTENT:
            break
        jacobian[:, row, column] = here.J[:, inside]
        y[:, states] -= np.linalg.solve(jacobian, F[..., None])[..., 0]
    return y


@cache
def solver(
    parameter_set: str, model: str = "DFN", mesh: str | Mesh = "default", constants: tuple[str, ...] = ()
) -> ImpedanceSolver:
    """Build the solver of a model once per process (about three seconds for DFN, half a second for SPM).

    `constants` may have a factor in each sample (`constants.model_constants`).
    """
    linearised = linearise(parameter_set, model, mesh, constants)
    return planned(linearised)


def planned(model: Linearisation) -> ImpedanceSolver:
    """A solver with the order of elimination of the model's pattern."""
    return ImpedanceSolver(model, StaticSolver(schedule(model.pattern)))


def impedance(
    parameter_set: str = "Chen2020",
    model: str = "DFN",
    *,
    soc: float = 0.5,
    temperature_degC: float = 25.0,
    frequency_Hz: Sequence[float] | Floats,
    mesh: str = "default",
    aged: AgedState | None = None,
) -> Spectrum:
    """Impedance spectrum of a cell at rest.

    Parameters
    ----------
    parameter_set
        Name of a PyBaMM parameter set.
    model
        "DFN", "SPMe" or "SPM".
    soc
        0..1 of the cell's present capacity.
    temperature_degC
        Of the whole cell, -60..100.
    frequency_Hz
        (F,), each within 1e-6..1e9.
    mesh
        "default" (graded) or "pybamm" (PyBaMM's own); docs/dataset.md has the error of each.
    aged
        Degradation modes, one number each: `lli`, `lam_ne`, `lam_pe`, `porosity_loss_ne` within 0..0.999,
        `sei_thickness_nm` and `contact_resistance_mOhm` within 0..1e4. None is the fresh cell of PyBaMM's plain model,
        without a film.

    Raises
    ------
    EishilError
        An argument is not what it has to be, or such a cell is masked in data sets (`eishil.cell.reasons.REASONS`).
    """
    names = {"parameter_set": parameter_set, "model": model, "mesh": mesh}
    for what, value in names.items():
        arguments.name(what, value)
    frequency = arguments.frequencies(frequency_Hz)
    soc = arguments.number("soc", soc, arguments.SOC_LIMITS)
    temperature_degC = arguments.number("temperature_degC", temperature_degC, arguments.TEMPERATURE_LIMITS_degC)
    modes = arguments.aged_state(AgedState(sei_thickness_nm=0.0) if aged is None else aged)
    state = snapshot(parameter_set, modes, np.array([soc]), np.array([temperature_degC]))
    if state.reason[0]:
        raise EishilError(f"aged={modes}: {REASONS[state.reason[0]]}; such a cell has no spectrum")
    constants = model_constants(set(state.inputs.factors))
    batch = solver(parameter_set, model, mesh, constants).solve(state.inputs, frequency)
    if not np.isfinite(batch.z_ohm).all() or not batch.consistency_residual[0] < 1e-6:
        raise EishilError(f"{parameter_set} {model} at soc={soc}, {temperature_degC} degC could not be solved")
    return Spectrum(frequency, batch.z_ohm[0], temperature_degC, float(batch.voltage_V[0]), soc)
