"""How far figures scatter from one set of held-out cells to another: whole cells are drawn again, not spectra.

The spectra of a cell share its ageing and its error, so that they are no independent draws (Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, chapters 8 and 13: resample the independent units, take percentiles).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eishil_bench.runs.results import Interval

DRAWS = 2000
SEED = 1
PERCENTILES = (2.5, 97.5)


def cell_means(table: pd.DataFrame, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of `values` (rows,) over all spectra of as many cells as there are, drawn with replacement, (DRAWS,)."""
    cells = pd.Series(values).groupby(table["cell_id"].to_numpy(), sort=True)
    total, count = cells.sum().to_numpy(), cells.count().to_numpy()
    drawn = np.random.default_rng(SEED).integers(0, len(total), (DRAWS, len(total)))
    return np.asarray(total[drawn].sum(axis=1) / count[drawn].sum(axis=1), np.float64)


def interval(draws: NDArray[np.float64]) -> Interval:
    """The middle 95 % of the draws."""
    low, high = np.percentile(draws, PERCENTILES)
    return Interval(low=float(low), high=float(high))
