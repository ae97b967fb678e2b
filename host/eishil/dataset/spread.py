"""Cell-to-cell spread: no two cells of a batch have the same constants.

A cell keeps its factors for life. Its draws hang on seed, split, population and number alone, one for each of
`CONSTANTS` whether it varies or not: a cell stays the same when the population grows or one more constant varies.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from eishil.cell.constants import CONSTANTS, SPREAD_PREFIX
from eishil.dataset.cell_recipe import SpreadRecipe
from eishil.dataset.recipe import Recipe
from eishil.dataset.streams import generator

Floats = NDArray[np.float64]
CUT_OFF = 3.0  # standard deviations


def with_spread(recipe: Recipe, samples: pd.DataFrame, first_cell: int) -> pd.DataFrame:
    """The samples with a column `spread_NAME` for each constant that varies in the recipe.

    They are of consecutive cells, `first_cell` and on, of one population of one split.
    """
    if not recipe.cell.spread:
        return samples
    split, population = str(samples["split"].iloc[0]), str(samples["population"].iloc[0])
    cell, names = pd.factorize(samples["cell_id"])
    drawn = _draw(recipe, split, population, first_cell, len(names))
    return samples.assign(**{SPREAD_PREFIX + name: factor[cell] for name, factor in drawn.items()})


def cell_factors(recipe: Recipe, split: str, population: str, number: int) -> dict[str, float]:
    """Constant -> factor of one cell; empty where nothing varies."""
    if not recipe.cell.spread:
        return {}
    return {name: float(factor[0]) for name, factor in _draw(recipe, split, population, number, 1).items()}


def factors(samples: pd.DataFrame) -> dict[str, Floats]:
    """Constant -> factor (S,), from the columns of a design or a data set; empty where nothing varies."""
    columns = [name for name in samples if str(name).startswith(SPREAD_PREFIX)]
    return {str(name).removeprefix(SPREAD_PREFIX): samples[name].to_numpy() for name in columns}


def _draw(recipe: Recipe, split: str, population: str, first_cell: int, cells: int) -> dict[str, Floats]:
    """Constant -> factor (cells,); 1 in splits without spread."""
    spreads, splits = recipe.cell.spreads(), recipe.cell.spread_splits
    if splits is not None and split not in splits:
        return {name: np.ones(cells) for name in spreads}
    rng = generator(recipe.seed_of(split), "spread", split, population)
    assert isinstance(rng.bit_generator, np.random.PCG64)
    rng.bit_generator.advance(first_cell * len(CONSTANTS))  # one number for each draw
    normal = ndtri(rng.uniform(ndtr(-CUT_OFF), ndtr(CUT_OFF), (cells, len(CONSTANTS))))
    by_name = dict(zip(CONSTANTS, normal.T, strict=True))
    return {name: _factor(spread, by_name[name]) for name, spread in spreads.items()}


def _factor(spread: SpreadRecipe, normal: Floats) -> Floats:
    return np.exp(spread.std * normal) if spread.distribution == "lognormal" else 1.0 + spread.std * normal
