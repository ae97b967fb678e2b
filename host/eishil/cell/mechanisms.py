"""How a cell ages: PyBaMM's side reactions with rates that can be scaled, varied from cell to cell, and frozen.

Every rate is the parameter set's times a factor, times `REACTIONS`, which is 1 while the cell ages and 0 while it is
brought to its operating point and measured. So the same built model ages and rests.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pybamm

from eishil.cell.constants import CONSTANTS
from eishil.cell.parameters import parameter_values, scaled
from eishil.errors import EishilError

# Growth law of the film -> constants that its rate is proportional to, together.
SEI_RATES = {
    "solvent-diffusion limited": ("SEI solvent diffusivity [m2.s-1]",),
    "reaction limited": ("SEI reaction exchange current density [A.m-2]",),
    "electron-migration limited": ("SEI electron conductivity [S.m-1]",),
    "interstitial-diffusion limited": ("SEI lithium interstitial diffusivity [m2.s-1]",),
    "ec reaction limited": ("SEI kinetic rate constant [m.s-1]", "EC diffusivity [m2.s-1]"),
}
PLATING = ("none", "reversible", "partially reversible")
REACTIONS = "Side reactions"  # 1 or 0
CURRENT = "Current to the operating point [A]"
TEMPERATURE = "Cell temperature [K]"  # not the ambient one's name: PyBaMM's experiments keep that for themselves
CONTACT = "Contact resistance [Ohm]"
INITIAL = tuple(f"Initial concentration in {side} electrode [mol.m-3]" for side in ("negative", "positive"))


@dataclass(frozen=True)
class Mechanisms:
    """What ages a cell.

    `sei` is one of `SEI_RATES`, `plating` one of `PLATING`. `porosity` lets film and plated lithium fill the pores of
    the negative electrode. `stress` stands for particles that swell and lose active material in proportion to stress.
    PyBaMM's film on cracks is not among them: it takes its lithium from the electrolyte's salt (docs/ageing.md).
    """

    sei: str = "solvent-diffusion limited"
    plating: str = "partially reversible"
    porosity: bool = True
    stress: bool = True

    def options(self) -> dict[str, Any]:
        """PyBaMM's options."""
        change = str(self.porosity).lower()
        options: dict[str, Any] = {
            "SEI": self.sei,
            "SEI porosity change": change,
            "lithium plating": self.plating,
            "contact resistance": "true",
        }
        if self.plating != "none":
            options["lithium plating porosity change"] = change
        if self.stress:
            options |= {
                "particle mechanics": "swelling only",
                "stress-induced diffusion": "true",
                "loss of active material": "stress-driven",
            }
        return options


@dataclass(frozen=True)
class Rates:
    """Factors on the parameter set's rates. Plating is a fast equilibrium: what accumulates is the dead lithium."""

    sei: float = 1.0
    plating: float = 1.0
    dead_lithium: float = 1.0
    lam_ne: float = 1.0
    lam_pe: float = 1.0

    def accelerated(self, k: float) -> Rates:
        """One cycle ages like k cycles: all that accumulates runs k times as fast."""
        slow = {name: k * value for name, value in asdict(self).items() if name != "plating"}
        return Rates(plating=self.plating, **slow)


def rate_name(name: str) -> str:
    """The input that carries a factor of `Rates`."""
    return f"Rate factor: {name}"


def ageing_parameters(
    parameter_set: str, mechanisms: Mechanisms, constants: tuple[str, ...] = (), *, frozen: bool = False
) -> Any:
    """The parameter set with temperature, contact resistance and factors on `constants` (of `constants.CONSTANTS`)
    left open, and, unless `frozen`, `REACTIONS`, rates and the concentrations at the start.

    Raises
    ------
    EishilError
        The set lacks a rate that the mechanisms need.
    """
    values = parameter_values(parameter_set).copy()
    for name in constants:
        values.update({CONSTANTS[name]: scaled(values[CONSTANTS[name]], pybamm.InputParameter(name))})
    for name, rates in _constants(mechanisms).items():
        for constant, factor in zip(rates, _factors(name, frozen), strict=False):
            if constant not in values:
                raise EishilError(f"parameter set {parameter_set!r} cannot age so: it has no {constant!r}; {_WITHOUT}")
            values.update({constant: scaled(values[constant], factor)})
    temperature = pybamm.InputParameter(TEMPERATURE)
    open_ones = {"Ambient temperature [K]": temperature, "Initial temperature [K]": temperature}
    open_ones |= dict.fromkeys((CONTACT,) if frozen else (CONTACT, *INITIAL), "[input]")
    values.update(open_ones, check_already_exists=False)
    return values


_WITHOUT = 'simulation.mechanisms can do without: plating = "none", stress = false, another sei; OKane2022 has all'


def _factors(name: str, frozen: bool) -> tuple[Any, Any]:
    """On the constants of a rate. A law with two constants stops with its first; with both at 0 it would be 0/0."""
    if frozen:
        return 0.0, 1.0
    factor = pybamm.InputParameter(rate_name(name))
    return factor * pybamm.InputParameter(REACTIONS), factor


def _constants(mechanisms: Mechanisms) -> dict[str, tuple[str, ...]]:
    """Factor -> the parameters that it multiplies."""
    constants = {"sei": SEI_RATES[mechanisms.sei]}
    if mechanisms.plating != "none":
        constants["plating"] = ("Exchange-current density for plating [A.m-2]",)
    if mechanisms.plating == "partially reversible":
        constants["dead_lithium"] = ("Dead lithium decay rate [s-1]",)
    if mechanisms.stress:
        constants["lam_ne"] = ("Negative electrode LAM constant proportional term [s-1]",)
        constants["lam_pe"] = ("Positive electrode LAM constant proportional term [s-1]",)
    return constants
