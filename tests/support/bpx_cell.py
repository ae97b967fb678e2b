"""A graphite and NMC cell as a BPX file: round numbers near Chen2020's, one potential an expression and one a table."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np


def _electrode(**own: Any) -> dict[str, Any]:
    return {
        "Thickness [m]": 8e-5,
        "Porosity": 0.3,
        "Transport efficiency": 0.16,
        "Particle radius [m]": 5e-6,
        "Surface area per unit volume [m-1]": 4e5,
        "Conductivity [S.m-1]": 100.0,
        "Diffusivity activation energy [J.mol-1]": 3e4,
        "Reaction rate constant activation energy [J.mol-1]": 3e4,
    } | own


_STOICHIOMETRY = np.linspace(0.0, 1.0, 21)
_CELL = {
    "Header": {"BPX": "1.1.0", "Title": "round numbers", "Model": "DFN"},
    "Parameterisation": {
        "Cell": {
            "Electrode area [m2]": 0.1,
            "External surface area [m2]": 5e-3,
            "Volume [m3]": 2.4e-5,
            "Number of electrode pairs connected in parallel to make a cell": 1,
            "Lower voltage cut-off [V]": 2.7,
            "Upper voltage cut-off [V]": 4.2,
            "Nominal cell capacity [A.h]": 4.5,
            "Reference temperature [K]": 298.15,
        },
        "Electrolyte": {
            "Cation transference number": 0.26,
            "Diffusivity [m2.s-1]": "3e-10 * exp(-0.0001 * x)",
            "Conductivity [S.m-1]": 0.9,
            "Diffusivity activation energy [J.mol-1]": 1.7e4,
            "Conductivity activation energy [J.mol-1]": 1.7e4,
        },
        "Negative electrode": _electrode(
            **{
                "Minimum stoichiometry": 0.03,
                "Maximum stoichiometry": 0.9,
                "Maximum concentration [mol.m-3]": 33000.0,
                "Diffusivity [m2.s-1]": 3e-14,
                "Reaction rate constant [mol.m-2.s-1]": 2e-6,
                "OCP [V]": "1.5 * exp(-40 * x) + 0.25 - 0.05 * tanh(15 * (x - 0.2)) - 0.06 * tanh(12 * (x - 0.55))",
            }
        ),
        "Separator": {"Thickness [m]": 1.2e-5, "Porosity": 0.47, "Transport efficiency": 0.32},
        "Positive electrode": _electrode(
            **{
                "Minimum stoichiometry": 0.27,
                "Maximum stoichiometry": 0.85,
                "Maximum concentration [mol.m-3]": 63000.0,
                "Diffusivity [m2.s-1]": 4e-15,
                "Reaction rate constant [mol.m-2.s-1]": 5e-6,
                "OCP [V]": {"x": _STOICHIOMETRY.tolist(), "y": (4.6 - 1.4 * _STOICHIOMETRY**1.5).tolist()},
            }
        ),
    },
    "State": {"Initial conditions": {"Initial electrolyte concentration [mol.m-3]": 1000.0}},
}


def bpx_cell() -> dict[str, Any]:
    """A copy that a test may change."""
    return copy.deepcopy(_CELL)
