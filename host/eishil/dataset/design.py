"""Design of experiments: which cells there are, how each of them ages, and where it is measured.

Every trajectory has its own random stream, spawned from the recipe's seed by split and number: a cell stays the same
when a population grows, and no result depends on how work is shared out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import qmc

from eishil.dataset.recipe import AgeingRecipe, PopulationRecipe, Recipe
from eishil.dataset.spread import with_spread
from eishil.dataset.streams import generator

Floats = NDArray[np.float64]
SPLITS = ("train", "validation", "test")
MODES = ("lli", "lam_ne", "lam_pe", "sei_thickness_nm", "contact_resistance_mOhm")
LOGARITHMIC = ("sei_thickness_nm",)


def design(recipe: Recipe) -> pd.DataFrame:
    """One row per sample: identity, cycles, operating point and modes; no labels yet."""
    parts = []
    for split in SPLITS:
        population: PopulationRecipe = getattr(recipe.population, split)
        parts += [_trajectory(recipe, split, population, i) for i in range(population.trajectories)]
        if population.snapshots:
            parts.append(_snapshots(recipe, split, population))
    return with_spread(recipe, pd.concat(parts, ignore_index=True)) if parts else pd.DataFrame()


def _trajectory(recipe: Recipe, split: str, population: PopulationRecipe, number: int) -> pd.DataFrame:
    rng = generator(recipe.seed, split, "trajectory", number)
    ageing = recipe.ageing_paths()
    steps = ageing.steps
    cell = f"{split}-t{number:05d}"
    modes = ageing_path(ageing, rng)
    return _frame(
        cell=np.full(steps, cell),
        split=split,
        population="trajectory",
        step=np.arange(steps),
        cycles=np.arange(steps) * ageing.cycles_per_step,
        soc=rng.uniform(*population.soc, steps),
        temperature_degC=rng.uniform(*population.temperature_degC, steps),
        modes=modes,
    )


def ageing_path(ageing: AgeingRecipe, rng: np.random.Generator) -> dict[str, Floats]:
    """Modes (steps,) of one cell; the equations are in `AgeingRecipe`."""
    u = np.linspace(0.0, 1.0, ageing.steps)
    speed = rng.uniform(*ageing.speed)
    path = {}
    for name in MODES:
        mode = getattr(ageing, name)
        progress = (speed * u) ** rng.uniform(*mode.exponent) + _knee(ageing, u, rng)
        start, end = _between(mode.start, rng.random(), name), _between(mode.end, rng.random(), name)
        path[name] = start * (end / start) ** progress if name in LOGARITHMIC else start + (end - start) * progress
    return path


def _knee(ageing: AgeingRecipe, u: Floats, rng: np.random.Generator) -> Floats:
    happens = rng.random() < ageing.knee_probability
    onset, gain = rng.uniform(*ageing.knee_onset), rng.uniform(*ageing.knee_gain)
    return happens * gain * (np.maximum(u - onset, 0.0) / max(1.0 - onset, 1e-9)) ** 2


def _between(interval: tuple[float, float], share: Any, name: str) -> Any:
    low, high = interval
    return low * (high / low) ** share if name in LOGARITHMIC else low + (high - low) * share


def _snapshots(recipe: Recipe, split: str, population: PopulationRecipe) -> pd.DataFrame:
    """Cells that are measured once and fill the box of modes, SOC and temperature evenly (a Halton sequence)."""
    rng = generator(recipe.seed, split, "snapshot")
    share = qmc.Halton(len(MODES) + 2, rng=rng).random(population.snapshots)
    cells = np.array([f"{split}-s{number:06d}" for number in range(population.snapshots)])
    return _frame(
        cell=cells,
        split=split,
        population="snapshot",
        step=np.zeros(population.snapshots, np.int64),
        cycles=np.full(population.snapshots, np.nan),
        soc=_between(population.soc, share[:, -2], "soc"),
        temperature_degC=_between(population.temperature_degC, share[:, -1], "temperature_degC"),
        modes={
            name: _between(getattr(recipe.ageing_paths(), name).box, share[:, k], name) for k, name in enumerate(MODES)
        },
    )


def _frame(*, cell: Any, step: Any, modes: dict[str, Floats], **columns: Any) -> pd.DataFrame:
    identity = {"sample_id": [f"{c}-{s:02d}" for c, s in zip(cell, step, strict=True)], "cell_id": cell}
    return pd.DataFrame(identity | {"step": step} | columns | modes)
