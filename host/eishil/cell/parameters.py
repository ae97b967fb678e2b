"""Cells that PyBaMM can build: parameter sets, model options, meshes of known error."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any

os.environ["PYBAMM_DISABLE_TELEMETRY"] = "true"  # before pybamm is imported: eishil makes no network calls

import pybamm

from eishil.cell.constants import CONSTANTS
from eishil.errors import EishilError

# Sets of two plain electrodes with all that `OPTIONS` need.
USABLE = ("Ai2020", "Chen2020", "Marquis2019", "Mohtat2020", "NCA_Kim2011", "OKane2022", "Ramadass2004")
MODELS = ("DFN", "SPMe", "SPM")
# Without a film (thickness 0) and without contact resistance these options equal the plain model to 3e-13 in Z.
OPTIONS = {"surface form": "differential", "SEI": "constant", "contact resistance": "true"}

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


@dataclass(frozen=True)
class Mesh:
    """Points of the through-cell and radial meshes; a radial mesh is uniform or graded towards the surface."""

    x_n: int
    x_s: int
    x_p: int
    r: int
    radial_stretch: float | None
    description: str


MESHES = {
    "default": Mesh(40, 10, 40, 20, 6.0, "graded radial mesh; DFN, 10 mHz to 1 kHz: within 0.3 % of a fine mesh"),
    "pybamm": Mesh(20, 20, 20, 20, None, "PyBaMM's own, uniform; DFN, 10 mHz to 1 kHz: within 5 % of a fine mesh"),
    "fine": Mesh(80, 80, 80, 60, 6.0, "the reference that the others' errors are measured against"),
}


@cache
def parameter_values(parameter_set: str) -> Any:
    """`pybamm.ParameterValues` of a named set; treat it as read-only.

    Raises
    ------
    EishilError
        PyBaMM has no such set; the sentence lists those that can be used.
    """
    known = sorted(pybamm.parameter_sets)
    if parameter_set not in known:
        raise EishilError(f"parameter set {parameter_set!r} is unknown; use one of {', '.join(USABLE)}")
    return pybamm.ParameterValues(parameter_set)


def unusable(parameter_set: str, error: Exception) -> EishilError:
    """What PyBaMM's exception means to whoever named the parameter set."""
    reason = str(error.args[0] if error.args else error).splitlines()[0]
    lacking = re.match(r"Parameter '(.+?)' not found", reason)
    reason = f"it has no {lacking[1]!r}" if lacking else reason
    return EishilError(f"parameter set {parameter_set!r} cannot be used: {reason}; use one of {', '.join(USABLE)}")


def scalar(parameter_set: str, name: str) -> float:
    """Value of a parameter that has to be a plain number."""
    try:
        return float(parameter_values(parameter_set)[name])
    except (KeyError, TypeError, ValueError):
        reason = f"{name!r} has to be there and a single number"
        raise unusable(parameter_set, ValueError(reason)) from None


def discretised(parameter_set: str, model: str, mesh: str, constants: tuple[str, ...] = ()) -> Any:
    """The discretised PyBaMM model with the current as an algebraic state.

    `INPUTS` are left open, and so are factors on those `constants`, under their names in `CONSTANTS`.

    Raises
    ------
    EishilError
        A name is unknown, or the parameter set lacks what the model needs.
    """
    if mesh not in MESHES:
        raise EishilError(f"mesh {mesh!r} is unknown; there are {', '.join(MESHES)}")
    if model not in MODELS:
        raise EishilError(f"model {model!r} is unknown; there are {', '.join(MODELS)}")
    try:
        values = parameter_values(parameter_set).copy()
        for name in constants:
            values.update({CONSTANTS[name]: scaled(values[CONSTANTS[name]], pybamm.InputParameter(name))})
        built = simulation(values, model, MESHES[mesh])
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
    built = getattr(pybamm.lithium_ion, model)(OPTIONS)
    return pybamm.EISSimulation(built, parameter_values=values, **on_mesh(built, mesh))


def on_mesh(model: Any, mesh: Mesh) -> dict[str, Any]:
    """Keyword arguments of PyBaMM's simulations that discretise a model on a mesh."""
    submeshes = dict(model.default_submesh_types)
    if mesh.radial_stretch is not None:
        graded = pybamm.MeshGenerator(pybamm.Exponential1DSubMesh, {"side": "right", "stretch": mesh.radial_stretch})
        submeshes |= {"negative particle": graded, "positive particle": graded}
    counts = {"x_n": mesh.x_n, "x_s": mesh.x_s, "x_p": mesh.x_p, "r_n": mesh.r, "r_p": mesh.r}
    return {"submesh_types": submeshes, "var_pts": model.default_var_pts | counts}


def scaled(value: Any, factor: Any) -> Any:
    """A parameter's value, a number or a function, times a symbol."""
    if not callable(value):
        return factor * value

    @wraps(value)
    def function(*arguments: Any) -> Any:
        return factor * value(*arguments)

    return function
