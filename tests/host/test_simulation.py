"""Ageing by simulation: what is measured is the state that was reached, and a snapshot with its labels agrees."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pybamm
import pytest

from eishil.cell import rested
from eishil.cell.agreement import COARSE, compare, snapshot_impedance
from eishil.cell.mechanisms import Mechanisms, Rates
from eishil.cell.mesh import Mesh
from eishil.cell.protocols import Load
from eishil.cell.simulation import AgeingError, AgeingSetup, Conditions, Inventory, ageing_cell, fresh_capacity_Ah
from eishil.errors import EishilError

SETUPS = {model: AgeingSetup("OKane2022", model, COARSE, Mechanisms(), Load("cc_cycling")) for model in ("SPMe", "DFN")}
CONDITIONS = Conditions(25.0, 1.0, Rates(lam_ne=10.0, lam_pe=10.0).accelerated(40.0))
FREQUENCY_HZ = np.logspace(-3, 3, 13)


@cache
def aged(model: str) -> Any:
    """A state after 160 cycles, simulated as four."""
    cell = ageing_cell(SETUPS[model])
    state = cell.fresh(CONDITIONS)
    for _ in range(4):
        state = cell.repeat(state, CONDITIONS)
    return state


@pytest.mark.slow
def test_a_snapshot_with_the_labels_of_an_aged_spme_cell_has_its_impedance() -> None:
    fresh, old = compare(SETUPS["SPMe"], CONDITIONS, [0, 4], socs=(0.4,))
    assert fresh.soh == pytest.approx(1, abs=1e-9)
    assert fresh.deviation < 1e-6
    assert 0.96 < old.soh < 0.99
    assert old.deviation < 2e-4


@pytest.mark.slow
def test_a_snapshot_with_the_mean_labels_of_an_aged_dfn_cell_is_near_it() -> None:
    (old,) = compare(SETUPS["DFN"], CONDITIONS, [4], socs=(0.4,))
    assert 0.96 < old.soh < 0.99
    assert old.stoichiometry_spread < 1e-3
    # Active material and film vary over the electrode; the snapshot, PyBaMM's own EISSimulation, knows their means.
    assert old.deviation < 4.4e-3


def test_an_impedance_belongs_to_the_aged_state_and_not_to_the_fresh_one() -> None:
    cell, state = ageing_cell(SETUPS["SPMe"]), aged("SPMe")
    there = cell.rest(state, CONDITIONS, 0.4)
    solver = rested.rested_solver("OKane2022", Mechanisms(), "SPMe", COARSE)
    z = solver.solve(there, CONDITIONS, FREQUENCY_HZ).z_ohm[0]
    labels = replace(there.inventory, sei_thickness_nm=5.0)
    without_film = snapshot_impedance(SETUPS["SPMe"], CONDITIONS, labels, FREQUENCY_HZ)
    assert np.max(np.abs(without_film / z - 1)) > 0.02


def test_an_spme_cell_is_measured_as_dfn_at_the_same_state() -> None:
    cell, state = ageing_cell(SETUPS["SPMe"]), aged("SPMe")
    there = cell.rest(state, CONDITIONS, 0.4)
    batch = rested.rested_solver("OKane2022", Mechanisms(), "DFN", COARSE).solve(there, CONDITIONS, FREQUENCY_HZ)
    expected = snapshot_impedance(replace(SETUPS["SPMe"], model="DFN"), CONDITIONS, there.inventory, FREQUENCY_HZ)
    assert batch.voltage_V[0] == pytest.approx(there.voltage_V, abs=1e-6)
    assert batch.consistency_residual[0] < 1e-8
    assert np.max(np.abs(batch.z_ohm[0] / expected - 1)) < 2e-4


def test_a_cell_that_ages_on_another_mesh_is_measured_at_its_state() -> None:
    fine = Mesh(12, 6, 12, 20, 6.0)
    there = ageing_cell(SETUPS["SPMe"]).rest(aged("SPMe"), CONDITIONS, 0.4)
    batch = rested.rested_solver("OKane2022", Mechanisms(), "DFN", fine).solve(there, CONDITIONS, FREQUENCY_HZ)
    expected = snapshot_impedance(
        replace(SETUPS["SPMe"], model="DFN", mesh=fine), CONDITIONS, there.inventory, FREQUENCY_HZ
    )
    assert batch.voltage_V[0] == pytest.approx(there.voltage_V, abs=1e-6)
    assert np.max(np.abs(batch.z_ohm[0] / expected - 1)) < 2e-4


def test_constants_of_its_own_make_another_cell_which_pybamm_agrees_with() -> None:
    """PyBaMM's own fresh capacity and spectrum with the changed numbers; and its constants change how it ages."""
    factors = {
        "negative_particle_diffusivity": 0.8,
        "electrolyte_conductivity": 0.7,
        "positive_bruggeman": 1.1,
        "negative_porosity": 0.9,
        "electrolyte_concentration": 1.05,
        "negative_active_fraction": 1.03,
        "positive_active_fraction": 0.97,
    }
    setup, own = replace(SETUPS["SPMe"], constants=tuple(factors)), replace(CONDITIONS, factors=factors)
    cell = ageing_cell(setup)
    fresh = cell.fresh(own)
    there = cell.rest(cell.repeat(fresh, own), own, 0.4)
    solver = rested.rested_solver("OKane2022", Mechanisms(), "SPMe", COARSE, setup.constants)
    z = solver.solve(there, own, FREQUENCY_HZ).z_ohm[0]
    expected = snapshot_impedance(setup, own, there.inventory, FREQUENCY_HZ)
    assert np.max(np.abs(z / expected - 1)) < 2e-4
    plain = snapshot_impedance(setup, CONDITIONS, there.inventory, FREQUENCY_HZ)
    assert np.max(np.abs(z / plain - 1)) > 0.02
    new = Inventory.of(fresh)
    of_the_set = pybamm.ParameterValues("OKane2022")
    electrodes = pybamm.lithium_ion.ElectrodeSOHSolver(of_the_set).solve(
        {"Q_n": new.Q_n_Ah, "Q_p": new.Q_p_Ah, "Q_Li": new.Q_Li_Ah}
    )
    assert new.Q_Li_Ah == pytest.approx(0.97 * 7.6107, rel=1e-5)
    assert new.electrodes("OKane2022").capacity_Ah[0] == pytest.approx(electrodes["Q"], rel=1e-6)
    assert own.fresh_cell("OKane2022").Q_n_Ah == pytest.approx(new.Q_n_Ah, rel=1e-9)


