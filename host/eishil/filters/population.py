"""Process models from the ageing of a population: a random walk in the modes, or latent trajectories."""

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


@dataclass(frozen=True)
class AgeingPath:
    """Modes (K, n_modes) of one cell after `cycles` (K,) equivalent full cycles, rising from 0."""

    cycles: Array
    modes: Array


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


def latent_trajectories(
    paths: Sequence[AgeingPath], modes: Sequence[Mode], n_latents: int, n_nodes: int, std_scale: float
) -> ProcessModel:
    """Expand the paths in `n_latents` constants a (Karhunen-Loeve): modes = mean(C) + Phi(C) a.

    The latents have unit variance in the population; `std_scale` widens them, because the next cell need not be one of
    those that the expansion was made from. A path that ends early keeps its last slope up to the last node.
    """
    nodes = np.linspace(0.0, max(path.cycles[-1] for path in paths), n_nodes)
    curves = np.array([_at_nodes(path, nodes) for path in paths])
    mean = curves.mean(axis=0)
    width = curves.std(axis=(0, 1))
    width[width == 0] = 1.0
    scaled = ((curves - mean) / width).reshape(len(paths), -1)
    _, singular, directions = np.linalg.svd(scaled, full_matrices=False)
    n_latents = min(n_latents, len(paths) - 1)
    phi = (singular[:n_latents, None] / np.sqrt(len(paths) - 1)) * directions[:n_latents]
    phi = phi.reshape(n_latents, n_nodes, len(modes)) * width
    trajectory = Trajectory(cycle_spacing=float(nodes[1]), mean=mean.tolist(), phi=phi.transpose(1, 2, 0).tolist())
    states = [
        State(name=f"latent_{i}", unit="1", drift_per_cycle=0.0, process_variance_per_cycle=0.0)
        for i in range(n_latents)
    ]
    covariance = std_scale**2 * np.eye(n_latents)
    return ProcessModel(states, trajectory, [Prior(weight=1.0, mean=[0.0] * n_latents, covariance=covariance.tolist())])


def _at_nodes(path: AgeingPath, nodes: Array) -> Array:
    """Modes (n_nodes, n_modes), continued beyond the path's end with its last slope."""
    inside = np.array([np.interp(nodes, path.cycles, column) for column in path.modes.T]).T
    slope = (path.modes[-1] - path.modes[-2]) / (path.cycles[-1] - path.cycles[-2])
    return np.asarray(inside + np.maximum(nodes - path.cycles[-1], 0.0)[:, None] * slope)
