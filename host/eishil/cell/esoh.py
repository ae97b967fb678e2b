"""Electrode state of health, for many cells at once.

From the electrodes' capacities and the cyclable lithium it finds the stoichiometries at both voltage limits (Mohtat et
al., J. Electrochem. Soc. 166, 2019, A2780; the same equations and limits as `pybamm.lithium_ion.ElectrodeSOHSolver`):

    Q_Li = x Q_n + y Q_p at any state of charge
    U_p(y) - U_n(x) = V_max at 100 %, V_min at 0 %
    C = Q_n (x_100 - x_0)

Capacities are in Ah. The voltage rises monotonically with x, so that a bracketed root cannot be missed, and what is
infeasible is flagged: it never saturates silently and never raises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pybamm
from numpy.typing import NDArray

from eishil.cell.parameters import parameter_values, scalar, unusable
from eishil.cell.reasons import X_100_LIMIT

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
EDGE = 1e-6  # PyBaMM's distance of a stoichiometry from 0 and 1
PRECISION = 4 * np.finfo(float).eps  # of a stoichiometry, relative


@dataclass(frozen=True)
class ElectrodeSoh:
    """Stoichiometries at the voltage limits and capacity; every field (S,), NaN where not `feasible`."""

    x_0: Floats
    x_100: Floats
    y_0: Floats
    y_100: Floats
    capacity_Ah: Floats
    feasible: NDArray[np.bool_]

    def stoichiometries(self, soc: Floats) -> tuple[Floats, Floats]:
        """(theta_n, theta_p) at a state of charge that is 0..1 of the present capacity."""
        return self.x_0 + soc * (self.x_100 - self.x_0), self.y_0 + soc * (self.y_100 - self.y_0)


@dataclass(frozen=True)
class FreshCell:
    """A parameter set's fresh electrodes: capacities in Ah, voltage limits in V, open-circuit voltage of (x, y)."""

    Q_n_Ah: float
    Q_p_Ah: float
    Q_Li_Ah: float
    V_min_V: float
    V_max_V: float
    open_circuit_voltage_V: Callable[[Floats, Floats], Floats]
    x_range: tuple[float, float]
    y_range: tuple[float, float]


@cache
def fresh_cell(parameter_set: str) -> FreshCell:
    """Read a PyBaMM parameter set. Potentials are those of the reference temperature, as in PyBaMM's eSOH.

    Raises
    ------
    EishilError
        The set is not one of a lithium-ion cell with two plain electrodes.
    """
    try:
        return _fresh_cell(parameter_set)
    except KeyError as error:
        raise unusable(parameter_set, error) from None


def _fresh_cell(parameter_set: str) -> FreshCell:
    values, parameters = parameter_values(parameter_set), pybamm.LithiumIonParameters()
    return FreshCell(
        Q_n_Ah=float(values.evaluate(parameters.n.Q_init)),
        Q_p_Ah=float(values.evaluate(parameters.p.Q_init)),
        Q_Li_Ah=float(values.evaluate(parameters.Q_Li_particles_init)),
        V_min_V=scalar(parameter_set, "Open-circuit voltage at 0% SOC [V]"),
        V_max_V=scalar(parameter_set, "Open-circuit voltage at 100% SOC [V]"),
        open_circuit_voltage_V=_open_circuit_voltage(values, parameters),
        x_range=_range(values["Negative electrode OCP [V]"]),
        y_range=_range(values["Positive electrode OCP [V]"]),
    )


def _open_circuit_voltage(values: Any, parameters: Any) -> Callable[[Floats, Floats], Floats]:
    """As a function of stoichiometries (x, y): numpy code, which takes half the time of PyBaMM's graph."""
    x, y = (pybamm.InputParameter(name) for name in "xy")
    T = parameters.T_ref
    evaluate = pybamm.EvaluatorPython(values.process_symbol(parameters.p.prim.U(y, T) - parameters.n.prim.U(x, T)))
    return lambda x, y: np.asarray(evaluate(inputs={"x": x, "y": y}), float)