def test_what_is_measured_neither_ages_nor_loses_anything() -> None:
    cell, state = ageing_cell(SETUPS["SPMe"]), aged("SPMe")
    before, after = Inventory.of(state), cell.rest(state, CONDITIONS, 0.7).inventory
    for name in ("Q_n_Ah", "Q_p_Ah", "Q_Li_Ah", "plated_Ah", "sei_thickness_nm", "porosity_ne"):
        assert getattr(after, name) == pytest.approx(getattr(before, name), rel=1e-6), name


def test_lithium_is_in_the_electrodes_the_film_or_plated() -> None:
    """Film and plated lithium per PyBaMM's own sums against what the particles lost, loss of material included."""
    last = aged("SPMe").last_state
    lost = last["Total lithium lost [mol]"].entries[-1] / last["Total lithium in particles [mol]"].entries[-1]
    now, fresh = Inventory.of(aged("SPMe")), 7.6107  # Ah, PyBaMM's Total lithium in particles of OKane2022
    assert 1 - now.Q_Li_Ah / fresh == pytest.approx(lost / (1 + lost), rel=0.02)


def test_salt_stays_when_pores_close() -> None:
    salt = [
        state.last_state["Total lithium in electrolyte [mol]"].entries[-1]
        for state in (ageing_cell(SETUPS["SPMe"]).fresh(CONDITIONS), aged("SPMe"))
    ]
    assert salt[1] == pytest.approx(salt[0], rel=1e-6)


@pytest.mark.parametrize("soc", [0.2, 0.8])
def test_the_state_of_charge_is_of_the_present_capacity(soc: float) -> None:
    there = ageing_cell(SETUPS["SPMe"]).rest(aged("SPMe"), CONDITIONS, soc).inventory
    electrodes = there.electrodes("OKane2022")
    x_0, x_100 = electrodes.x_0[0], electrodes.x_100[0]
    assert (there.theta_n - x_0) / (x_100 - x_0) == pytest.approx(soc, abs=1e-4)
    assert electrodes.capacity_Ah[0] < 0.99 * fresh_capacity_Ah("OKane2022")


def test_contact_resistance_and_temperature_reach_the_measurement() -> None:
    cell, state = ageing_cell(SETUPS["SPMe"]), aged("SPMe")
    solver = rested.rested_solver("OKane2022", Mechanisms(), "SPMe", COARSE)
    there = cell.rest(state, CONDITIONS, 0.4)
    z = solver.solve(there, CONDITIONS, FREQUENCY_HZ).z_ohm[0]
    more = solver.solve(there, replace(CONDITIONS, contact_resistance_mOhm=3.0), FREQUENCY_HZ).z_ohm[0]
    assert more - z == pytest.approx(np.full(len(z), 2e-3), abs=1e-9)
    cold = replace(CONDITIONS, temperature_degC=10.0)
    colder = solver.solve(cell.rest(state, cold, 0.4), cold, FREQUENCY_HZ).z_ohm[0]
    assert np.abs(colder[6]) > 1.3 * np.abs(z[6])


def test_a_cell_that_cannot_go_on_is_told_so() -> None:
    cell = ageing_cell(SETUPS["SPMe"])
    gone = replace(CONDITIONS, rates=Rates(lam_ne=1e5))
    with pytest.raises(AgeingError):
        state = cell.fresh(gone)
        for _ in range(5):
            state = cell.repeat(state, gone)
            cell.rest(state, gone, 0.5)


def test_a_set_without_the_rates_of_a_mechanism_is_refused() -> None:
    with pytest.raises(EishilError, match=r"Marquis2019.*plating"):
        ageing_cell(AgeingSetup("Marquis2019", "SPM", COARSE, Mechanisms(stress=False), Load("cc_cycling")))
