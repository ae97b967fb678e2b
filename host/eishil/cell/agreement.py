"""How far a snapshot is from the simulation that it takes its labels from: the first table of docs/ageing.md.

python -m eishil.cell.agreement [--models SPMe DFN] [--repetitions 4 12] [--mesh coarse]

A cell of OKane2022 ages with all mechanisms and is measured at the state that it reached. Beside it stands a model that
knows nothing but labels: mean active fractions, mean porosity, film, stoichiometries, contact resistance. Largest
relative deviation over 30 frequencies from 1 mHz to 10 kHz.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pybamm
from numpy.typing import NDArray

from eishil.cell.constants import CONSTANTS
from eishil.cell.esoh import fresh_cell
from eishil.cell.impedance import planned
from eishil.cell.linearise import differentiate
from eishil.cell.mechanisms import CONTACT, Mechanisms, Rates
from eishil.cell.mesh import MESHES, Mesh, named_mesh
from eishil.cell.parameters import mended, on_mesh, parameter_values, scalar, scaled
from eishil.cell.protocols import Load
from eishil.cell.reasons import SPREAD_LIMIT
from eishil.cell.rested import rested_solver
from eishil.cell.simulation import AgeingSetup, Conditions, Inventory, Rested, ageing_cell, fresh_capacity_Ah
from eishil.units import ZERO_CELSIUS_K

Floats = NDArray[np.float64]
FREQUENCY_HZ = np.logspace(-3, 4, 30)
ACCELERATION = 40.0
RATES = Rates(lam_ne=10.0, lam_pe=10.0)
SOCS = (0.2, 0.4, 0.6, 0.8)
COARSE = Mesh(6, 4, 6, 8)  # both sides have the same mesh: its error is no part of their difference
PARTS = ("Negative electrode", "Separator", "Positive electrode")


@dataclass(frozen=True)
class Comparison:
    """One operating point: how far the snapshot is, and what the simulation's state was."""

    soh: float
    soc: float
    stoichiometry_spread: float
    deviation: float


def compare(
    setup: AgeingSetup, conditions: Conditions, repetitions: list[int], socs: tuple[float, ...] = SOCS
) -> Iterator[Comparison]:
    """Age a cell and compare after each of the rising numbers of repetitions, at each state of charge."""
    cell = ageing_cell(setup)
    state, done = cell.fresh(conditions), 0
    for count in repetitions:
        for _ in range(count - done):
            state = cell.repeat(state, conditions)
        done = count
        for soc in socs:
            rested = cell.rest(state, conditions, soc)
            yield _compared(setup, conditions, rested, soc)


def _compared(setup: AgeingSetup, conditions: Conditions, rested: Rested, soc: float) -> Comparison:
    solver = rested_solver(setup.parameter_set, setup.mechanisms, setup.model, setup.mesh)
    simulated = solver.solve(rested, conditions, FREQUENCY_HZ).z_ohm[0]
    labelled = snapshot_impedance(setup, conditions, rested.inventory, FREQUENCY_HZ)
    capacity_Ah = float(rested.inventory.electrodes(setup.parameter_set).capacity_Ah[0])
    deviation = float(np.max(np.abs(labelled / simulated - 1)))
    soh = capacity_Ah / fresh_capacity_Ah(setup.parameter_set)
    return Comparison(soh, soc, rested.inventory.stoichiometry_spread, deviation)


def snapshot_impedance(
    setup: AgeingSetup, conditions: Conditions, labels: Inventory, frequency_Hz: Floats
) -> NDArray[np.complex128]:
    """Impedance (F,) of a plain model with constant film that is given the labels, at its consistent state."""
    options: dict[str, Any] = {"surface form": "differential", "SEI": "constant", "contact resistance": "true"}
    if setup.mechanisms.stress:
        # Swelling particles diffuse by stress as well; a snapshot without it is off by a third at 1 mHz.
        options |= {"particle mechanics": "swelling only", "stress-induced diffusion": "true"}
    model = mended(getattr(pybamm.lithium_ion, setup.model)(options))
    values = _labelled_values(setup.parameter_set, conditions, labels)
    simulation = pybamm.EISSimulation(model, parameter_values=values, **on_mesh(model, named_mesh(setup.mesh)))
    if setup.model == "DFN":  # its initial state is consistent: PyBaMM can be asked itself
        return np.asarray(simulation.solve(frequency_Hz).impedance, complex)
    simulation.build()
    nothing = np.empty((1, 0))
    linearised = differentiate(simulation.built_model, ())
    y = linearised.initial_state(nothing)
    z_ohm: NDArray[np.complex128] = planned(linearised).solve_at(y, nothing, frequency_Hz).z_ohm[0]
    return z_ohm


