"""Commissioning against offsets that were put on spectra by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eishil.errors import EishilError
from eishil.filters.commissioning import CHANGE, Commissioning, commission
from eishil.model import Model
from eishil.network.mlp import FloatNetwork
from support.fresh_spectra import fresh_spectra
from support.random_models import random_estimator


def make_case() -> tuple[Model, FloatNetwork, np.ndarray]:
    model, network = random_estimator(np.random.default_rng(1))
    return model, network, np.random.default_rng(2).normal(0.0, 0.1, model.n_observations)


def changes(learned: Commissioning) -> float:
    """What ageing may change of the offsets: the same share of their mean square at every observation."""
    return CHANGE**2 * float(np.mean(learned.offset**2))


def test_offsets_are_found_within_their_stated_error() -> None:
    model, network, offset = make_case()
    learned = commission(model, network, fresh_spectra(model, network, offset, 30))
    of_the_fresh_cell = learned.variance - changes(learned)
    normalised = (learned.offset - offset) / np.sqrt(of_the_fresh_cell)
    assert np.abs(normalised).max() < 4.0 and np.sqrt(np.mean(normalised**2)) < 1.6
    assert of_the_fresh_cell.max() < 0.02**2


def test_offsets_that_vary_leave_a_variance() -> None:
    model, network, offset = make_case()
    learned = commission(model, network, fresh_spectra(model, network, offset, 40, varies=0.1))
    assert learned.variance.mean() - changes(learned) == pytest.approx(0.1**2 * 41 / 40, rel=0.15)
    adapted = learned.adapted(model)
    assert adapted.noise.variance == pytest.approx(np.array(model.noise.variance) + learned.variance)


def test_a_corrected_spectrum_is_that_of_a_cell_without_the_offset() -> None:
    model, network, offset = make_case()
    (plain,), (shifted,) = (fresh_spectra(model, network, by, 1) for by in (0 * offset, offset))
    corrected = Commissioning(offset, 0 * offset).corrected(shifted)
    np.testing.assert_allclose(corrected.z_ohm, plain.z_ohm, rtol=1e-12)
    assert (corrected.voltage_V, corrected.temperature_degC) == (plain.voltage_V, plain.temperature_degC)


def test_points_that_were_never_measured_get_no_offset_and_the_doubt_of_all_others() -> None:
    model, network, offset = make_case()
    valid = np.arange(model.n_frequencies) != 4
    spectra = [replace(one, valid=valid) for one in fresh_spectra(model, network, offset, 8)]
    learned = commission(model, network, spectra)
    missing = [4, 4 + model.n_frequencies]
    assert learned.offset[missing].tolist() == [0.0, 0.0]
    assert learned.variance[missing] == pytest.approx(np.mean(np.delete(learned.offset, missing) ** 2))


def test_one_spectrum_is_not_enough() -> None:
    model, network, offset = make_case()
    with pytest.raises(EishilError, match="2 or more spectra of the fresh cell, not 1"):
        commission(model, network, fresh_spectra(model, network, offset, 1))
