"""How good estimates are: the same in the choice of a filter on validation cells and in the bench on held-out ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

Array = NDArray[np.float64]


def rms(values: Array) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def within(error: Array, sigma: Array, n_sigma: float) -> NDArray[np.bool_]:
    """Which errors lie within so many standard deviations, inclusive; all of one shape."""
    return np.asarray(np.abs(error) <= n_sigma * sigma)


def chi_square_bounds(freedom: int) -> tuple[float, float]:
    """Where 95 % of a sum of squares of `freedom` independent standard normal numbers lies, divided by `freedom`."""
    low, high = chi2.ppf([0.025, 0.975], freedom) / freedom
    return float(low), float(high)
