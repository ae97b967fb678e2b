"""Cells that PyBaMM can build: parameter sets, files of one's own, model options, what is left open."""

from __future__ import annotations

import os
import re
from functools import cache, wraps
from pathlib import Path
from typing import Any

os.environ["PYBAMM_DISABLE_TELEMETRY"] = "true"  # before pybamm is imported: eishil makes no network calls

import pybamm
from pybamm.expression_tree.operations.serialise import ExpressionFunctionParameter

from eishil.cell import parameter_files
from eishil.cell.constants import CONSTANTS
from eishil.cell.mesh import Mesh, named_mesh
from eishil.errors import EishilError

# Sets of two plain electrodes with all that `OPTIONS` need, `ASSUMED` values included.
USABLE = (
    *("Ai2020", "Chen2020", "Ecker2015", "Marquis2019", "Mohtat2020", "NCA_Kim2011", "OKane2022", "ORegan2022"),
    *("Prada2013", "Ramadass2004"),
)
MODELS = ("DFN", "SPMe", "SPM")
# Without a film (thickness 0) and without contact resistance these options equal the plain model to 3e-13 in Z.
OPTIONS = {"surface form": "differential", "SEI": "constant", "contact resistance": "true"}
# Where a set says nothing: the double layer that most of PyBaMM's sets have, Chen2020's film (one of 0 nm, as of a
# fresh cell, has no effect anyway) and potentials that do not depend on temperature. Manifests name what was used.
ASSUMED = {
    "Negative electrode double-layer capacity [F.m-2]": 0.2,
    "Positive electrode double-layer capacity [F.m-2]": 0.2,
    "SEI partial molar volume [m3.mol-1]": 9.585e-5,
    "SEI resistivity [Ohm.m]": 200000.0,
    "Ratio of lithium moles to SEI moles": 2.0,
    "Negative electrode OCP entropic change [V.K-1]": 0.0,
    "Positive electrode OCP entropic change [V.K-1]": 0.0,
}

# What may differ from sample to sample. The order is that of every parameter vector; nothing else depends on it.
INPUTS = {
    "temperature_K": "Ambient temperature [K]",
    "active_fraction_n": "Negative electrode active material volume fraction",
    "active_fraction_p": "Positive electrode active material volume fraction",
    "concentration_n_mol_m3": "Initial concentration in negative electrode [mol.m-3]",
    "concentration_p_mol_m3": "Initial concentration in positive electrode [mol.m-3]",
    "sei_thickness_m": "Initial SEI thickness [m]",
    "contact_resistance_ohm": "Contact resistance [Ohm]",
}


@cache
def parameter_values(parameter_set: str) -> Any:
    """`pybamm.ParameterValues` of a named set or of a file (`parameter_files`), completed by `ASSUMED`; read-only.

    Raises
    ------
    EishilError
        PyBaMM has no such set (the sentence lists those that can be used), or the file is not what it has to be.
    """
    values = _values(parameter_set)
    values.update({name: ASSUMED[name] for name in ASSUMED if name not in values}, check_already_exists=False)
    return values


def assumed(parameter_set: str) -> dict[str, float]:
    """What the set itself does not say and `ASSUMED` does."""
    values = _values(parameter_set)
    return {name: value for name, value in ASSUMED.items() if name not in values}


def _values(parameter_set: str) -> Any:
    if parameter_set.endswith(".json"):
        return parameter_files.read(Path(parameter_set))
    if parameter_set not in list(pybamm.parameter_sets):
        raise EishilError(f"parameter set {parameter_set!r} is unknown; {_ADVICE}")
    return pybamm.ParameterValues(parameter_set)


_ADVICE = f"use one of {', '.join(USABLE)}, or a file ending in .json"


def unusable(parameter_set: str, error: Exception) -> EishilError:
    """What PyBaMM's exception means to whoever named the parameter set."""
    reason = str(error.args[0] if error.args else error).splitlines()[0]
    lacking = re.match(r"Parameter '(.+?)' not found", reason)
    reason = f"it has no {lacking[1]!r}" if lacking else reason
    return EishilError(f"parameter set {parameter_set!r} cannot be used: {reason}; {_ADVICE}")


