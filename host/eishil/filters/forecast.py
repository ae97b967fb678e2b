"""What a filter's state says besides its readouts: the modes, each with its sigma, and the life that is left.

The remaining useful life comes from the filtered state alone: the model says how SOH goes on from it, and how certain
that is. On the way down SOH is below the limit at C cycles with probability Phi((limit - mean(C)) / sigma(C)), so that
quantiles of the crossing are where mean - k sigma and mean + k sigma cross.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from eishil.dataset.labels import END_OF_LIFE_SOH
from eishil.filters import readout
from eishil.filters.observation import ModeMap
from eishil.filters.step import StepOutput
from eishil.model import Model

Array = NDArray[np.float64]

COVERED = 0.9  # of the interval of the remaining life
POINTS = 61
HORIZON_CYCLES = 5000.0


@dataclass(frozen=True)
class RemainingLife:
    """Equivalent full cycles until SOH falls below the limit: the median and an interval that covers 90 %.

    `inf` where SOH does not fall that far within the horizon of the forecast, 0 where it has.
    """

    median: float
    low: float
    high: float


class Forecast:
    """How a model's state goes on.

    Parameters
    ----------
    horizon_cycles
        How far, from the fresh cell on. A latent trajectory is not known beyond its last node, which is the end then.
    """

    def __init__(self, model: Model, horizon_cycles: float = HORIZON_CYCLES) -> None:
        self._names = [mode.name for mode in model.modes]
        self._soh = model.readouts[0]
        self._drift = np.array([state.drift_per_cycle for state in model.states])
        self._q = np.array([state.process_variance_per_cycle for state in model.states])
        trajectory = model.trajectory
        known = np.inf if trajectory is None else trajectory.cycle_spacing * (len(trajectory.mean) - 1)
        self._mode_map = ModeMap(model)
        self._grid = np.linspace(0.0, min(horizon_cycles, known), POINTS)

    def modes(self, output: StepOutput, cycles: float) -> tuple[Array, Array]:
        """Modes (n_modes,) and their covariance (n_modes, n_modes) at an estimate made at `cycles`."""
        mean, phi = self._mode_map.at(cycles)
        return mean + phi @ np.asarray(output.x, np.float64), phi @ np.asarray(output.P, np.float64) @ phi.T

    def soh(self, output: StepOutput, cycles: float, later: Array) -> tuple[Array, Array]:
        """SOH and its standard deviation (T,) at `later` (T,) cycles, from an estimate made at `cycles`."""
        elapsed = (later - cycles)[:, None]
        x = np.asarray(output.x, np.float64) + self._drift * elapsed
        mean, phi = (np.array(part) for part in zip(*map(self._mode_map.at, later), strict=True))
        value, by_mode = readout.evaluate(self._soh, self._names, mean + np.einsum("tpn,tn->tp", phi, x))
        by_state = np.einsum("tp,tpn->tn", by_mode, phi)
        variance = np.einsum("tn,nk,tk->t", by_state, np.asarray(output.P, np.float64), by_state)
        walk = np.sum(by_state**2 * self._q * elapsed, axis=1)
        return value, np.sqrt(variance + walk + self._soh.residual_std**2)

    def remaining_life(self, output: StepOutput, cycles: float, limit: float = END_OF_LIFE_SOH) -> RemainingLife:
        """Remaining useful life at an estimate made at `cycles`; NaN where a covariance is not known."""
        if np.isnan(output.P).any():
            return RemainingLife(np.nan, np.nan, np.nan)
        later = np.array([cycles, *self._grid[self._grid > cycles]])
        soh, std = self.soh(output, cycles, later)
        k = norm.ppf((1 + COVERED) / 2)
        low, median, high = (_first_below(later, soh + n * std, limit) - cycles for n in (-k, 0.0, k))
        return RemainingLife(median, low, high)


def _first_below(cycles: Array, values: Array, limit: float) -> float:
    """Where `values` first fall below the limit, on the straight line between two points; inf where they do not."""
    below = np.flatnonzero(values < limit)
    if not below.size:
        return np.inf
    after = int(below[0])
    if after == 0:
        return float(cycles[0])
    share = (values[after - 1] - limit) / (values[after - 1] - values[after])
    return float(cycles[after - 1] + share * (cycles[after] - cycles[after - 1]))
