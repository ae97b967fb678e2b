"""Every cell that eishil can be given: PyBaMM's sets, BPX files, PyBaMM's JSON, and what is refused and why."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["PYBAMM_DISABLE_TELEMETRY"] = "true"

import numpy as np
import pybamm
import pytest

import eishil
from eishil.cell.ageing import AgedState, snapshot
from eishil.cell.impedance import solver
from eishil.cell.mesh import Mesh
from eishil.cell.parameters import ASSUMED, USABLE, assumed
from eishil.dataset.factory import Options, generate
from eishil.dataset.recipe import Recipe
from eishil.errors import EishilError
from eishil.progress import silent
from support.bpx_cell import bpx_cell

FREQUENCY_HZ = np.logspace(-2, 3, 6)
COARSE = Mesh(5, 4, 5, 6)
COARSE_POINTS = {"x_n": 5, "x_s": 4, "x_p": 5, "r_n": 6, "r_p": 6}


def own_impedance(parameter_set: str, model: str) -> tuple[np.ndarray, dict[str, float]]:
    """Fresh cell at half charge, and the concentrations that this is."""
    state = snapshot(parameter_set, AgedState(sei_thickness_nm=0.0), np.array([0.5]), np.array([25.0]))
    z = solver(parameter_set, model, COARSE).solve(state.inputs, FREQUENCY_HZ).z_ohm[0]
    return z, {
        "Initial concentration in negative electrode [mol.m-3]": float(state.inputs.concentration_n_mol_m3[0]),
        "Initial concentration in positive electrode [mol.m-3]": float(state.inputs.concentration_p_mol_m3[0]),
        "Ambient temperature [K]": 298.15,
        "Initial temperature [K]": 298.15,
    }


def pybamm_impedance(values: Any, model: str, numbers: dict[str, float]) -> np.ndarray:
    missing = {name: value for name, value in ASSUMED.items() if name not in values}
    values.update(missing | numbers)
    built = getattr(pybamm.lithium_ion, model)({"surface form": "differential"})
    simulation = pybamm.EISSimulation(built, parameter_values=values, var_pts=built.default_var_pts | COARSE_POINTS)
    return simulation.solve(FREQUENCY_HZ).impedance


ASKED_FOR = ("Ai2020", "Chen2020", "Marquis2019", "Mohtat2020", "OKane2022", "ORegan2022", "Prada2013")


@pytest.mark.parametrize(
    ("parameter_set", "model"), [(name, "SPM") for name in USABLE] + [(name, "DFN") for name in ASKED_FOR]
)
def test_set_equals_pybamm(parameter_set: str, model: str) -> None:
    z, numbers = own_impedance(parameter_set, model)
    np.testing.assert_allclose(z, pybamm_impedance(pybamm.ParameterValues(parameter_set), model, numbers), rtol=1e-8)
    assert (z.real > 0).all() and (z.imag < 0).all()


@pytest.fixture
def bpx_file(tmp_path: Path) -> Path:
    path = tmp_path / "cell.json"
    path.write_text(json.dumps(bpx_cell()), encoding="utf-8")
    return path


@pytest.mark.filterwarnings("ignore:.*BPX:UserWarning")
@pytest.mark.parametrize("model", ["SPM", "DFN"])
def test_bpx_file_equals_pybamm(bpx_file: Path, model: str) -> None:
    z, numbers = own_impedance(str(bpx_file), model)
    values = pybamm.ParameterValues.create_from_bpx(bpx_file)
    np.testing.assert_allclose(z, pybamm_impedance(values, model, numbers), rtol=1e-8)


@pytest.mark.parametrize("parameter_set", ["Chen2020", "OKane2022"])
def test_json_of_pybamm_equals_pybamm(tmp_path: Path, parameter_set: str) -> None:
    path = tmp_path / "own.json"
    pybamm.ParameterValues(parameter_set).to_json(str(path))
    z, numbers = own_impedance(str(path), "SPM")
    values = pybamm.ParameterValues.from_json(path)
    np.testing.assert_allclose(z, pybamm_impedance(values, "SPM", numbers), rtol=1e-8)


@pytest.mark.parametrize("form", ["bpx", "json"])
def test_constants_of_files_can_be_spread(bpx_file: Path, tmp_path: Path, form: str) -> None:
    names = ("negative_exchange_current_density", "electrolyte_conductivity", "electrolyte_diffusivity")
    if form == "json":
        bpx_file = tmp_path / "own.json"
        pybamm.ParameterValues("Chen2020").to_json(str(bpx_file))
    built = solver(str(bpx_file), "SPMe", COARSE, names)
    z = {}
    for name in names:
        factor = {name: np.array([1.0, 1.1])}
        cells = snapshot(str(bpx_file), AgedState(), np.full(2, 0.5), np.full(2, 25.0), factor).inputs
        z[name] = built.solve(cells, FREQUENCY_HZ).z_ohm
        assert np.abs(z[name][1] / z[name][0] - 1).max() > 1e-4
    fresh = eishil.impedance(str(bpx_file), "SPMe", frequency_Hz=FREQUENCY_HZ, aged=AgedState(), mesh="pybamm")
    assert np.abs(z[names[0]][0] / fresh.z_ohm - 1).max() < 0.3


def test_what_a_set_lacks_is_assumed_and_told() -> None:
    assert not assumed("Chen2020")
    assert set(assumed("Ecker2015")) >= {"Negative electrode double-layer capacity [F.m-2]"}
    assert set(assumed("Prada2013")) >= {"SEI resistivity [Ohm.m]"}


def test_a_set_that_is_full_when_fresh_is_masked_only_where_ageing_fills_it_further() -> None:
    fresh = snapshot("ORegan2022", AgedState(), np.array([0.5]), np.array([25.0]))
    assert fresh.theta_n[0] > 0.5 and fresh.reason[0] == ""
    aged = AgedState(lli=np.array([0.1, 0.0]), lam_ne=np.array([0.05, 0.05]))
    assert snapshot("ORegan2022", aged, np.full(2, 0.5), np.full(2, 25.0)).reason.tolist() == ["", "x_100"]


def test_a_recipe_names_a_file_beside_it(write_recipe: Callable[..., Path], bpx_file: Path, tmp_path: Path) -> None:
    path = write_recipe('[cell]\nmodel = "SPM"', '[cell]\nparameter_set = "cell.json"\nmodel = "SPM"')
    manifest = [generate_with(path, tmp_path / "one"), generate_with(path, tmp_path / "two")]
    assert manifest[0] == manifest[1]
    assert manifest[0]["recipe"]["cell"]["parameter_set"] == "cell.json"
    assert "double-layer" in " ".join(manifest[0]["assumed_parameters"])
    before = Recipe.load(path).dataset_sha256()
    changed = bpx_cell()
    changed["Parameterisation"]["Negative electrode"]["Porosity"] = 0.31
    bpx_file.write_text(json.dumps(changed), encoding="utf-8")
    assert Recipe.load(path).dataset_sha256() != before


def generate_with(path: Path, out_dir: Path) -> dict[str, Any]:
    generate(Recipe.load(path), path, out_dir, Options(), silent)
    return json.loads((out_dir / "manifest.json").read_text())


def _bpx(**electrolyte: Any) -> str:
    cell = bpx_cell()
    cell["Parameterisation"]["Electrolyte"] |= electrolyte
    return json.dumps(cell)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file or directory"),
        ("{", "this is not JSON"),
        ("[1]", "has to be a JSON object"),
        ("{" * 100_000, "this is not JSON"),
        ('{"Header": {}, "Parameterisation": {}}', "cannot be read as a BPX file"),
        (
            _bpx(**{"Conductivity [S.m-1]": "exit(x)"}),
            "the expression 'exit(x)' has 'exit'; only x, exp, tanh and cosh",
        ),
        (_bpx(**{"Conductivity [S.m-1]": "breakpoint(1)"}), "has 'breakpoint'; only"),
        (_bpx(**{"Conductivity [S.m-1]": "1 + "}), "cannot be read as a BPX file"),
        ('{"a": {"$type": "subprocess.Popen", "args": "true"}}', "'subprocess.Popen', which is no mathematical exp"),
        ('{"a": {"module": "os", "class": "system"}}', "'os', which is no mathematical expression"),
        ('{"a": [{"b": {"py/object": "antigravity.x"}}]}', "'antigravity.x', which is no mathematical"),
        ('{"a": {"$type": "pybamm.expression_tree.functions.Function"}}', "which is no mathematical expression"),
        ('{"Ambient temperature [K]": 298.15}', "cannot be used"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "cell.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(EishilError, match=re.escape(words)) as caught:
        eishil.impedance(str(path), "SPM", frequency_Hz=[1.0])
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parameter_set", "words"),
    [
        ("Xu2019", "it has no 'Negative electrode active material volume fraction'"),
        ("Chen2020_composite", "it has no 'Negative electrode active material volume fraction'"),
        ("MSMR_Example", "it has no 'Initial concentration in negative electrode [mol.m-3]'"),
    ],
)
def test_sets_that_are_refused(parameter_set: str, words: str) -> None:
    with pytest.raises(EishilError, match=re.escape(words)):
        eishil.impedance(parameter_set, "SPM", frequency_Hz=[1.0])
