"""Constants of a cell that may differ, sample by sample, from those of its parameter set by a factor.

Without PyBaMM: a recipe names them. Electrode thickness and particle radius are not among them, because PyBaMM's meshes
are made before inputs are known; a particle's radius acts through diffusivity and exchange current.
"""

from __future__ import annotations

# Name in recipes and tables -> PyBaMM's name. New ones go to the end: a cell's draws are in this order.
CONSTANTS = {
    "negative_particle_diffusivity": "Negative particle diffusivity [m2.s-1]",
    "positive_particle_diffusivity": "Positive particle diffusivity [m2.s-1]",
    "negative_exchange_current_density": "Negative electrode exchange-current density [A.m-2]",
    "positive_exchange_current_density": "Positive electrode exchange-current density [A.m-2]",
    "negative_double_layer_capacity": "Negative electrode double-layer capacity [F.m-2]",
    "positive_double_layer_capacity": "Positive electrode double-layer capacity [F.m-2]",
    "negative_conductivity": "Negative electrode conductivity [S.m-1]",
    "positive_conductivity": "Positive electrode conductivity [S.m-1]",
    "electrolyte_conductivity": "Electrolyte conductivity [S.m-1]",
    "electrolyte_diffusivity": "Electrolyte diffusivity [m2.s-1]",
    "negative_bruggeman": "Negative electrode Bruggeman coefficient (electrolyte)",
    "separator_bruggeman": "Separator Bruggeman coefficient (electrolyte)",
    "positive_bruggeman": "Positive electrode Bruggeman coefficient (electrolyte)",
    "negative_porosity": "Negative electrode porosity",
    "separator_porosity": "Separator porosity",
    "positive_porosity": "Positive electrode porosity",
    "electrolyte_concentration": "Initial concentration in electrolyte [mol.m-3]",
    "negative_active_fraction": "Negative electrode active material volume fraction",
    "positive_active_fraction": "Positive electrode active material volume fraction",
}
# What a recipe may spread with one line; the rest changes how much of something a cell holds.
SPREAD_GROUPS = {"transport_and_kinetics": tuple(CONSTANTS)[:13]}
# These are inputs of every model: a snapshot multiplies them itself, and the electrodes' capacities with them.
ACTIVE_FRACTIONS = ("negative_active_fraction", "positive_active_fraction")
SPREAD_PREFIX = "spread_"  # of a constant's column in the samples


def model_constants(names: set[str]) -> tuple[str, ...]:
    """Those of `names` that a model has to be built with, in the table's order."""
    return tuple(name for name in CONSTANTS if name in names and name not in ACTIVE_FRACTIONS)
