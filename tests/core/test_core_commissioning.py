"""Commissioning in C against the float64 reference, which tests/host/test_commissioning.py holds to known offsets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from eishil.filters.commissioning import Commissioning, commission
from eishil.filters.step import StepInput
from eishil.filters.ukf import reference_filter
from eishil.network.integer import IntegerReference
from support.core_cases import Case
from support.fresh_spectra import fresh_spectra
from support.simulated_cells import expected_life

SPECTRA = 6


class CCommissioning:
    """`commissioning_t` with what it needs."""

    def __init__(self, case: Case) -> None:
        self.core, ffi = case.core, case.core.ffi
        self.state, self.work = ffi.new("commissioning_t *"), ffi.new("estimator_work_t *")
        self.core.lib.commissioning_init(self.state)

    def add(self, step: StepInput) -> bool:
        given, self._kept = as_input(self.core.ffi, step)
        return bool(self.core.lib.commissioning_add(self.state, self.core.model, self.work, given))

    def learned(self) -> Commissioning:
        assert self.core.lib.commissioning_finish(self.state)
        rows = self.state.observation
        return Commissioning(np.array([row.offset for row in rows]), np.array([row.variance for row in rows]))


def as_input(ffi: Any, step: StepInput) -> tuple[Any, tuple[Any, Any]]:
    """`estimator_input_t *` and what it points to."""
    kept = tuple(ffi.new("float[]", np.float32(part).tolist()) for part in (step.z_ohm.real, step.z_ohm.imag))
    given = ffi.new("estimator_input_t *", (step.elapsed_cycles, step.voltage_V, step.temperature_degC))
    given.valid_mask = sum(1 << k for k, valid in enumerate(step.valid) if valid)
    given.z_real_ohm, given.z_imag_ohm = kept
    return given, kept


def spectra(case: Case, count: int = SPECTRA) -> tuple[np.ndarray, list[StepInput]]:
    """Offsets of a cell, and its spectra when fresh; one point was measured once, and another never."""
    offset = np.random.default_rng(61).normal(0.0, 0.1, case.model.n_observations)
    fresh = fresh_spectra(case.model, IntegerReference(case.model.network), offset, count, varies=0.05)
    if case.model.n_frequencies < 3:
        return offset, fresh
    for k, one in enumerate(fresh):
        fresh[k] = replace(one, valid=np.array([False, k == 0, *one.valid[2:]]))
    return offset, fresh


def test_offsets_and_variances_are_those_of_the_reference(case: Case) -> None:
    _, fresh = spectra(case)
    expected = commission(case.model, IntegerReference(case.model.network), fresh)
    commissioning = CCommissioning(case)
    assert all(commissioning.add(one) for one in fresh)
    learned = commissioning.learned()
    np.testing.assert_allclose(learned.offset, expected.offset, atol=2e-3)
    np.testing.assert_allclose(learned.variance, expected.variance, rtol=0.02)


def test_a_commissioned_estimator_is_the_reference_with_the_adapted_model(case: Case) -> None:
    offset, fresh = spectra(case)
    learned = commission(case.model, IntegerReference(case.model.network), fresh)
    commissioning = CCommissioning(case)
    for one in fresh:
        commissioning.add(one)
    commissioning.learned()
    ffi, lib = case.core.ffi, case.core.lib
    cell, n = ffi.new("commissioned_cell_t *"), case.model.n_frequencies
    lib.commissioning_adapt(commissioning.state, case.core.model, cell)
    factor = np.exp(learned.offset)
    reference = reference_filter(learned.adapted(case.model), IntegerReference(case.model.network))
    state, out, corrected = ffi.new("estimator_t *"), ffi.new("estimator_output_t *"), ffi.new("estimator_input_t *")
    lib.estimator_init(state, ffi.addressof(cell.model))
    z = ffi.new("float[]", n), ffi.new("float[]", n)
    for step in expected_life(np.random.default_rng(63), case.model, IntegerReference(case.model.network), 6):
        measured = replace(step, z_ohm=step.z_ohm.real * factor[:n] + 1j * step.z_ohm.imag * factor[n:])
        expected = reference.step(learned.corrected(measured))
        given, _kept = as_input(ffi, measured)
        lib.commissioning_correct(cell, given, *z, corrected)
        assert (
            lib.estimator_step(state, ffi.addressof(cell.model), commissioning.work, corrected, out) == expected.status
        )
        std = np.sqrt(np.diag(expected.P))
        assert np.abs((np.array(list(out.x)) - expected.x) / std).max() < 0.3
        P = np.array(list(out.P))
        upper = np.triu_indices(len(std))
        assert np.abs((P - expected.P[upper]) / np.outer(std, std)[upper]).max() < 0.3
    assert np.abs(offset).max() > 0.05


def test_one_spectrum_is_too_few_and_a_rejected_one_does_not_count(case: Case) -> None:
    _, fresh = spectra(case)
    commissioning = CCommissioning(case)
    assert commissioning.add(fresh[0])
    before = bytes(case.core.ffi.buffer(commissioning.state))
    assert not commissioning.add(replace(fresh[1], voltage_V=np.nan))
    assert not case.core.lib.commissioning_finish(commissioning.state)
    assert bytes(case.core.ffi.buffer(commissioning.state)) == before
