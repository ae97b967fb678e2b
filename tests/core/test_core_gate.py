"""The innovation gate in C against the float64 reference: which spectra are left out, and what is then known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from eishil import wire
from eishil.filters.step import StepInput
from eishil.filters.ukf import reference_filter
from eishil.network.integer import IntegerReference
from support.core_cases import CASES, Case
from support.simulated_cells import expected_life

STATUS = wire.ENUMS["status"]
GATED = [name for name, shape in CASES.items() if "gate" in shape]
WILD = (4, 7, 8, 9)  # one alone, then three in a row, of which patience refuses two


def spectra(case: Case) -> list[StepInput]:
    steps = expected_life(np.random.default_rng(50), case.model, IntegerReference(case.model.network), 16)
    return [replace(one, z_ohm=1.5 * one.z_ohm) if k in WILD else one for k, one in enumerate(steps)]


def unpacked(P: Sequence[float], n: int) -> np.ndarray:
    whole = np.zeros((n, n))
    whole[np.triu_indices(n)] = list(P)
    return whole


@pytest.mark.parametrize("case", GATED, indirect=True)
def test_the_same_spectra_are_left_out_as_in_the_reference(case: Case) -> None:
    reference = reference_filter(case.model, IntegerReference(case.model.network))
    estimator = case.core.estimator()
    refused = []
    for k, step in enumerate(spectra(case)):
        expected, got = reference.step(step), estimator.step(step)
        assert got.status == expected.status
        assert got.n_used == expected.n_used
        if got.status == STATUS["OUTLIER"]:
            refused.append(k)
            assert got.nis == pytest.approx(expected.nis, rel=0.05)
        std = np.sqrt(np.diag(expected.P))
        assert np.abs((got.x - expected.x) / std).max() < 0.6
    assert refused[:3] == [4, 7, 8]
    assert 9 not in refused


@pytest.mark.parametrize("case", GATED, indirect=True)
def test_an_outlier_is_time_that_passes_and_nothing_else(case: Case) -> None:
    steps = expected_life(np.random.default_rng(51), case.model, IntegerReference(case.model.network), 6)
    got, expected = case.core.estimator(), case.core.estimator()
    for step in steps[:4]:
        got.step(step)
        expected.step(step)
    assert got.step(replace(steps[4], z_ohm=1.5 * steps[4].z_ohm)).status == STATUS["OUTLIER"]
    expected.step(replace(steps[4], valid=np.zeros(case.model.n_frequencies, bool)))
    # Without points an unscented filter takes P apart and together again, and a bank normalises its weights.
    for one, other in zip(got.state.filter, expected.state.filter, strict=True):
        std = np.sqrt(np.diag(unpacked(other.P, case.model.n_states)))
        np.testing.assert_array_equal(list(one.x), list(other.x))
        np.testing.assert_allclose(unpacked(one.P, len(std)), unpacked(other.P, len(std)), atol=1e-6 * std.max() ** 2)
    np.testing.assert_allclose(list(got.state.log_weight), list(expected.state.log_weight), atol=1e-5)
    assert (got.state.cycles, got.state.steps) == (expected.state.cycles, expected.state.steps)
    assert (got.state.gate.outliers, got.state.gate.probation) == (1, 0)
