"""Aged states in a table: from columns to what `snapshot` takes, and what only some recipes have to labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eishil.cell.ageing import AgedState
from eishil.cell.constants import CONSTANTS, SPREAD_PREFIX, model_constants
from eishil.cell.parameters import scalar
from eishil.dataset.cell_recipe import CellRecipe
from eishil.dataset.design import MODES

Floats = NDArray[np.float64]
POROSITY = "negative_porosity"
FILLED = frozenset({POROSITY, "electrolyte_concentration"})  # constants that filled pores move


def solver_constants(cell: CellRecipe, *, pores_fill: bool) -> tuple[str, ...]:
    """What a solver of the recipe's cells has to be built with."""
    return model_constants(set(cell.spreads()) | (FILLED if pores_fill else set()))


def aged_state(parameter_set: str, samples: pd.DataFrame) -> AgedState:
    """The modes of S samples of a design or of a data set; without a porosity the pores are as when new."""
    modes = {name: samples[name].to_numpy() for name in MODES}
    return AgedState(**modes, porosity_loss_ne=porosity_loss(parameter_set, samples))


def porosity_loss(parameter_set: str, samples: pd.DataFrame) -> Floats | float:
    """Part of the negative electrode's pores that is filled, (S,)."""
    if "porosity_loss_ne" in samples:
        return np.asarray(samples["porosity_loss_ne"], float)
    if not has_porosity(samples):
        return 0.0
    return 1 - np.asarray(samples["porosity_ne"], float) / _new_porosity(parameter_set, samples)


def has_porosity(samples: pd.DataFrame) -> bool:
    """Whether a data set's cells have pores that fill."""
    return "porosity_ne" in samples and bool(samples["porosity_ne"].notna().any())


def with_labels(parameter_set: str, samples: pd.DataFrame) -> pd.DataFrame:
    """The samples of a design with labels instead of what the recipe draws."""
    labels = {}
    if "porosity_loss_ne" in samples:
        labels["porosity_ne"] = _new_porosity(parameter_set, samples) * (1 - samples["porosity_loss_ne"])
    if "plated_share" in samples:
        labels["plating_loss"] = samples["plated_share"] * samples["lli"]
    return samples.assign(**labels).drop(columns=["porosity_loss_ne", "plated_share"], errors="ignore")


def _new_porosity(parameter_set: str, samples: pd.DataFrame) -> Floats:
    own = samples.get(SPREAD_PREFIX + POROSITY, pd.Series(1.0, samples.index))
    return scalar(parameter_set, CONSTANTS[POROSITY]) * np.asarray(own, float)
