"""Lives whose speed of ageing changes: the same life on another clock."""

from __future__ import annotations

import numpy as np
import pandas as pd

from eishil.filters.population import AgeingPath, at_cycles
from eishil.filters.replay import MeasuredCell
from eishil.filters.speed import SpeedChange, changed_cells, changed_paths
from eishil.filters.step import StepInput

CYCLES = np.linspace(0.0, 100.0, 201)


def life(cycles: np.ndarray) -> np.ndarray:
    return np.column_stack([np.sqrt(cycles), cycles**2])


def measured(cycles: np.ndarray) -> MeasuredCell:
    """A cell whose voltages are the numbers of its spectra."""
    elapsed = np.diff(cycles, prepend=0.0)
    steps = [StepInput(c, float(k), 25.0, np.ones(1) - 1j, np.ones(1, bool)) for k, c in enumerate(elapsed)]
    return MeasuredCell("cell", tuple(steps), pd.DataFrame({"cycles": cycles, "soh": 1 - cycles / 1000}), 0)


def test_a_cell_that_ages_twice_as_fast_is_as_old_after_half_the_cycles() -> None:
    change = SpeedChange(after_cycles=40.0, factor=2.0)
    np.testing.assert_allclose(change.age(np.array([0.0, 30.0, 50.0, 70.0])), [0.0, 30.0, 60.0, 100.0])
    np.testing.assert_allclose(change.cycles(np.array([0.0, 30.0, 60.0, 100.0])), [0.0, 30.0, 50.0, 70.0])


def test_paths_follow_the_life_on_the_changed_clock_and_go_straight_on_after_its_end() -> None:
    """One factor for all, so that only the moments differ; each is found again from where the path leaves the life."""
    path = AgeingPath(CYCLES, life(CYCLES))
    for one in changed_paths([path] * 8, (0.5, 0.5), np.random.default_rng(0)):
        age = np.sqrt(one.modes[:, 1])
        after = 2 * age[-1] - 100.0  # age = after + (100 - after) / 2
        assert 0 < after < 100
        np.testing.assert_allclose(age, np.minimum(CYCLES, after) + np.maximum(CYCLES - after, 0) / 2, atol=0.02)
    (fast,) = changed_paths([path], (3.0, 3.0), np.random.default_rng(0))
    np.testing.assert_allclose(np.diff(fast.modes[-3:], axis=0), 3 * np.diff(path.modes[-2:], axis=0).repeat(2, 0))


def test_changed_cells_have_the_same_spectra_and_labels_after_the_cycles_of_the_changed_life() -> None:
    cycles = np.arange(0.0, 101.0, 10.0)
    for speed in ((0.4, 0.4), (1.6, 1.6), (0.4, 1.6)):
        (cell,) = changed_cells([measured(cycles)], speed, np.random.default_rng(3))
        (path,) = changed_paths([AgeingPath(CYCLES, life(CYCLES))], speed, np.random.default_rng(3))
        n = len(cell.steps)
        now = np.cumsum([step.elapsed_cycles for step in cell.steps])
        np.testing.assert_allclose(now, cell.samples["cycles"])
        assert now[-1] <= 100.0 and n == len(cell.samples)
        np.testing.assert_array_equal([step.voltage_V for step in cell.steps], np.arange(n))
        np.testing.assert_allclose(cell.soh, 1 - cycles[:n] / 1000)
        np.testing.assert_allclose(at_cycles(path, now)[:, 1], cycles[:n] ** 2, rtol=1e-3, atol=1e-2)
    slow = changed_cells([measured(cycles)], (0.4, 0.4), np.random.default_rng(3))[0]
    assert len(slow.steps) < len(cycles)
