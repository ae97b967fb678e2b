"""An aged cell as a snapshot: what degradation modes do to the electrodes, the film and the contacts.

    Q_n = Q_n0 (1 - LAM_ne),   Q_p = Q_p0 (1 - LAM_pe),   Q_Li = Q_Li0 (1 - LLI)

eSOH gives the stoichiometries at the voltage limits and the capacity C; SOH = C / C_0 with C_0 from the fresh eSOH,
not the nominal capacity. Lost active material scales the active fraction, and with it the reacting area; the
concentrations are set from eSOH, because the parameter set's own would take lithium away with the material.
State of charge is a fraction of the present capacity C.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eishil.cell import esoh
from eishil.cell.constants import ACTIVE_FRACTIONS, CONSTANTS
from eishil.cell.linearise import CellInputs
from eishil.cell.parameters import scalar
from eishil.units import ZERO_CELSIUS_K

Floats = NDArray[np.float64]
LABEL_SOURCE = "snapshot"
PARTS = {"negative": "Negative electrode", "separator": "Separator", "positive": "Positive electrode"}


@dataclass(frozen=True)
class AgedState:
    """Degradation modes of a cell, scalars or (S,).

    `lli`, `lam_ne`, `lam_pe` are fractions 0..1 of the fresh cell's lithium and active materials. The film is the one
    of PyBaMM's "constant" SEI: 5 nm add 1 % to the plain PyBaMM model's impedance, which has no film.
    `porosity_loss_ne` is the fraction 0..1 of the negative electrode's pores that deposits fill; the salt stays in the
    cell, so that its concentration rises.
    """

    lli: Floats | float = 0.0
    lam_ne: Floats | float = 0.0
    lam_pe: Floats | float = 0.0
    sei_thickness_nm: Floats | float = 5.0
    contact_resistance_mOhm: Floats | float = 0.0
    porosity_loss_ne: Floats | float = 0.0


@dataclass(frozen=True)
class Snapshot:
    """S aged cells at S operating points; arrays are (S,), NaN where eSOH is infeasible.

    `reason` is "" where the cell can exist, else one of `reasons.REASONS`.
    """

    inputs: CellInputs
    capacity_Ah: Floats
    soh: Floats
    theta_n: Floats
    theta_p: Floats
    reason: NDArray[np.str_]


def snapshot(
    parameter_set: str,
    aged: AgedState,
    soc: Floats,
    temperature_degC: Floats,
    factors: Mapping[str, Floats] | None = None,
) -> Snapshot:
    """Age S cells and bring them to a state of charge and temperature.

    Parameters
    ----------
    aged
        Its fields broadcast against `soc` (S,) and `temperature_degC` (S,).
    factors
        On constants of the parameter set (`constants.CONSTANTS`), each (S,). One on an active fraction makes another
        fresh cell, with that capacity of the electrode; the lithium comes with the positive electrode.
    """
    cell = esoh.fresh_cell(parameter_set)
    ones = np.ones(np.broadcast_shapes(np.shape(soc), np.shape(temperature_degC), np.shape(aged.lli)))
    others = dict(factors or {})
    own_n, own_p = (others.pop(name, np.ones(1)) for name in ACTIVE_FRACTIONS)
    active_n, active_p = ones * own_n * (1 - np.asarray(aged.lam_ne)), ones * own_p * (1 - np.asarray(aged.lam_pe))
    lithium = ones * own_p * (1 - np.asarray(aged.lli))
    state = esoh.solve(cell, cell.Q_n_Ah * active_n, cell.Q_p_Ah * active_p, cell.Q_Li_Ah * lithium)
    fresh = esoh.fresh_state(parameter_set)
    own = fresh
    if factors and not set(ACTIVE_FRACTIONS).isdisjoint(factors):
        own = esoh.solve(cell, *(ones * Q for Q in (cell.Q_n_Ah * own_n, cell.Q_p_Ah * own_p, cell.Q_Li_Ah * own_p)))
    theta_n, theta_p = state.stoichiometries(np.asarray(soc))
    inputs = CellInputs(
        temperature_K=ones * temperature_degC + ZERO_CELSIUS_K,
        active_fraction_n=active_n * scalar(parameter_set, "Negative electrode active material volume fraction"),
        active_fraction_p=active_p * scalar(parameter_set, "Positive electrode active material volume fraction"),
        concentration_n_mol_m3=theta_n * scalar(parameter_set, "Maximum concentration in negative electrode [mol.m-3]"),
        concentration_p_mol_m3=theta_p * scalar(parameter_set, "Maximum concentration in positive electrode [mol.m-3]"),
        sei_thickness_m=ones * np.asarray(aged.sei_thickness_nm) * 1e-9,
        contact_resistance_ohm=ones * np.asarray(aged.contact_resistance_mOhm) * 1e-3,
        factors=_with_filled_pores(parameter_set, ones * np.asarray(aged.porosity_loss_ne), others),
    )
    full = state.x_100 > esoh.x_100_limit(parameter_set)
    reason = np.where(~state.feasible, "infeasible", np.where(full, "x_100", ""))
    return Snapshot(inputs, state.capacity_Ah, state.capacity_Ah / own.capacity_Ah, theta_n, theta_p, reason)


def _with_filled_pores(parameter_set: str, loss: Floats, factors: Mapping[str, Floats]) -> dict[str, Floats]:
    """Factors on the porosity and, for the same amount of salt in less volume, on its concentration."""
    if not np.any(loss):
        return dict(factors)
    volume = {
        name: factors.get(f"{name}_porosity", np.ones(1))
        * scalar(parameter_set, CONSTANTS[f"{name}_porosity"])
        * scalar(parameter_set, f"{part} thickness [m]")
        for name, part in PARTS.items()
    }
    before = sum(volume.values())
    concentration = before / (before - loss * volume["negative"])
    ones = np.ones(len(loss))
    return dict(factors) | {
        "negative_porosity": ones * factors.get("negative_porosity", 1.0) * (1 - loss),
        "electrolyte_concentration": ones * factors.get("electrolyte_concentration", 1.0) * concentration,
    }
