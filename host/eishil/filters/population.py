"""Process models from the ageing of a population: a random walk in the modes, or trajectories of latent constants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eishil.model import Mode, Prior, State, Trajectory

Array = NDArray[np.float64]

# A population of simulated cells may start from one and the same state; the filter still needs a prior with a width.
LEAST_FRESH_STD_OF_RANGE = 1e-3
LEAST_FRESH_STD = 1e-6  # of a mode that does not age at all
LEAST_VARIANCE = 1e-12  # of a direction of lives, of the widest one's


@dataclass(frozen=True)
class AgeingPath:
    """Modes (K, n_modes) of one cell after `cycles` (K,) equivalent full cycles, rising from 0."""

    cycles: Array
    modes: Array


@dataclass(frozen=True)
class LifeMoments:
    """Modes along lives: nodes `cycles` (N,) from 0 on, evenly spaced; `mean` (N, p); `covariance` (N p, N p)."""

    cycles: Array
    mean: Array
    covariance: Array


@dataclass(frozen=True)
class ProcessModel:
    """The part of a model that says how cells age; see `eishil.model`."""

    states: list[State]
    trajectory: Trajectory | None
    priors: list[Prior]


def random_walk(paths: Sequence[AgeingPath], modes: Sequence[Mode], std_scale: float) -> ProcessModel:
    """States are the modes, with the population's mean slope as drift.

    A walk of variance q per cycle is as wide as the population when q C = variance at the end of life C. Real paths are
    smooth and no walks, which no q describes at all times: `std_scale` multiplies sqrt(q) and is chosen on validation.
    """
    fresh = np.array([path.modes[0] for path in paths])
    gained = np.array([path.modes[-1] - path.modes[0] for path in paths])
    lasted = np.array([path.cycles[-1] - path.cycles[0] for path in paths])
    drift = gained.sum(axis=0) / lasted.sum()
    q = std_scale**2 * np.mean((gained - np.outer(lasted, drift)) ** 2, axis=0) / lasted.mean()
    states = [
        State(name=mode.name, unit=mode.unit, drift_per_cycle=float(d), process_variance_per_cycle=float(v))
        for mode, d, v in zip(modes, drift, q, strict=True)
    ]
    least = LEAST_FRESH_STD_OF_RANGE * np.array([mode.maximum - mode.minimum for mode in modes])
    covariance = np.diag(np.maximum(fresh.std(axis=0), np.maximum(least, LEAST_FRESH_STD)) ** 2)
    prior = Prior(weight=1.0, mean=fresh.mean(axis=0).tolist(), covariance=covariance.tolist())
    return ProcessModel(states, None, [prior])


def empirical_moments(paths: Sequence[AgeingPath], n_nodes: int) -> LifeMoments:
    """Mean and covariance of the paths themselves. A path that ends early goes on with its last slope."""
    nodes = np.linspace(0.0, max(path.cycles[-1] for path in paths), n_nodes)
    curves = np.array([at_cycles(path, nodes) for path in paths])
    deviation = (curves - curves.mean(axis=0)).reshape(len(paths), -1)
    return LifeMoments(nodes, curves.mean(axis=0), deviation.T @ deviation / (len(paths) - 1))


def level_and_velocity_moments(paths: Sequence[AgeingPath], n_nodes: int) -> LifeMoments:
    """Moments of paths whose velocity is a random walk, mode by mode: c = c_0 + v C + an integrated Wiener process.

    Its three variances are the population's: that of fresh cells, that of mean slopes, and a walk that changes a
    velocity within a life by as much as velocities differ. Integrated Wiener process: Rasmussen and Williams, Gaussian
    Processes for Machine Learning, 2006, 6.3.1.
    """
    empirical = empirical_moments(paths, n_nodes)
    C = empirical.cycles
    life, n_modes = C[-1], empirical.mean.shape[1]
    slope = np.array([(path.modes[-1] - path.modes[0]) / (path.cycles[-1] - path.cycles[0]) for path in paths])
    fresh = np.array([path.modes[0] for path in paths])
    less, more = np.minimum.outer(C, C), np.maximum.outer(C, C)
    wiener = less**2 * (3 * more - less) / (6 * life)
    covariance = np.zeros((n_nodes, n_modes, n_nodes, n_modes))
    for p in range(n_modes):
        covariance[:, p, :, p] = fresh[:, p].var() + slope[:, p].var() * (np.outer(C, C) + wiener)
    return LifeMoments(C, empirical.mean, covariance.reshape(n_nodes * n_modes, -1))


def latent_trajectories(
    moments: LifeMoments, worth: Array, n_latents: int, std_scale: float, walk_std: float = 0.0
) -> ProcessModel:
    """Expand lives in `n_latents` constants a (Karhunen-Loeve): modes = mean(C) + Phi(C) a.

    Parameters
    ----------
    worth
        (n_modes, n_modes), positive definite: a deviation d of the modes weighs d^T worth d in what is kept.
    std_scale
        The latents have unit variance in the population; this widens them, because the next cell need not be one of
        those that the expansion was made from.
    walk_std
        How far, in the population's standard deviations, a latent may wander over a life: stands for what the expansion
        leaves out and for lives unlike those of the population.
    """
    n_nodes, n_modes = moments.mean.shape
    root = np.linalg.cholesky(worth)
    weigh = np.kron(np.eye(n_nodes), root)
    variance, directions = np.linalg.eigh(weigh.T @ moments.covariance @ weigh)
    n_latents = min(n_latents, int(np.sum(variance > LEAST_VARIANCE * variance[-1])))
    kept = np.arange(len(variance))[: -n_latents - 1 : -1]
    scaled = (directions[:, kept] * np.sqrt(variance[kept])).reshape(n_nodes, n_modes, n_latents)
    phi = np.linalg.solve(root.T, scaled)
    spacing, life = float(moments.cycles[1]), float(moments.cycles[-1])
    trajectory = Trajectory(cycle_spacing=spacing, mean=moments.mean.tolist(), phi=phi.tolist())
    walk = walk_std**2 / life
    states = [
        State(name=f"latent_{i}", unit="1", drift_per_cycle=0.0, process_variance_per_cycle=walk)
        for i in range(n_latents)
    ]
    covariance = std_scale**2 * np.eye(n_latents)
    return ProcessModel(states, trajectory, [Prior(weight=1.0, mean=[0.0] * n_latents, covariance=covariance.tolist())])


def at_cycles(path: AgeingPath, cycles: Array) -> Array:
    """Modes (len(cycles), n_modes), continued beyond the path's end with its last slope."""
    inside = np.array([np.interp(cycles, path.cycles, column) for column in path.modes.T]).T
    slope = (path.modes[-1] - path.modes[-2]) / (path.cycles[-1] - path.cycles[-2])
    return np.asarray(inside + np.maximum(cycles - path.cycles[-1], 0.0)[:, None] * slope)
