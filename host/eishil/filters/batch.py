"""The extended filter over the lives of many cells at once, for studies that replay thousands of spectra.

The equations, and the code of prediction and linearisation, are those of `ekf`; only the update stands here once more,
with a leading axis of cells. Banks, and lives of which a filter or its gate refuses a spectrum, are left to `ekf`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eishil.filters import readout
from eishil.filters.ekf import Ekf, is_acceptable
from eishil.filters.gate import nis_limit
from eishil.filters.observation import Array, Linearisation, ModeMap, Network, observations
from eishil.filters.step import StepInput
from eishil.model import Model

Life = Sequence[StepInput]


class _UnsoundError(Exception):
    """A covariance was lost; `Ekf.step` has the rules for that."""


def replay_many(model: Model, network: Network, lives: Sequence[Life]) -> list[Array | None]:
    """Of every life (4, K): first readout, its standard deviation, NIS and number of observations used.

    None where the life has to go step by step.
    """
    left: list[Array | None] = [None] * len(lives)
    sound = [i for i, life in enumerate(lives) if all(map(is_acceptable, life))]
    if model.filter != "ekf" or len(model.priors) > 1 or not sound:
        return left
    try:
        found = _replay(model, network, [lives[i] for i in sound])
    except _UnsoundError:
        return left
    for i, one in zip(sound, found, strict=True):
        left[i] = None if _has_outlier(model, one) else one
    return left


def _replay(model: Model, network: Network, lives: Sequence[Life]) -> list[Array]:
    batch, lengths = _Batch(model, network, len(lives)), np.array([len(life) for life in lives])
    found = np.full((len(lives), 4, lengths.max()), np.nan)
    for k in range(lengths.max()):
        there = np.flatnonzero(lengths > k)
        found[there, :, k] = batch.step(there, [lives[int(i)][k] for i in there]).T
    return [one[:, :length] for one, length in zip(found, lengths, strict=True)]


def _has_outlier(model: Model, one: Array) -> bool:
    """Whether the gate could have a say: it has none before a spectrum exceeds its limit."""
    if model.gate is None:
        return False
    probability = model.gate.probability
    return any(nis > nis_limit(probability, int(n)) for nis, n in one[2:].T)


class _Batch:
    """States of all cells between their spectra: x (B, n), P (B, n, n), cycles (B,)."""

    def __init__(self, model: Model, network: Network, cells: int) -> None:
        self._model, self._ekf, self._mode_map = model, Ekf(model, network), ModeMap(model)
        self._x = np.repeat(self._ekf.x, cells, axis=0)
        self._P = np.repeat(self._ekf.P, cells, axis=0)
        self._cycles = np.zeros(cells)

    def step(self, there: NDArray[np.intp], steps: Sequence[StepInput]) -> Array:
        """Apply one spectrum to each of the cells `there`; (4, B) in `replay_many`'s order."""
        elapsed, voltage_V, temperature_degC = np.array(
            [(step.elapsed_cycles, step.voltage_V, step.temperature_degC) for step in steps]
        ).T
        seen = observations(np.array([step.z_ohm for step in steps]), np.array([step.valid for step in steps]))
        predicted = self._ekf.predict(self._x[there], self._P[there], elapsed)
        cycles = self._cycles[there] + elapsed
        line = self._ekf.expect(*predicted, cycles, voltage_V, temperature_degC, seen)
        usable = seen.usable & line.exists
        x, P, nis = update_many(*predicted, seen.z, usable, line)
        self._x[there], self._P[there], self._cycles[there] = x, P, cycles
        return np.array([*self._first_readout(x, P, cycles), nis, usable.sum(axis=1)])

    def _first_readout(self, x: Array, P: Array, cycles: Array) -> tuple[Array, Array]:
        scalar = self._model.readouts[0]
        mean, phi = self._mode_map.at(cycles)
        names = [mode.name for mode in self._model.modes]
        value, by_mode = readout.evaluate(scalar, names, mean + (phi @ x[..., None])[..., 0])
        by_state = (by_mode[..., None, :] @ phi)[..., 0, :]
        return value, np.sqrt(scalar.residual_std**2 + np.einsum("bi,bij,bj->b", by_state, P, by_state))


def update_many(
    x: Array, P: Array, z: Array, usable: NDArray[np.bool_], line: Linearisation
) -> tuple[Array, Array, Array]:
    """`ekf.update` for every cell: x (B, n), P (B, n, n), NIS (B,).

    An observation that is not used has no gradient, no innovation and an error of its own: it changes nothing.
    """
    H = np.where(usable[..., None], line.H, 0.0)
    nu = np.where(usable, z - line.h, 0.0)
    both = usable[..., :, None] & usable[..., None, :]
    PHt = P @ np.swapaxes(H, -1, -2)
    S = H @ PHt + np.where(both, line.R, np.eye(usable.shape[-1]))
    try:
        np.linalg.cholesky(S)
        gain = np.linalg.solve(S, np.concatenate([np.swapaxes(PHt, -1, -2), nu[..., None]], axis=-1))
    except np.linalg.LinAlgError:
        raise _UnsoundError from None
    x = x + (PHt @ gain[..., -1:])[..., 0]
    P = P - PHt @ gain[..., :-1]
    P = (P + np.swapaxes(P, -1, -2)) / 2
    if not (np.isfinite(x).all() and np.isfinite(P).all() and (np.diagonal(P, axis1=-2, axis2=-1) > 0).all()):
        raise _UnsoundError
    return x, P, np.asarray(np.einsum("bi,bi->b", nu, gain[..., -1]))