@cache
def fresh_state(parameter_set: str) -> ElectrodeSoh:
    """ESOH of the parameter set's own fresh cell, S = 1."""
    cell = fresh_cell(parameter_set)
    return solve(cell, *(np.array([Q]) for Q in (cell.Q_n_Ah, cell.Q_p_Ah, cell.Q_Li_Ah)))


def x_100_limit(parameter_set: str) -> float:
    """How full the negative electrode may be: some sets, ORegan2022 with 0.9997, are full when fresh."""
    return max(X_100_LIMIT, float(fresh_state(parameter_set).x_100[0]) * (1 + 1e-9))


def _range(potential: Any) -> tuple[float, float]:
    """Stoichiometries a potential is defined for; tabulated ones are not extrapolated."""
    if isinstance(potential, tuple):
        table = np.asarray(potential[1][0])
        return max(float(table.min()), 0.0) + EDGE, min(float(table.max()), 1.0) - EDGE
    return EDGE, 1.0 - EDGE


def solve(cell: FreshCell, Q_n_Ah: Floats, Q_p_Ah: Floats, Q_Li_Ah: Floats) -> ElectrodeSoh:
    """Stoichiometries and capacities of S cells; all arguments (S,)."""
    low = np.maximum(cell.x_range[0], (Q_Li_Ah - cell.y_range[1] * Q_p_Ah) / Q_n_Ah)
    high = np.minimum(cell.x_range[1], (Q_Li_Ah - cell.y_range[0] * Q_p_Ah) / Q_n_Ah)

    def voltage(x: Floats, cells: Any = slice(None)) -> Floats:
        return cell.open_circuit_voltage_V(x, (Q_Li_Ah[cells] - x * Q_n_Ah[cells]) / Q_p_Ah[cells])

    with np.errstate(invalid="ignore", over="ignore"):
        least, most = voltage(low), voltage(high)
        feasible = (low < high) & (least <= cell.V_min_V) & (most >= cell.V_max_V)
    # Both ends of all cells at once.
    cells = np.tile(np.flatnonzero(feasible), 2)
    limit = np.repeat([cell.V_min_V, cell.V_max_V], len(cells) // 2)
    x = np.full((2, len(feasible)), np.nan)
    x[:, feasible] = _roots(
        lambda x, which: voltage(x, cells[which]) - limit[which],
        (low[cells], high[cells]), (least[cells] - limit, most[cells] - limit),
    ).reshape(2, -1)  # fmt: skip
    x_0, x_100 = x
    y_0, y_100 = (Q_Li_Ah - x * Q_n_Ah) / Q_p_Ah
    return ElectrodeSoh(x_0, x_100, y_0, y_100, Q_n_Ah * (x_100 - x_0), feasible)


def _roots(
    function: Callable[[Floats, Indices], Floats], ends: tuple[Floats, Floats], values: tuple[Floats, Floats]
) -> Floats:
    """Roots (S,) of function(x, which of the S) between `ends` (S,) with `values` (S,) of opposite sign.

    Chandrupatla's method (Advances in Engineering Software 28, 1997, 145-149): bisection, and inverse quadratic
    interpolation where that is safe. It takes 14 values where bisection takes 53.
    """
    (b, a), (fb, fa) = ends, values
    roots, which, t = np.where(fa == 0.0, a, b), np.flatnonzero(fa * fb < 0.0), np.full(len(a), 0.5)
    a, b, fa, fb, t = (values[which] for values in (a, b, fa, fb, t))
    while which.size:
        x = a + t * (b - a)
        fx = function(x, which)
        same = np.sign(fx) == np.sign(fa)
        c, fc = np.where(same, a, b), np.where(same, fa, fb)
        b, fb = np.where(same, b, a), np.where(same, fb, fa)
        a, fa = x, fx
        best = np.where(np.abs(fa) < np.abs(fb), a, b)
        roots[which] = best
        least_step = 0.5 * PRECISION * np.abs(best) / np.abs(b - a)
        going = (least_step < 0.5) & (fa != 0.0)
        which, a, b, c, fa, fb, fc, least_step = (values[going] for values in (which, a, b, c, fa, fb, fc, least_step))
        xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
        quadratic = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
        t = np.clip(np.where(quadratic, t, 0.5), least_step, 1 - least_step)
    return roots
