"""Impedances that satisfy the Kramers-Kronig relations by construction: weights of a fixed basis of relaxations.

    Z(w) = R_0 + sum_k R_k / (1 + j w tau_k) + S w_min / (j w),      R_0, R_k, S >= 0

Re and Im come from the same weights, so that they cannot contradict each other, and no weight is negative: Re falls
with frequency and -Im is positive. This is the distribution of relaxation times on a grid (Boukamp, Fourier transform
distribution function of relaxation times, Electrochimica Acta 154, 2015); S is what a cell's capacity leaves at the
lowest frequency.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Array = NDArray[np.float64]

# Arcs of charge transfer are nearly single relaxations whose time moves with the state: the grid is close there.
ARCS_S = (1e-4, 3.0)
PER_DECADE_OF_ARCS, PER_DECADE_ELSEWHERE = 12, 4
# How far relaxations reach beyond the frequencies that are seen: 1 / (w tau) is 1 % of what it is at w tau = 1.
REACH = 100.0
SPREAD, LEAST_OF_MEAN = 0.01, 0.05


@dataclass(frozen=True)
class RelaxationBasis:
    """The impedances of unit weights.

    Parameters
    ----------
    tau_s
        Relaxation times, (K,).
    reference_Hz
        Where the capacitor has the reactance S.
    """

    tau_s: Array
    reference_Hz: float

    @classmethod
    def of(cls, frequency_Hz: Array) -> RelaxationBasis:
        """Relaxation times that reach beyond all of frequency_Hz (F,)."""
        omega = 2 * np.pi * np.asarray(frequency_Hz)
        ends = np.log10([1 / (omega.max() * REACH), ARCS_S[0], ARCS_S[1], REACH / omega.min()])
        parts = [
            np.linspace(low, high, max(1, round((high - low) * per_decade)), endpoint=False)
            for low, high, per_decade in (
                (ends[0], ends[1], PER_DECADE_ELSEWHERE),
                (ends[1], ends[2], PER_DECADE_OF_ARCS),
                (ends[2], ends[3], PER_DECADE_ELSEWHERE),
            )
            if high > low
        ]
        return cls(10 ** np.concatenate([*parts, ends[-1:]]), float(np.min(frequency_Hz)))

    @property
    def n_weights(self) -> int:
        return len(self.tau_s) + 2

    def matrix(self, frequency_Hz: Array) -> Array:
        """Re Z at all frequencies, then -Im Z, of R_0, every R_k and S: (2 F, n_weights)."""
        frequency_Hz = np.asarray(frequency_Hz)
        relaxations = 1 / (1 + 2j * np.pi * frequency_Hz[:, None] * self.tau_s)
        capacitor = -1j * self.reference_Hz / frequency_Hz
        z = np.column_stack([np.ones(len(frequency_Hz)), relaxations, capacitor])
        return np.concatenate([z.real, -z.imag])

    def closest(self, ln_ohm: Array, frequency_Hz: Array) -> Array:
        """The best that any weights can do: fits to ln Z (S, 2 F) by non-negative least squares of relative errors."""
        matrix = self.matrix(frequency_Hz)
        ones = np.ones(len(matrix))
        return np.array([np.log(matrix @ nnls(matrix / np.exp(row)[:, None], ones)[0]) for row in ln_ohm])

    def spread_weights(self, ln_ohm: Array, frequency_Hz: Array) -> Array:
        """Weights (n_weights,) of one spectrum (2 F,), none of them zero: their squares are kept small as well."""
        matrix = self.matrix(frequency_Hz) / np.exp(ln_ohm)[:, None]
        size_ohm = np.exp(ln_ohm[: len(frequency_Hz)]).mean() / self.n_weights
        penalty = SPREAD / size_ohm * np.eye(self.n_weights)
        weights, _ = nnls(np.vstack([matrix, penalty]), np.r_[np.ones(len(matrix)), np.zeros(self.n_weights)])
        return np.asarray(np.maximum(weights, LEAST_OF_MEAN * size_ohm))
