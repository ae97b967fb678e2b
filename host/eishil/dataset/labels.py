"""Labels that need a whole life: the cycles that are left until a cell counts as worn out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
END_OF_LIFE_SOH = 0.8


def remaining_cycles(cycles: Floats, soh: Floats, end_of_life_soh: float = END_OF_LIFE_SOH) -> tuple[Floats, bool]:
    """Remaining useful life at each point of one trajectory.

    Parameters
    ----------
    cycles
        (N,), rising.
    soh
        (N,), NaN where there is no label.
    end_of_life_soh
        A life ends where SOH first falls below this, on the straight line between the points around it.

    Returns
    -------
    rul_cycles, censored
        (N,), 0 from the end of life on. In a trajectory that stops before its end of life, which is `censored`, it is
        what is left of the trajectory: the life lasts at least that long.
    """
    known = np.isfinite(soh)
    end, censored = _end_of_life(cycles[known], soh[known], end_of_life_soh)
    return np.maximum(end - cycles, 0.0), censored


def _end_of_life(cycles: Floats, soh: Floats, limit: float) -> tuple[float, bool]:
    below = np.flatnonzero(soh < limit)
    if not below.size:
        return (float(cycles[-1]) if cycles.size else np.nan), True
    after = below[0]
    if after == 0:
        return float(cycles[0]), False
    share = (soh[after - 1] - limit) / (soh[after - 1] - soh[after])
    return float(cycles[after - 1] + share * (cycles[after] - cycles[after - 1])), False


def with_remaining_life(samples: pd.DataFrame) -> pd.DataFrame:
    """The samples with columns `rul_cycles` and `rul_censored`, null for cells that are measured once or not cycled."""
    rul, censored = np.full(len(samples), np.nan), np.full(len(samples), None, dtype=object)
    rows = samples.reset_index(drop=True)
    cycled = (rows["population"] == "trajectory") & rows["cycles"].notna()
    for _, life in rows[cycled].groupby("cell_id", sort=False):
        ordered = life.sort_values("cycles")
        place = ordered.index.to_numpy()
        rul[place], censored[place] = remaining_cycles(ordered["cycles"].to_numpy(), ordered["soh"].to_numpy())
    return samples.assign(rul_cycles=rul, rul_censored=pd.array(censored, dtype="boolean"))
