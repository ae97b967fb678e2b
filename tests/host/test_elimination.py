"""The static elimination against dense algebra: any pattern, chains, zero pivots, any processor."""

from __future__ import annotations

import numpy as np
import pytest

from eishil.cell import compiler, static_lu
from eishil.cell.schedule import Pattern, schedule
from eishil.cell.static_lu import StaticSolver, checked_impedance, pivoted_impedance

FREQUENCY_HZ = np.logspace(-2, 3, 11)


def small_system(n: int, rng: np.random.Generator) -> tuple[Pattern, np.ndarray, np.ndarray, np.ndarray]:
    dense = rng.standard_normal((n, n)) * (rng.random((n, n)) < 0.4) - 5 * np.eye(n)
    column, row = np.nonzero(dense.T)
    start = np.concatenate([[0], np.cumsum((dense != 0).sum(axis=0))])
    pattern = Pattern(n, row.astype(np.int32), start.astype(np.int32), (rng.random(n) < 0.7).astype(float), int(n // 2))
    return pattern, dense, dense.T[column, row], rng.standard_normal(n)


@pytest.mark.parametrize("seed", range(5))
def test_static_elimination_equals_dense_algebra(seed: int) -> None:
    pattern, dense, values, voltage = small_system(12, np.random.default_rng(seed))
    omega = 2 * np.pi * FREQUENCY_HZ
    z, error = StaticSolver(schedule(pattern)).impedance(values[None], voltage[None], omega)
    b = -np.eye(pattern.n)[pattern.current]
    for k, w in enumerate(omega):
        x = np.linalg.solve(1j * w * np.diag(pattern.mass) - dense, b)
        assert z[0, k] == pytest.approx(-(voltage @ x) / x[pattern.current], rel=1e-11)
        assert z[0, k] == pytest.approx(pivoted_impedance(pattern, values, voltage, w)[0], rel=1e-11)
    assert error.max() < 1e-14


def test_bits_do_not_depend_on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    pattern, _, values, voltage = small_system(30, np.random.default_rng(1))
    plan, omega = schedule(pattern), 2 * np.pi * FREQUENCY_HZ
    native = StaticSolver(plan).impedance(values[None], voltage[None], omega)
    assert "-march=native" in compiler.FLAGS
    monkeypatch.setattr(compiler, "FLAGS", tuple(flag for flag in compiler.FLAGS if flag != "-march=native"))
    baseline = StaticSolver(plan)
    assert baseline.compiled
    np.testing.assert_array_equal(baseline.impedance(values[None], voltage[None], omega), native)


def test_what_elimination_cannot_solve_is_pivoted_and_what_is_singular_is_nan() -> None:
    # J = [[a, 1, 0], [1, a, 0], [0, 0, 2]]: with a = 0 no elimination along the diagonal exists, in any order.
    row, start = np.array([0, 1, 0, 1, 2], np.int32), np.array([0, 2, 4, 5], np.int32)
    pattern = Pattern(3, row, start, np.zeros(3), current=2)
    plan = schedule(pattern)
    jacobian = np.array([[3.0, 1.0, 1.0, 3.0, 2.0], [0.0, 1.0, 1.0, 0.0, 2.0], [1.0, 1.0, 1.0, 1.0, 2.0]])
    voltage = np.array([[7.0, 8.0, 9.0]] * 3)
    z, error, pivoted = checked_impedance(pattern, StaticSolver(plan), jacobian, voltage, np.array([1.0]))
    np.testing.assert_allclose(z[:, 0], [-9.0, -9.0, np.nan])
    np.testing.assert_array_equal(pivoted, [False, True, True])
    assert error[:2].max() < 1e-15 and np.isnan(error[2, 0])


def pattern_of(dense: np.ndarray, mass: np.ndarray, current: int, observed: np.ndarray | None = None) -> Pattern:
    _, row = np.nonzero(dense.T)
    start = np.concatenate([[0], np.cumsum((dense != 0).sum(axis=0))])
    return Pattern(len(dense), row.astype(np.int32), start.astype(np.int32), mass, current, observed)


def values_of(dense: np.ndarray) -> np.ndarray:
    column, row = np.nonzero(dense.T)
    return dense[row, column]


def cell_like(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """J (26, 26) of six states, of which the last is the current, and four particles of five cells; and the mass.

    The outermost cell of a particle touches the six. Two particles have the same numbers.
    """
    n, cells = 6, 5
    dense = np.zeros((n + 4 * cells, n + 4 * cells))
    dense[:n, :n] = rng.standard_normal((n, n)) - 6 * np.eye(n)
    inside = -np.diag(rng.uniform(2, 3, cells)) + np.diag(rng.random(cells - 1), 1) + np.diag(rng.random(cells - 1), -1)
    for particle in range(4):
        first, last = n + particle * cells, n + (particle + 1) * cells - 1
        dense[first : last + 1, first : last + 1] = inside if particle < 2 else inside * rng.uniform(0.8, 1.2, (5, 5))
        dense[last, particle], dense[particle + 1, last] = rng.standard_normal(2)
    mass = np.ones(len(dense))
    mass[: n // 2] = mass[n - 1] = 0.0
    return dense, mass


def dense_impedance(dense: np.ndarray, mass: np.ndarray, current: int, voltage: np.ndarray) -> np.ndarray:
    b = -np.eye(len(dense))[current]
    x = [np.linalg.solve(2j * np.pi * f * np.diag(mass) - dense, b) for f in FREQUENCY_HZ]
    return np.array([-(voltage @ one) / one[current] for one in x])


@pytest.mark.parametrize("compiled", [True, False])
def test_particles_are_found_and_eliminated(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [cell_like(np.random.default_rng(seed)) for seed in range(3)]
    mass, current, observed = samples[0][1], 5, np.array([0, 2, 5], np.int32)
    plan = schedule(pattern_of(samples[0][0], mass, current, observed))
    assert plan.link_mass.shape == (4, 4)
    assert len(plan.order) == 26 - 4 * 4
    if not compiled:
        monkeypatch.setattr(static_lu, "shared_library", lambda *_: None)
    voltage = np.zeros(26)
    voltage[observed] = 1.0, -2.0, 0.5
    jacobian = np.array([values_of(dense) for dense, _ in samples])
    z, error = StaticSolver(plan).impedance(jacobian, np.tile(voltage, (3, 1)), 2 * np.pi * FREQUENCY_HZ)
    expected = [dense_impedance(dense, mass, current, voltage) for dense, _ in samples]
    np.testing.assert_allclose(z, expected, rtol=1e-12)
    assert error.max() < 1e-14


@pytest.mark.parametrize("kept", ["observed", "current"])
def test_a_state_that_is_needed_is_in_no_chain(kept: str) -> None:
    dense, mass = cell_like(np.random.default_rng(1))
    inner = 6  # a particle's centre
    pattern = pattern_of(dense, mass, inner if kept == "current" else 5, np.array([0, inner], np.int32))
    plan = schedule(pattern)
    assert inner in plan.order
    voltage = np.zeros(26)
    voltage[[0, inner]] = 1.0
    z, _ = StaticSolver(plan).impedance(values_of(dense)[None], voltage[None], 2 * np.pi * FREQUENCY_HZ)
    np.testing.assert_allclose(z[0], dense_impedance(dense, mass, pattern.current, voltage), rtol=1e-11)


def test_an_error_inside_a_particle_is_seen() -> None:
    dense, mass = cell_like(np.random.default_rng(1))
    plan = schedule(pattern_of(dense, mass, 5, np.array([0], np.int32)))
    dense[8, 8] = np.nan
    _, error = StaticSolver(plan).impedance(values_of(dense)[None], np.ones((1, 26)), 2 * np.pi * FREQUENCY_HZ)
    assert np.isnan(error).all()


def test_what_the_voltage_does_not_hang_on_is_left_out() -> None:
    dense, mass = cell_like(np.random.default_rng(2))
    more = np.zeros((28, 28))
    more[:26, :26] = dense
    more[26, [3, 26]], more[27, [26, 27]] = (1.0, -1.0), (0.5, -2.0)  # both follow others, and none follows them
    masses, observed = np.append(mass, [1.0, 0.0]), np.array([0, 2, 5], np.int32)
    plan = schedule(pattern_of(more, masses, 5, observed))
    assert set(plan.order) <= set(range(26))
    voltage = np.zeros(28)
    voltage[observed] = 1.0, -2.0, 0.5
    z, _ = StaticSolver(plan).impedance(values_of(more)[None], voltage[None], 2 * np.pi * FREQUENCY_HZ)
    np.testing.assert_allclose(z[0], dense_impedance(dense, mass, 5, voltage[:26]), rtol=1e-12)


def small_pivot(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """J (12, 12) and mass; state 0 is algebraic, and eliminating it first loses six digits of the rest."""
    dense = rng.standard_normal((12, 12)) - 5 * np.eye(12)
    dense[0, 0] = 1e-6
    return dense, np.append(0.0, np.ones(11))


@pytest.mark.parametrize("compiled", [True, False])
def test_a_small_pivot_is_mended_by_refinement(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    dense, mass = small_pivot(np.random.default_rng(3))
    pattern = pattern_of(dense, mass, 11)
    plan = schedule(pattern)
    assert plan.order[0] == 0 and plan.real == 1
    if not compiled:
        monkeypatch.setattr(static_lu, "shared_library", lambda *_: None)
    voltage, omega = np.ones((1, 12)), 2 * np.pi * FREQUENCY_HZ
    z, error, pivoted = checked_impedance(pattern, StaticSolver(plan), values_of(dense)[None], voltage, omega)
    np.testing.assert_allclose(z[0], dense_impedance(dense, mass, 11, voltage[0]), rtol=1e-11)
    assert not pivoted.any() and error.max() < 1e-14


def test_the_current_is_last_even_where_others_have_no_diagonal() -> None:
    dense = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    pattern = pattern_of(dense, np.zeros(3), 2)
    plan = schedule(pattern)
    assert plan.order[-1] == 2
    voltage, omega = np.array([[1.0, 1.0, 1.0]]), np.array([1.0])
    z, _, pivoted = checked_impedance(pattern, StaticSolver(plan), values_of(dense)[None], voltage, omega)
    assert z[0, 0] == pytest.approx(1.0) and pivoted[0]  # x_1 = -2, x_0 = 0 where the current is 1
