"""Impedance against pybamm.EISSimulation with every parameter hard-coded, and against what PyBaMM does not do."""

from __future__ import annotations

import os
import pickle
import re

os.environ["PYBAMM_DISABLE_TELEMETRY"] = "true"

from dataclasses import replace

import numpy as np
import pybamm
import pytest

import eishil
from eishil.cell import static_lu
from eishil.cell.ageing import AgedState, snapshot
from eishil.cell.batch_function import CompiledFunction
from eishil.cell.impedance import ImpedanceSolver, solver
from eishil.cell.linearise import CellInputs
from eishil.cell.parameters import INPUTS
from eishil.cell.static_lu import StaticSolver
from eishil.errors import EishilError

FREQUENCY_HZ = np.logspace(-2, 3, 11)
MODELS = ("SPM", "DFN")


def cells(**changes: float) -> CellInputs:
    """One aged cell at 40 % SOC and 31 degC, with some of its inputs changed."""
    aged = AgedState(lli=0.12, lam_ne=0.06, lam_pe=0.09, sei_thickness_nm=40.0, contact_resistance_mOhm=1.3)
    inputs = snapshot("Chen2020", aged, np.array([0.4]), np.array([31.0])).inputs
    return replace(inputs, **{name: np.array([value]) for name, value in changes.items()})


def pybamm_impedance(model: str, inputs: CellInputs, mesh: dict[str, object] | None = None) -> np.ndarray:
    """PyBaMM's own answer with plain numbers in the parameter set; nothing of eishil computes here."""
    values = pybamm.ParameterValues("Chen2020")
    values.update({name: float(getattr(inputs, field)[0]) for field, name in INPUTS.items()})
    values["Initial temperature [K]"] = float(inputs.temperature_K[0])
    options = {"surface form": "differential", "SEI": "constant", "contact resistance": "true"}
    built = getattr(pybamm.lithium_ion, model)(options)
    return pybamm.EISSimulation(built, parameter_values=values, **(mesh or {})).solve(FREQUENCY_HZ).impedance


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("soc", [0.05, 0.5, 0.95])
def test_plain_model_equals_pybamm(model: str, soc: float) -> None:
    options = {"surface form": "differential"}
    simulation = pybamm.EISSimulation(
        getattr(pybamm.lithium_ion, model)(options), parameter_values=pybamm.ParameterValues("Chen2020")
    )
    expected = simulation.solve(FREQUENCY_HZ, initial_soc=soc).impedance
    spectrum = eishil.impedance("Chen2020", model, soc=soc, frequency_Hz=FREQUENCY_HZ, mesh="pybamm")
    np.testing.assert_allclose(spectrum.z_ohm, expected, rtol=1e-8)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("soc", "temperature_degC", "lam"), [(0.15, 10.0, 0.0), (0.5, 40.0, 0.1), (0.85, 25.0, 0.2)])
def test_aged_cells_equal_pybamm_with_the_numbers_in_its_parameter_set(
    model: str, soc: float, temperature_degC: float, lam: float
) -> None:
    aged = AgedState(0.2, lam / 2, lam, sei_thickness_nm=5 + 300 * lam, contact_resistance_mOhm=10 * lam)
    state = snapshot("Chen2020", aged, np.array([soc]), np.array([temperature_degC]))
    batch = solver("Chen2020", model, "pybamm").solve(state.inputs, FREQUENCY_HZ)
    np.testing.assert_allclose(batch.z_ohm[0], pybamm_impedance(model, state.inputs), rtol=1e-8)
    assert batch.consistency_residual[0] < 1e-9
    assert batch.solve_residual[0] < 1e-13
    assert not batch.pivoted[0]


def test_default_mesh_equals_pybamm_on_the_same_mesh() -> None:
    graded = pybamm.MeshGenerator(pybamm.Exponential1DSubMesh, {"side": "right", "stretch": 6})
    built = pybamm.lithium_ion.DFN({"surface form": "differential"})
    mesh = {
        "submesh_types": built.default_submesh_types | {"negative particle": graded, "positive particle": graded},
        "var_pts": built.default_var_pts | {"x_n": 40, "x_s": 10, "x_p": 40, "r_n": 20, "r_p": 20},
    }
    z = solver("Chen2020", "DFN", "default").solve(cells(), FREQUENCY_HZ).z_ohm[0]
    np.testing.assert_allclose(z, pybamm_impedance("DFN", cells(), mesh), rtol=1e-8)


def test_meshes_are_as_near_to_a_fine_one_as_they_say() -> None:
    fine = solver("Chen2020", "DFN", "fine").solve(cells(), FREQUENCY_HZ).z_ohm[0]
    error = {
        mesh: np.abs(solver("Chen2020", "DFN", mesh).solve(cells(), FREQUENCY_HZ).z_ohm[0] / fine - 1).max()
        for mesh in ("default", "pybamm")
    }
    assert error["default"] < 0.003
    assert 0.01 < error["pybamm"] < 0.05


