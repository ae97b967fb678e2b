"""Protocols and the vehicle: the published tables, energies worked out by hand, and that each load can be drawn."""

from __future__ import annotations

import typing

import numpy as np
import pybamm
import pytest

from eishil.cell.mechanisms import PLATING, SEI_RATES, Mechanisms, Rates
from eishil.cell.mesh import Mesh
from eishil.cell.protocols import DST, PROTOCOLS, CellRating, Load, power_table
from eishil.cell.simulation import AgeingSetup, Conditions, Inventory, ageing_cell
from eishil.cell.vehicle import Vehicle, battery_power_W, wltc_class3b_m_s
from eishil.dataset import simulation_recipe

MESH = Mesh(3, 3, 3, 12, None)


def test_dst_has_the_length_and_the_mean_power_of_the_published_table() -> None:
    seconds, percent = np.array(DST).T
    assert len(DST) == 20
    assert seconds.sum() == 360
    assert percent.min() == -100 and percent.max() == 50
    # Discharged 12.5 (28 + 24 + 24 + 36) + 25 (12 + 12 + 12 + 32) + 100 8 + 62.5 24, charged 12.5 24 + 25 8 + 50 8.
    assert seconds @ percent / 360 == pytest.approx(-(1400 + 1700 + 800 + 1500 - 300 - 200 - 400) / 360)


def test_a_cell_on_dst_gives_the_power_of_the_table() -> None:
    rating = CellRating.of("Chen2020")
    experiment = pybamm.Experiment([PROTOCOLS["dst"](Load("dst", peak_W_per_Wh=8.0), rating)])
    values = pybamm.ParameterValues("Chen2020")
    simulation = pybamm.Simulation(
        pybamm.lithium_ion.SPM(), parameter_values=values, experiment=experiment, solver=pybamm.IDAKLUSolver()
    )
    driven = simulation.solve(initial_soc=1.0, calc_esoh=False).cycles[-1].steps[-1]
    peak_W = 8.0 * rating.energy_Wh
    time_s = np.arange(0, driven.t[-1] - driven.t[0] - 360, 1.0) + 0.5
    power_W = driven["Voltage [V]"](driven.t[0] + time_s) * driven["Current [A]"](driven.t[0] + time_s)
    whole = power_W[: len(power_W) // 360 * 360].reshape(-1, 360)
    assert len(whole) >= 3
    assert whole.max(axis=1) == pytest.approx(np.full(len(whole), peak_W), rel=1e-3)
    assert whole.min(axis=1) == pytest.approx(np.full(len(whole), -0.5 * peak_W), rel=1e-3)
    # 4500 of 36,000 percent seconds; a step that ends within a second shifts some.
    assert whole.mean(axis=1) == pytest.approx(np.full(len(whole), peak_W / 8), rel=5e-3)


def test_film_grows_with_the_root_of_time_in_storage_and_nothing_else_ages() -> None:
    """Solvent that has to diffuse through the film: L dL/dt is constant."""
    load = Load("calendar_rest", storage_soc=0.9)
    cell = ageing_cell(AgeingSetup("OKane2022", "SPM", MESH, Mechanisms(plating="none"), load))
    conditions = Conditions(25.0, 0.0, Rates(sei=3.0).accelerated(40.0))
    state = cell.fresh(conditions)
    days = [Inventory.of(state)]
    for _ in range(4):
        state = cell.repeat(state, conditions)
        days.append(Inventory.of(state))
    square_nm2 = np.array([day.sei_thickness_nm**2 for day in days])
    assert square_nm2[4] > 3 * square_nm2[0]
    assert np.diff(square_nm2) == pytest.approx(np.full(4, (square_nm2[4] - square_nm2[0]) / 4), rel=2e-3)
    for name in ("Q_n_Ah", "Q_p_Ah", "throughput_Ah"):
        assert getattr(days[4], name) == pytest.approx(getattr(days[0], name), rel=1e-6), name
    assert days[4].Q_Li_Ah < days[0].Q_Li_Ah


def test_wltc_class3b_has_the_figures_of_the_regulation() -> None:
    speed_km_h = 3.6 * wltc_class3b_m_s()
    assert len(speed_km_h) == 1801
    # UN Regulation No. 154: sum of the speeds, maximum, distance of the whole cycle.
    assert speed_km_h.sum() == pytest.approx(83758.6, abs=0.05)
    assert speed_km_h.max() == pytest.approx(131.3)
    assert speed_km_h.sum() / 3.6 == pytest.approx(23266, abs=1)


def test_constant_speed_takes_rolling_and_drag() -> None:
    vehicle = Vehicle(mass_kg=1000, rolling_coefficient=0.01, drag_coefficient=0.5, frontal_area_m2=2, efficiency=0.8)
    power = battery_power_W(vehicle, np.full(3, 20.0), 1.0)
    # 20 m/s (1000 9.81 0.01 + 0.6 0.5 2 400) W = 20 (98.1 + 240) W at the wheels.
    assert power == pytest.approx([20 * 338.1 / 0.8 + 360] * 2)


def test_braking_returns_what_efficiency_and_the_limit_let_through() -> None:
    free = Vehicle(mass_kg=1000, inertia_kg_m2=0, rolling_coefficient=0, drag_coefficient=0, efficiency=0.8)
    gentle = battery_power_W(free, np.array([20.0, 19.0]), 1.0)
    assert gentle == pytest.approx([-0.8 * 1000 * 19.5 + 360])
    hard = battery_power_W(free, np.array([40.0, 30.0]), 1.0)
    assert hard == pytest.approx([-50e3 + 360])


def test_a_standing_vehicle_takes_its_auxiliaries() -> None:
    assert battery_power_W(Vehicle(), np.zeros(4), 1.0) == pytest.approx([360.0] * 3)


def test_wltc_of_the_vehicle_takes_what_such_cars_take() -> None:
    power = battery_power_W(Vehicle(), wltc_class3b_m_s(), 1.0)
    kWh_per_100km = power.sum() / 3.6e6 / 23.266 * 100
    # The i3's type approval is 15.3 to 16.3 kWh/100 km from the socket, with charging losses and options.
    assert 10 < kWh_per_100km < 16


def test_power_tables_hold_each_power_and_step_within_a_second() -> None:
    table = power_table(np.array([16.0, 8.0]), np.array([1.0, -2.0]))
    assert table.tolist() == [[0, 1], [15, 1], [16, -2], [23, -2]]


def test_rating_is_read_from_the_parameter_set() -> None:
    rating = CellRating.of("OKane2022")
    assert (rating.lower_V, rating.upper_V) == (2.5, 4.2)
    # 5.08 Ah at 3.7 V: an LG M50 is sold with 18.2 Wh.
    assert rating.energy_Wh == pytest.approx(18.8, abs=0.7)


def test_recipes_name_exactly_the_protocols_and_mechanisms_that_there_are() -> None:
    assert typing.get_args(simulation_recipe.ProtocolId) == (*PROTOCOLS, "calendar_rest")
    assert typing.get_args(simulation_recipe.SeiLaw) == tuple(SEI_RATES)
    assert typing.get_args(simulation_recipe.PlatingLaw) == PLATING