def _labelled_values(parameter_set: str, conditions: Conditions, labels: Inventory) -> Any:
    values, cell = parameter_values(parameter_set).copy(), fresh_cell(parameter_set)
    for name, factor in conditions.factors.items():
        values.update({CONSTANTS[name]: scaled(values[CONSTANTS[name]], factor)})
    thickness = {part: scalar(parameter_set, f"{part} thickness [m]") for part in PARTS}
    pores = {part: float(values[f"{part} porosity"]) * thickness[part] for part in PARTS}
    now = pores | {PARTS[0]: labels.porosity_ne * thickness[PARTS[0]]}
    kelvin = conditions.temperature_degC + ZERO_CELSIUS_K
    # Salt stays when pores close.
    salt = float(values["Initial concentration in electrolyte [mol.m-3]"])
    given = {
        "Initial concentration in electrolyte [mol.m-3]": salt * sum(pores.values()) / sum(now.values()),
        f"{PARTS[0]} porosity": labels.porosity_ne,
        "Initial SEI thickness [m]": labels.sei_thickness_nm * 1e-9,
        CONTACT: 1e-3 * conditions.contact_resistance_mOhm,
        "Ambient temperature [K]": kelvin,
        "Initial temperature [K]": kelvin,
    }
    for side, left, fresh, theta in (
        ("Negative", labels.Q_n_Ah, cell.Q_n_Ah, labels.theta_n),
        ("Positive", labels.Q_p_Ah, cell.Q_p_Ah, labels.theta_p),
    ):
        fraction = f"{side} electrode active material volume fraction"
        full = scalar(parameter_set, f"Maximum concentration in {side.lower()} electrode [mol.m-3]")
        given[fraction] = scalar(parameter_set, fraction) * left / fresh
        given[f"Initial concentration in {side.lower()} electrode [mol.m-3]"] = theta * full
    values.update(given, check_already_exists=False)
    return values


def main() -> None:
    """Print one line for each model and state."""
    parser = argparse.ArgumentParser(description="Snapshot against simulation, per model and state of one aged cell.")
    parser.add_argument("--models", nargs="+", default=["SPMe", "DFN"], choices=["SPM", "SPMe", "DFN"])
    parser.add_argument("--repetitions", nargs="+", type=int, default=[4, 12], help="simulated cycles, rising")
    parser.add_argument("--mesh", default="coarse", choices=["coarse", *MESHES])
    arguments = parser.parse_args()
    conditions = Conditions(25.0, 1.0, replace(RATES).accelerated(ACCELERATION))
    mesh = MESHES.get(arguments.mesh, COARSE)
    print(f"{'model':6}{'cycles':>7}{'SOH':>8}{'SOC':>6}{'spread':>10}{'deviation':>11}")
    for model in arguments.models:
        setup = AgeingSetup("OKane2022", model, mesh, Mechanisms(), Load("cc_cycling"))
        counts = [count for count in arguments.repetitions for _ in SOCS]
        for count, one in zip(counts, compare(setup, conditions, arguments.repetitions), strict=True):
            masked = "" if one.stoichiometry_spread <= SPREAD_LIMIT else "  masked: spread"
            line = f"{model:6}{ACCELERATION * count:7.0f}{one.soh:8.3f}{one.soc:6.2f}{one.stoichiometry_spread:10.1e}"
            print(f"{line}{one.deviation:11.2%}{masked}", flush=True)


if __name__ == "__main__":
    main()