@pytest.mark.parametrize("model", MODELS)
def test_the_corners_of_the_operating_range_are_solved(model: str) -> None:
    soc, temperature_degC = (grid.ravel() for grid in np.meshgrid([0.0, 0.5, 1.0], [-30.0, 15.0, 60.0]))
    state = snapshot("Chen2020", AgedState(lli=0.05), soc, temperature_degC)
    batch = solver("Chen2020", model, "pybamm").solve(state.inputs, FREQUENCY_HZ)
    assert (batch.z_ohm.real > 0).all() and (batch.z_ohm.imag < 0).all()
    assert batch.consistency_residual.max() < 1e-9 and batch.solve_residual.max() < 1e-12
    by_temperature = batch.z_ohm[:, 0].real.reshape(3, 3)
    assert (np.diff(by_temperature, axis=0) < 0).all()  # a colder cell has more resistance


def test_filled_pores_keep_their_salt() -> None:
    loss = 0.3
    z = eishil.impedance("Chen2020", "DFN", frequency_Hz=FREQUENCY_HZ, mesh="pybamm",
                         aged=AgedState(sei_thickness_nm=0.0, porosity_loss_ne=loss)).z_ohm  # fmt: skip
    values = pybamm.ParameterValues("Chen2020")
    lengths = [values[f"{part} thickness [m]"] for part in ("Negative electrode", "Separator", "Positive electrode")]
    pores = [0.25, 0.47, 0.335]  # of Chen2020
    salt = 1000.0 * np.dot(pores, lengths)
    pores[0] *= 1 - loss
    values.update(
        {
            "Negative electrode porosity": pores[0],
            "Initial concentration in electrolyte [mol.m-3]": salt / np.dot(pores, lengths),
        }
    )
    plain = pybamm.EISSimulation(pybamm.lithium_ion.DFN({"surface form": "differential"}), parameter_values=values)
    np.testing.assert_allclose(z, plain.solve(FREQUENCY_HZ, initial_soc=0.5).impedance, rtol=1e-8)


@pytest.mark.parametrize("name", INPUTS)
def test_every_input_reaches_the_jacobian(name: str) -> None:
    built = solver("Chen2020", "SPM", "pybamm")
    value = getattr(cells(), name)[0] * 1.02
    changed, before = (built.solve(inputs, FREQUENCY_HZ).z_ohm for inputs in (cells(**{name: value}), cells()))
    assert np.abs(changed / before - 1).max() > 1e-5


def test_order_in_which_inputs_are_given_does_not_matter() -> None:
    fields = {name: getattr(cells(), name) for name in INPUTS}
    backwards = CellInputs(**dict(reversed(fields.items())))
    np.testing.assert_array_equal(backwards.stacked(), CellInputs(**fields).stacked())
    assert backwards.stacked()[0].tolist() == [fields[name][0] for name in INPUTS]


def test_samples_do_not_depend_on_their_neighbours() -> None:
    state = snapshot(
        "Chen2020", AgedState(lli=np.array([0.0, 0.1, 0.2])), np.full(3, 0.5), np.array([10.0, 25.0, 40.0])
    )
    built = solver("Chen2020", "SPM", "pybamm")
    together = built.solve(state.inputs, FREQUENCY_HZ).z_ohm
    alone = [built.solve(state.inputs.take([k]), FREQUENCY_HZ).z_ohm[0] for k in range(3)]
    np.testing.assert_array_equal(together, alone)


def test_works_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = solver("Chen2020", "DFN", "pybamm")
    monkeypatch.setattr(static_lu, "shared_library", lambda *_: None)
    plain = ImpedanceSolver(compiled.model, StaticSolver(compiled.linear.plan))
    assert compiled.linear.compiled and not plain.linear.compiled
    z = plain.solve(cells(), FREQUENCY_HZ)
    np.testing.assert_allclose(z.z_ohm, compiled.solve(cells(), FREQUENCY_HZ).z_ohm, rtol=1e-9)
    assert not z.pivoted.any() and z.solve_residual[0] < 1e-13


