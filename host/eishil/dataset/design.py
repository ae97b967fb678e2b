"""Design of experiments: which cells there are, how each of them ages, and where it is measured.

Every trajectory has its own random stream, spawned from the recipe's seed by split and number: a cell stays the same
when a population grows, and no result depends on how work is shared out. The design is made block by block: nobody
needs all of it at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import qmc

from eishil.dataset.ageing_recipe import AgeingRecipe
from eishil.dataset.recipe import PopulationRecipe, Recipe
from eishil.dataset.spread import with_spread
from eishil.dataset.streams import generator

Floats = NDArray[np.float64]
SPLITS = ("train", "validation", "test")
MODES = ("lli", "lam_ne", "lam_pe", "sei_thickness_nm", "contact_resistance_mOhm")
LOGARITHMIC = ("sei_thickness_nm",)


@dataclass(frozen=True)
class Block:
    """Cells `first` to `stop` - 1 of one population of one split.

    A population is "trajectory", "snapshot" or "simulated". Each cell has `steps` samples; a simulated one that wears
    out early has fewer.
    """

    split: str
    population: str
    first: int
    stop: int
    steps: int

    def __len__(self) -> int:
        return (self.stop - self.first) * self.steps


def blocks(recipe: Recipe, samples: int) -> list[Block]:
    """The whole design in its order, in blocks of whole cells with about so many samples each.

    A simulated cell takes minutes: it is a block of its own.
    """
    made, steps_of_life = [], recipe.ageing.steps if recipe.ageing else 1
    for split in SPLITS:
        of_split: PopulationRecipe = getattr(recipe.population, split)
        for population, cells, steps, size in (
            ("trajectory", of_split.trajectories, steps_of_life, max(1, samples // steps_of_life)),
            ("snapshot", of_split.snapshots, 1, samples),
            ("simulated", of_split.simulated or 0, recipe.simulation.spectra() if recipe.simulation else 1, 1),
        ):
            made += [Block(split, population, k, min(k + size, cells), steps) for k in range(0, cells, size)]
    return made


def rows(recipe: Recipe, block: Block) -> pd.DataFrame:
    """One row per sample of a block of trajectories or snapshots; no labels yet.

    Identity, cycles, operating point, modes, spread.
    """
    population: PopulationRecipe = getattr(recipe.population, block.split)
    if block.population == "snapshot":
        made = _snapshots(recipe, block, population)
    else:
        cells = range(block.first, block.stop)
        made = pd.concat([_trajectory(recipe, block.split, population, i) for i in cells], ignore_index=True)
    return with_spread(recipe, made, block.first)


def design(recipe: Recipe) -> pd.DataFrame:
    """All rows of trajectories and snapshots."""
    parts = [rows(recipe, block) for block in blocks(recipe, samples=1000) if block.population != "simulated"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _trajectory(recipe: Recipe, split: str, population: PopulationRecipe, number: int) -> pd.DataFrame:
    rng = generator(recipe.seed_of(split), split, "trajectory", number)
    ageing = recipe.ageing_paths()
    steps = ageing.steps
    cell = f"{split}-t{number:05d}"
    modes = ageing_path(ageing, rng) | _further_path(recipe, split, number)
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
    speed = rng.uniform(*ageing.speed)
    return {name: _path(ageing, name, speed, rng) for name in MODES}


def _further_path(recipe: Recipe, split: str, number: int) -> dict[str, Floats]:
    """Modes (steps,) that not every recipe has, from streams of their own: the others stay as they are without."""
    ageing, place = recipe.ageing_paths(), (recipe.seed_of(split), split, "trajectory", number)
    speed = generator(*place).uniform(*ageing.speed)  # the one with which `ageing_path` begins
    return {name: _path(ageing, name, speed, generator(*place, name)) for name in ageing.further_modes()}


def _path(ageing: AgeingRecipe, name: str, speed: float, rng: np.random.Generator) -> Floats:
    u, mode = np.linspace(0.0, 1.0, ageing.steps), getattr(ageing, name)
    progress = (speed * u) ** rng.uniform(*mode.exponent) + _knee(ageing, u, rng)
    start, end = _between(mode.start, rng.random(), name), _between(mode.end, rng.random(), name)
    if name in LOGARITHMIC:
        return np.asarray(start * (end / start) ** progress)
    return np.asarray(start + (end - start) * progress)


def _knee(ageing: AgeingRecipe, u: Floats, rng: np.random.Generator) -> Floats:
    happens = rng.random() < ageing.knee_probability
    onset, gain = rng.uniform(*ageing.knee_onset), rng.uniform(*ageing.knee_gain)
    return happens * gain * (np.maximum(u - onset, 0.0) / max(1.0 - onset, 1e-9)) ** 2


def _between(interval: tuple[float, float], share: Any, name: str) -> Any:
    low, high = interval
    return low * (high / low) ** share if name in LOGARITHMIC else low + (high - low) * share


def _snapshots(recipe: Recipe, block: Block, population: PopulationRecipe) -> pd.DataFrame:
    """Cells that are measured once and fill the box of modes, SOC and temperature evenly (a Halton sequence)."""
    names = (*MODES, "soc", "temperature_degC", *recipe.ageing_paths().further_modes())  # new ones at the end
    sequence = qmc.Halton(len(names), rng=generator(recipe.seed_of(block.split), block.split, "snapshot"))
    if block.first:
        sequence.fast_forward(block.first)
    count = block.stop - block.first
    share = dict(zip(names, sequence.random(count).T, strict=True))
    return _frame(
        cell=np.array([f"{block.split}-s{number:06d}" for number in range(block.first, block.stop)]),
        split=block.split,
        population="snapshot",
        step=np.zeros(count, np.int64),
        cycles=np.full(count, np.nan),
        soc=_between(population.soc, share["soc"], "soc"),
        temperature_degC=_between(population.temperature_degC, share["temperature_degC"], "temperature_degC"),
        modes={name: _between(mode.box, share[name], name) for name, mode in recipe.ageing_paths().modes().items()},
    )


def _frame(*, cell: Any, step: Any, modes: dict[str, Floats], **columns: Any) -> pd.DataFrame:
    identity = {"sample_id": [f"{c}-{s:02d}" for c, s in zip(cell, step, strict=True)], "cell_id": cell}
    return pd.DataFrame(identity | {"step": step} | columns | modes)
