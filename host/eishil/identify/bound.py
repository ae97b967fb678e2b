"""The posterior Cramér-Rao bound along a life: how near any estimator can get to the modes and to SOH, linearised.

A life is K states of the modes, stacked. A population gives them a mean and a covariance, factorised as
modes_k = mean_k + L_k a with a ~ N(0, I). Spectra 1..k with information I_j each leave

    Lambda_k = I + sum_(j <= k) L_j^T I_j L_j,   P_k = L_k Lambda_k^-1 L_k^T,   var SOH_k = g_k^T P_k g_k

(Van Trees, Bell, Tian: Detection, Estimation, and Modulation Theory I, 2013, section 4.3; Tichavsky et al., IEEE Trans.
Signal Process. 46, 1998, 1386). Everything is linearised at the true states of one trajectory, and the bounds of the
trajectories are averaged: information that is averaged first gives too low a figure (Jensen). A Gaussian prior stands
for the population's moments; where the population is not Gaussian this is what the best linear estimator reaches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEAST_VARIANCE = 1e-12  # of the largest, among the directions in which lives differ


@dataclass(frozen=True)
class LifePrior:
    """How lives differ: modes (K, p) = mean (K, p) + factor (K, p, r) @ a, a standard normal."""

    mean: Floats
    factor: Floats

    @classmethod
    def of_population(cls, lives: Floats) -> LifePrior:
        """First two moments of N lives (N, K, p)."""
        mean = lives.mean(axis=0)
        flat = (lives - mean).reshape(len(lives), -1)
        return cls.of_moments(mean, flat.T @ flat / (len(lives) - 1))

    @classmethod
    def of_random_walk(cls, lives: Floats, cycles: Floats) -> LifePrior:
        """A walk, mode by mode, that starts and ends as wide as N lives (N, K, p) after `cycles` (K,)."""
        steps, p = lives.shape[1:]
        fresh, gained = lives[:, 0].var(axis=0), (lives[:, -1] - lives[:, 0]).var(axis=0)
        since = (cycles - cycles[0]) / (cycles[-1] - cycles[0])
        covariance = np.zeros((steps, p, steps, p))
        for mode in range(p):
            covariance[:, mode, :, mode] = fresh[mode] + gained[mode] * np.minimum.outer(since, since)
        return cls.of_moments(lives.mean(axis=0), covariance.reshape(steps * p, steps * p))

    @classmethod
    def of_moments(cls, mean: Floats, covariance: Floats) -> LifePrior:
        """Mean (K, p) and covariance (K p, K p) of the stacked steps."""
        return cls(mean, _factor(covariance).reshape(*mean.shape, -1))

    def leading(self, directions: int) -> LifePrior:
        """With the directions of the largest scaled variance only: faster, and a little too confident."""
        return LifePrior(self.mean, self.factor[..., -directions:])

    def covariance(self) -> Floats:
        """(K, p, p) of the modes at each step, before any spectrum."""
        return np.asarray(self.factor @ np.swapaxes(self.factor, 1, 2))


def posterior(prior: LifePrior, information: Floats, at: slice = slice(None)) -> Floats:
    """Covariance (K, p, p) of the modes after the spectra up to each step.

    Parameters
    ----------
    information
        (K, p, p), of the spectrum at each step on the modes there; zeros where there is none.
    at
        The steps whose covariance is wanted; the spectra of all of them count.
    """
    gathered = (np.swapaxes(prior.factor, 1, 2) @ information @ prior.factor).cumsum(axis=0)[at]
    factor = prior.factor[at]
    precision = np.eye(factor.shape[-1]) + gathered
    return np.asarray(factor @ np.linalg.solve(precision, np.swapaxes(factor, 1, 2)))


def readout_std(covariance: Floats, gradient: Floats) -> Floats:
    """Standard deviation (...,) of a scalar of the modes with `gradient` (..., p)."""
    return np.asarray(np.sqrt(np.einsum("...p,...pq,...q->...", gradient, covariance, gradient)))


def correlation(covariances: Floats) -> Floats:
    """Correlation (p, p) of the mean of covariances (..., p, p)."""
    mean = covariances.reshape(-1, *covariances.shape[-2:]).mean(axis=0)
    width = np.sqrt(np.diag(mean))
    return np.asarray(mean / np.outer(width, width))


def _factor(covariance: Floats) -> Floats:
    """L (n, r) with L L^T = covariance, without the directions in which nothing varies.

    The coordinates are scaled to unit variance first: their units differ by orders of magnitude.
    """
    width = np.sqrt(np.diag(covariance))
    width = np.where(width > 0, width, 1.0)
    values, vectors = np.linalg.eigh(covariance / np.outer(width, width))
    kept = values > LEAST_VARIANCE * values[-1]
    return np.asarray(width[:, None] * vectors[:, kept] * np.sqrt(values[kept]))