def scalar(parameter_set: str, name: str) -> float:
    """Value of a parameter that has to be a plain number."""
    try:
        return float(parameter_values(parameter_set)[name])
    except (KeyError, TypeError, ValueError):
        reason = f"{name!r} has to be there and a single number"
        raise unusable(parameter_set, ValueError(reason)) from None


def discretised(parameter_set: str, model: str, mesh: str | Mesh, constants: tuple[str, ...] = ()) -> Any:
    """The discretised PyBaMM model with the current as an algebraic state.

    `INPUTS` are left open, and so are factors on those `constants`, under their names in `CONSTANTS`.

    Raises
    ------
    EishilError
        A name is unknown, or the parameter set lacks what the model needs.
    """
    if model not in MODELS:
        raise EishilError(f"model {model!r} is unknown; there are {', '.join(MODELS)}")
    points = named_mesh(mesh)
    try:
        values = parameter_values(parameter_set).copy()
        for name in constants:
            values.update({CONSTANTS[name]: scaled(values[CONSTANTS[name]], pybamm.InputParameter(name))})
        built = simulation(values, model, points)
        built.build()
    except (KeyError, TypeError, ValueError, pybamm.ModelError, pybamm.OptionError) as error:
        raise unusable(parameter_set, error) from error
    return built.built_model


def simulation(values: Any, model: str, mesh: Mesh) -> Any:
    """A `pybamm.EISSimulation` on a mesh; it makes inputs of `INPUTS` in `values`.

    It is used to turn the current into a state and to discretise. What is linearised, and where, is not left to it: it
    takes the raw initial conditions and stacks inputs in the order of a dict.
    """
    values.update({name: "[input]" for name in INPUTS.values()}, check_already_exists=False)
    # Isothermal models read the ambient temperature, lumped ones the initial one: they are one input here.
    values.update({"Initial temperature [K]": pybamm.InputParameter(INPUTS["temperature_K"])})
    built = mended(getattr(pybamm.lithium_ion, model)(OPTIONS))
    return pybamm.EISSimulation(built, parameter_values=values, **on_mesh(built, mesh))


def mended(model: Any) -> Any:
    """A PyBaMM model without two faults of its SPMe; others are returned as they are.

    PyBaMM takes a porosity that is another constant in each part of the cell to be independent of x, and the mean of
    eps c / eps for a product of means: 1036 mol/m3 for Chen2020 at rest and 1161 for Marquis2019 instead of 1000. And
    it starts the electrolyte's potential at 0, where the negative electrode's is.
    """
    started = {state.name: state for state in model.initial_conditions}
    if (potential := started.get("X-averaged positive electrolyte potential [V]")) is not None:
        drop = started["X-averaged negative electrode surface potential difference [V]"]
        model.initial_conditions[potential] = -model.initial_conditions[drop]
    for state in model.algebraic:
        if state.name == "X-averaged electrolyte concentration [mol.m-3]":
            mean = pybamm.x_average(model.variables["Electrolyte concentration concatenation [mol.m-3]"])
            model.algebraic[state] = (state - mean) / model.param.c_e_init_av
    return model


def on_mesh(model: Any, mesh: Mesh) -> dict[str, Any]:
    """Keyword arguments of PyBaMM's simulations that discretise a model on a mesh."""
    submeshes = dict(model.default_submesh_types)
    if mesh.radial_stretch is not None:
        graded = pybamm.MeshGenerator(pybamm.Exponential1DSubMesh, {"side": "right", "stretch": mesh.radial_stretch})
        submeshes |= {"negative particle": graded, "positive particle": graded}
    counts = {"x_n": mesh.x_n, "x_s": mesh.x_s, "x_p": mesh.x_p, "r_n": mesh.r, "r_p": mesh.r}
    return {"submesh_types": submeshes, "var_pts": model.default_var_pts | counts}


def scaled(value: Any, factor: Any) -> Any:
    """A parameter's value, a number, a function or a table, times a symbol."""
    if isinstance(value, ExpressionFunctionParameter):
        return ExpressionFunctionParameter(value.name, factor * value.child, value.func_name, value.func_args)
    if isinstance(value, tuple):
        name, (x, y) = value
        return lambda argument: factor * pybamm.Interpolant(x[0] if len(x) == 1 else x, y, argument, name=name)
    if not callable(value):
        return factor * value

    @wraps(value)
    def function(*arguments: Any) -> Any:
        return factor * value(*arguments)

    return function
