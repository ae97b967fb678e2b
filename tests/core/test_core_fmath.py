"""fmath against numpy in float64: the error bounds that stand in fmath.h."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest

from eishil.ccore import CoreLibrary

# Under the sanitizers it is the paths that count and not the errors.
SAMPLES = 10_000 if os.environ.get("EISHIL_CORE_SANITIZE") == "1" else 150_000
Array = np.ndarray


def evaluate(function: Callable[[float], float], x: Array) -> Array:
    return np.array([function(value) for value in x.tolist()], dtype=np.float32)


def ulp_error(got: Array, exact: Array) -> Array:
    return np.abs(got.astype(np.float64) - exact) / np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)


def random_normals(rng: np.random.Generator) -> Array:
    """Every exponent and mantissa of the positive normal numbers equally often."""
    return rng.integers(0x00800000, 0x7F800000, SAMPLES, dtype=np.uint32).view(np.float32)


def test_log_error(core: CoreLibrary) -> None:
    rng = np.random.default_rng(1)
    near_one = (1.0 + np.linspace(-0.5, 1.0, SAMPLES)).astype(np.float32)
    neighbours = np.arange(0x3F7FF000, 0x3F801000, dtype=np.uint32).view(np.float32)
    x = np.concatenate([random_normals(rng), near_one, neighbours])
    error = ulp_error(evaluate(core.lib.fmath_log, x), np.log(x.astype(np.float64)))
    assert error.max() < 2.0


def test_log_near_one_error(core: CoreLibrary) -> None:
    edge = float(np.nextafter(np.float32(0.125), np.float32(0)))
    d = np.linspace(-edge, edge, SAMPLES).astype(np.float32)
    d = np.concatenate([d, [0.0, 1e-40, -1e-40, 1e-9, -1e-9]]).astype(np.float32)
    got = evaluate(core.lib.fmath_log_near_one, d)
    assert np.abs(got - np.log1p(d.astype(np.float64))).max() < 1e-7
    small = np.abs(d) < 1e-6
    assert np.abs(got[small] - d[small]).max() < 1e-12


@pytest.mark.parametrize("x", [0.0, -0.0, -1.0, 1e-40, np.inf, -np.inf, np.nan])
def test_log_of_what_has_none_is_nan(core: CoreLibrary, x: float) -> None:
    assert np.isnan(core.lib.fmath_log(x))


def test_exp_error(core: CoreLibrary) -> None:
    x = np.concatenate([np.linspace(-87, 88, SAMPLES), np.linspace(-1, 1, SAMPLES)]).astype(np.float32)
    error = ulp_error(evaluate(core.lib.fmath_exp, x), np.exp(x.astype(np.float64)))
    assert error.max() < 1.5


def test_exp_is_clamped(core: CoreLibrary) -> None:
    lowest, highest = core.lib.fmath_exp(-87.0), core.lib.fmath_exp(88.0)
    assert [core.lib.fmath_exp(x) for x in (-1e30, -np.inf, np.nan, -87.5)] == [lowest] * 4
    assert [core.lib.fmath_exp(x) for x in (1e30, np.inf, 89.0)] == [highest] * 3
    assert 0.0 < lowest < highest < np.inf


def test_tanh_error(core: CoreLibrary) -> None:
    rng = np.random.default_rng(2)
    x = np.concatenate([np.linspace(-11, 11, SAMPLES), np.linspace(-0.7, 0.7, SAMPLES)]).astype(np.float32)
    x = np.concatenate([x, random_normals(rng)[:20_000]])
    got = evaluate(core.lib.fmath_tanh, x)
    assert ulp_error(got, np.tanh(x.astype(np.float64))).max() < 2.0
    assert np.abs(got).max() == 1.0
    assert np.array_equal(evaluate(core.lib.fmath_tanh, -x), -got)


def test_round_is_to_even(core: CoreLibrary) -> None:
    rng = np.random.default_rng(3)
    halves = np.arange(-5000, 5000) / 2
    x = np.concatenate([halves, rng.uniform(-(2**22), 2**22, 50_000)]).astype(np.float32)
    assert np.array_equal(evaluate(core.lib.fmath_round, x), np.rint(x))
    assert [core.lib.fmath_round(x) >= 2**22 for x in (1e9, 3e38, np.inf)] == [True] * 3
    assert [core.lib.fmath_round(x) <= -(2**22) for x in (-1e9, -3e38, -np.inf)] == [True] * 3
    assert core.lib.fmath_round(np.nan) == 0


def test_is_finite(core: CoreLibrary) -> None:
    values = [0.0, -1e-40, 3.4e38, np.inf, -np.inf, np.nan]
    assert [core.lib.fmath_is_finite(x) for x in values] == [True, True, True, False, False, False]
