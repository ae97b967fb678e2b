"""Vectorised eSOH against PyBaMM's solver, one cell at a time."""

from __future__ import annotations

import numpy as np
import pybamm
import pytest

from eishil.cell import esoh
from eishil.cell.ageing import AgedState, snapshot


@pytest.mark.parametrize("parameter_set", ["Chen2020", "Marquis2019", "OKane2022"])
def test_equals_pybamm(parameter_set: str) -> None:
    fresh = esoh.fresh_cell(parameter_set)
    rng = np.random.default_rng(1)
    n = 12
    Q_n, Q_p = fresh.Q_n_Ah * rng.uniform(0.85, 1.0, n), fresh.Q_p_Ah * rng.uniform(0.8, 1.0, n)
    Q_Li = fresh.Q_Li_Ah * rng.uniform(0.7, 0.95, n)
    ours = esoh.solve(fresh, Q_n, Q_p, Q_Li)
    reference = pybamm.lithium_ion.ElectrodeSOHSolver(pybamm.ParameterValues(parameter_set))
    assert ours.feasible.all()
    for k in range(n):
        theirs = reference.solve({"Q_n": Q_n[k], "Q_p": Q_p[k], "Q_Li": Q_Li[k]})
        for name in ("x_0", "x_100", "y_0", "y_100"):
            assert getattr(ours, name)[k] == pytest.approx(theirs[name], rel=1e-8), (name, k)
        assert ours.capacity_Ah[k] == pytest.approx(theirs["Q"], rel=1e-9)


def test_fresh_chen2020_has_the_known_capacity() -> None:
    state = snapshot("Chen2020", AgedState(), np.array([0.0, 1.0]), np.full(2, 25.0))
    np.testing.assert_allclose(state.capacity_Ah, 5.153, atol=5e-4)  # not the nominal 5.0 Ah
    np.testing.assert_allclose(state.soh, 1.0, rtol=1e-14)
    x_0, x_100, y_100, y_0 = pybamm.lithium_ion.get_min_max_stoichiometries(pybamm.ParameterValues("Chen2020"))
    np.testing.assert_allclose(state.theta_n, [x_0, x_100], rtol=1e-8)
    np.testing.assert_allclose(state.theta_p, [y_0, y_100], rtol=1e-8)


def test_what_pybamm_refuses_is_flagged_and_not_raised() -> None:
    fresh = esoh.fresh_cell("Chen2020")
    Q_Li = fresh.Q_Li_Ah * np.array([1.0, 2.5, 2.0])
    state = esoh.solve(fresh, np.full(3, fresh.Q_n_Ah), np.full(3, fresh.Q_p_Ah), Q_Li)
    reference = pybamm.lithium_ion.ElectrodeSOHSolver(pybamm.ParameterValues("Chen2020"))
    assert state.feasible.tolist() == [True, False, False]
    assert np.isnan(state.capacity_Ah[1:]).all()
    for lithium in Q_Li[1:]:
        with pytest.raises(ValueError, match="outside the range"):
            reference.solve({"Q_n": fresh.Q_n_Ah, "Q_p": fresh.Q_p_Ah, "Q_Li": lithium})


def test_a_solution_outside_the_electrodes_is_infeasible() -> None:
    # PyBaMM answers with a negative stoichiometry, because its potentials go on beyond 0 and 1.
    fresh = esoh.fresh_cell("Chen2020")
    Q_n, Q_p, Q_Li = fresh.Q_n_Ah, fresh.Q_p_Ah, 0.01 * fresh.Q_Li_Ah
    reference = pybamm.lithium_ion.ElectrodeSOHSolver(pybamm.ParameterValues("Chen2020"))
    assert reference.solve({"Q_n": Q_n, "Q_p": Q_p, "Q_Li": Q_Li})["y_100"] < 0
    assert not esoh.solve(fresh, *(np.array([Q]) for Q in (Q_n, Q_p, Q_Li))).feasible[0]


def test_a_negative_electrode_that_would_overflow_is_named() -> None:
    state = snapshot("Chen2020", AgedState(lam_ne=np.array([0.0, 0.25])), np.full(2, 0.5), np.full(2, 25.0))
    assert state.reason.tolist() == ["", "x_100"]  # PyBaMM answers x_100 = 0.9997 without a word
    assert np.isfinite(state.capacity_Ah).all()


def test_capacity_may_grow_when_the_positive_electrode_shrinks() -> None:
    # At constant lithium a smaller positive electrode discharges further before its potential falls.
    assert snapshot("Chen2020", AgedState(lam_pe=0.1), np.array([0.5]), np.array([25.0])).soh[0] == pytest.approx(
        1.04, abs=0.005
    )


def test_state_of_charge_is_of_the_present_capacity() -> None:
    soc = np.array([0.0, 0.25, 1.0])
    state = snapshot("Chen2020", AgedState(lli=0.2), soc, np.full(3, 25.0))
    Q_n = esoh.fresh_cell("Chen2020").Q_n_Ah
    np.testing.assert_allclose((state.theta_n - state.theta_n[0]) * Q_n, soc * state.capacity_Ah, atol=1e-12)
