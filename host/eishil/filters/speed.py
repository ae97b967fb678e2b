"""Cells whose speed of ageing changes once in their life, made of lives that are there.

A cell that ages f times as fast is after C cycles where it would have been after f C: its spectra and modes are known,
only the cycles counted at them are others. Nothing is simulated or interpolated but modes along a path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eishil.filters.population import AgeingPath, at_cycles
from eishil.filters.replay import MeasuredCell

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SpeedChange:
    """After so many cycles a cell ages `factor` times as fast as before."""

    after_cycles: float
    factor: float

    def age(self, cycles: Array) -> Array:
        """Cycles after which the unchanged cell is as old as the changed one after `cycles`."""
        return np.minimum(cycles, self.after_cycles) + self.factor * np.maximum(cycles - self.after_cycles, 0.0)

    def cycles(self, age: Array) -> Array:
        """The inverse of `age`."""
        return np.minimum(age, self.after_cycles) + np.maximum(age - self.after_cycles, 0.0) / self.factor


def draw(life_cycles: float, speed: tuple[float, float], rng: np.random.Generator) -> SpeedChange:
    """A change at any moment of a life, by a factor drawn evenly from `speed`."""
    return SpeedChange(float(rng.uniform(0.0, life_cycles)), float(rng.uniform(*speed)))


def changed_paths(
    paths: Sequence[AgeingPath], speed: tuple[float, float], rng: np.random.Generator
) -> list[AgeingPath]:
    """Every path with a change of its own. What a faster one does after its end is not known: it goes straight on."""
    changes = [draw(path.cycles[-1], speed, rng) for path in paths]
    return [
        AgeingPath(path.cycles, at_cycles(path, change.age(path.cycles)))
        for path, change in zip(paths, changes, strict=True)
    ]


def changed_cells(
    cells: Sequence[MeasuredCell], speed: tuple[float, float], rng: np.random.Generator
) -> list[MeasuredCell]:
    """Every cell with a change of its own: the same spectra after other cycles. What comes too late is left out."""
    return [_changed(cell, draw(_cycles(cell)[-1], speed, rng)) for cell in cells if cell.steps]


def _changed(cell: MeasuredCell, change: SpeedChange) -> MeasuredCell:
    before = _cycles(cell)
    cycles = change.cycles(before)
    cycles = cycles[cycles <= before[-1]]
    steps = tuple(
        replace(step, elapsed_cycles=float(elapsed))
        for step, elapsed in zip(cell.steps, np.diff(cycles, prepend=0.0), strict=False)
    )
    return replace(cell, steps=steps, samples=cell.samples.iloc[: len(cycles)].assign(cycles=cycles))


def _cycles(cell: MeasuredCell) -> Array:
    return np.asarray(cell.samples["cycles"], np.float64)
