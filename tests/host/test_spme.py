"""SPMe: a consistent state, and the mean of the salt concentration as the mean of a quotient."""

from __future__ import annotations

import os

os.environ["PYBAMM_DISABLE_TELEMETRY"] = "true"

import numpy as np
import pybamm
import pytest

import eishil
from eishil.cell import spme_error

FREQUENCY_HZ = np.logspace(-2, 3, 7)
SETS = ("Chen2020", "Marquis2019", "ORegan2022")


def pybamm_impedance(parameter_set: str, options: dict[str, str], *, rests: bool) -> np.ndarray:
    """PyBaMM's SPMe with a porosity that is a state, which its average is right for; from its raw state or at rest."""
    values = pybamm.ParameterValues(parameter_set)
    chen = pybamm.ParameterValues("Chen2020")
    values.update({name: chen[name] for name in chen if name not in values})  # ORegan2022 has no film
    values.update({"SEI solvent diffusivity [m2.s-1]": 0.0, "Initial SEI thickness [m]": 1e-15})
    values.set_initial_state(0.5)
    model = pybamm.lithium_ion.SPMe({"surface form": "differential"} | options)
    if rests:
        at_rest = values.copy()
        at_rest["Current function [A]"] = 0.0
        precise = pybamm.IDAKLUSolver(rtol=1e-10, atol=1e-12)
        minute = pybamm.Simulation(model, parameter_values=at_rest, solver=precise).solve([0, 60])
        model = model.set_initial_conditions_from(minute, inplace=False)
    return pybamm.EISSimulation(model, parameter_values=values).solve(FREQUENCY_HZ).impedance


@pytest.mark.parametrize("parameter_set", SETS)
def test_equals_pybamm_where_its_average_is_right(parameter_set: str) -> None:
    porosity_is_a_state = {"SEI": "solvent-diffusion limited", "SEI porosity change": "true"}
    z = eishil.impedance(parameter_set, "SPMe", frequency_Hz=FREQUENCY_HZ, mesh="pybamm").z_ohm
    np.testing.assert_allclose(z, pybamm_impedance(parameter_set, porosity_is_a_state, rests=True), rtol=1e-6)


def test_pybamm_alone_is_wrong() -> None:
    # What the above would not notice if both had the same faults.
    z = eishil.impedance("Marquis2019", "SPMe", frequency_Hz=FREQUENCY_HZ, mesh="pybamm").z_ohm
    raw, averaged = (np.abs(pybamm_impedance("Marquis2019", {}, rests=rests) / z - 1).max() for rests in (False, True))
    assert raw > 0.2
    assert 0.01 < averaged < 0.05


@pytest.mark.parametrize(
    ("parameter_set", "limit"), [("Chen2020", 0.0055), ("Marquis2019", 0.01), ("ORegan2022", 0.03)]
)
def test_is_near_dfn_and_the_nearer_the_better_the_electrolyte(parameter_set: str, limit: float) -> None:
    # SPMe is right to the first order of an expansion for fast transport: what remains goes with its square.
    rows = list(spme_error.measure(parameter_set, "pybamm"))
    assert [row.soc for row in rows] == [0.2, 0.5, 0.8] and spme_error.TRANSPORT == (1.0, 3.0, 10.0)
    for row in rows:
        plain, three, ten = row.deviations
        assert three < plain / 4 < limit / 4
        assert ten < 0.0012