@pytest.mark.parametrize("parameter_set", ["Chen2020", "OKane2022"])  # a graph of scalars, and one with splines
def test_compiled_functions_equal_the_interpreted_ones(parameter_set: str) -> None:
    built = solver(parameter_set, "SPM", "pybamm")
    model = pickle.loads(pickle.dumps(built.model.compiled()))
    assert isinstance(model.local_function, CompiledFunction)
    z, expected = (one.solve(cells(), FREQUENCY_HZ).z_ohm for one in (ImpedanceSolver(model, built.linear), built))
    np.testing.assert_allclose(z, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"soc": 1.2}, "soc=1.2: has to be one number within 0..1"),
        ({"soc": float("nan")}, "soc=nan: has to be one number within 0..1"),
        ({"soc": True}, "soc=True: has to be one number"),
        ({"soc": 10**400}, "has to be one number within 0..1"),
        ({"soc": "half"}, "soc='half': has to be one number"),
        ({"soc": [0.4, 0.5]}, "soc=[0.4, 0.5]: has to be one number"),
        ({"temperature_degC": 298.15}, "temperature_degC=298.15: has to be one number within -60..100"),
        ({"temperature_degC": None}, "temperature_degC=None: has to be one number"),
        ({"frequency_Hz": [1.0, 0.0]}, "frequency_Hz=[1.0, 0.0]: has to be one or more real numbers"),
        ({"frequency_Hz": [float("nan")]}, "each within 1e-06..1e+09 Hz"),
        ({"frequency_Hz": [1e-300]}, "frequency_Hz=[1e-300]: has to be"),
        ({"frequency_Hz": [1e300]}, "frequency_Hz=[1e+300]: has to be"),
        ({"frequency_Hz": []}, "frequency_Hz=[]: has to be one or more"),
        ({"frequency_Hz": "1 Hz"}, "frequency_Hz='1 Hz': has to be"),
        ({"frequency_Hz": [1.0 + 0j]}, "real numbers"),
        ({"frequency_Hz": [[1.0], [2.0, 3.0]]}, "frequency_Hz=[[1.0], [2.0, 3.0]]: has to be"),
        ({"parameter_set": ["Chen2020"]}, "parameter_set=['Chen2020']: has to be a name in quotes"),
        ({"model": ["SPM"]}, "model=['SPM']: has to be a name in quotes"),
        ({"aged": {"lli": 0.1}}, "aged={'lli': 0.1}: has to be an eishil.AgedState"),
        ({"aged": 0.1}, "aged=0.1: has to be an eishil.AgedState"),
        ({"aged": AgedState(lli=np.array([0.1, 0.2]))}, "aged.lli=array([0.1, 0.2]): has to be one number"),
        ({"aged": AgedState(lli=-0.1)}, "aged.lli=-0.1: has to be one number within 0..0.999"),
        ({"aged": AgedState(lam_ne=1.0)}, "aged.lam_ne=1.0: has to be one number within 0..0.999"),
        (
            {"aged": AgedState(sei_thickness_nm=-5.0)},
            "aged.sei_thickness_nm=-5.0: has to be one number",
        ),
        ({"aged": AgedState(contact_resistance_mOhm=-50)}, "aged.contact_resistance_mOhm=-50: has to be one number"),
        ({"aged": AgedState(contact_resistance_mOhm=float("inf"))}, "aged.contact_resistance_mOhm=inf: has to be"),
        ({"aged": AgedState(lam_ne=0.25)}, "the negative electrode is more than 98% full at the upper voltage limit"),
        ({"aged": AgedState(lli=0.99)}, "no stoichiometries reach both voltage limits; such a cell has no spectrum"),
        ({"model": "P2D"}, "model 'P2D' is unknown; there are DFN, SPMe, SPM"),
        ({"mesh": "coarse"}, "mesh 'coarse' is unknown; there are default, pybamm"),
        ({"parameter_set": "Chen2019"}, "parameter set 'Chen2019' is unknown; use one of Ai2020, Chen2020"),
        ({"parameter_set": "Xu2019"}, "it has no 'Negative electrode active material volume fraction'; use one of"),
    ],
)
def test_mistakes_are_told_in_one_sentence(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(EishilError, match=re.escape(words)) as caught:
        eishil.impedance(**({"parameter_set": "Chen2020", "model": "SPM", "frequency_Hz": [1.0]} | arguments))
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mode", ["lli", "lam_ne", "lam_pe"])
def test_a_cell_that_has_lost_nearly_all_is_refused_without_a_warning(mode: str) -> None:
    with pytest.raises(EishilError, match="such a cell has no spectrum"):
        eishil.impedance(model="SPM", frequency_Hz=[1.0], aged=AgedState(**{mode: 0.999}))


def test_numbers_of_numpy_and_integers_are_numbers() -> None:
    expected = eishil.impedance(model="SPM", soc=1.0, temperature_degC=25.0, frequency_Hz=[1.0]).z_ohm
    given = {"soc": np.float32(1), "temperature_degC": np.array(25), "frequency_Hz": 1}
    np.testing.assert_array_equal(eishil.impedance(model="SPM", **given).z_ohm, expected)
