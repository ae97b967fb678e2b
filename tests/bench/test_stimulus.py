"""What is streamed: the test split only, at the model's frequencies, rounded once, masked spectra left out."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from eishil.dataset.measurement import measure
from eishil.dataset.recipe import MeasurementRecipe
from eishil.dataset.tables import Dataset
from eishil.errors import EishilError, RecipeError
from eishil_bench.runs.stimulus import held_out_trajectories
from support.random_models import random_estimator

FREQUENCY_HZ = np.array([0.01, 0.1, 1.0, 10.0, 100.0, 1000.0])
STEPS, MASKED = 4, [0, 2]
RECIPE = SimpleNamespace(
    measurement=MeasurementRecipe(z_relative_std=0.003, voltage_std_V=0.002, temperature_std_K=0.5), seed=7
)


@pytest.fixture(scope="module")
def model():
    made, _ = random_estimator(np.random.default_rng(1), n_frequencies=2)
    return made.model_copy(update={"frequency_Hz": [1000.0, 0.1]})


def renamed(model, names):
    """The first modes of a model under other names."""
    first = [mode.model_copy(update={"name": name}) for mode, name in zip(model.modes, names, strict=False)]
    return model.model_copy(update={"modes": first + model.modes[len(first) :]})


@pytest.fixture(scope="module")
def dataset():
    """Two held-out lives and one of training; of the first, spectra 0 and 2 are masked."""
    rows = [
        {
            "sample_id": f"{cell}-{step}",
            "cell_id": cell,
            "split": split,
            "population": "trajectory",
            "step": step,
            "cycles": 40.0 * step,
            "soc": 0.5,
            "soh": 1.0 - 0.01 * step,
            "voltage_V": 3.7,
            "temperature_degC": 25.0,
            "lli": 0.01 * step,
            "lam_ne": 0.0,
            "lam_pe": 0.02 * step,
            "sei_thickness_nm": 5.0 * 10.0**step,
            "contact_resistance_mOhm": 0.5,
        }
        for cell, split in (("b", "test"), ("t", "train"), ("a", "test"))
        for step in range(STEPS)
    ]
    rng = np.random.default_rng(0)
    z_ohm = rng.uniform(0.02, 0.05, (len(rows), 6)) - 1j * rng.uniform(0.001, 0.01, (len(rows), 6))
    z_ohm[MASKED] = np.nan
    return Dataset(pd.DataFrame(rows), FREQUENCY_HZ, z_ohm, {})


def test_labels_of_modes_are_in_the_models_order_and_units(dataset, model):
    known = renamed(model, ["log10_sei_thickness", "lli"])
    modes = np.array([spectrum.modes for spectrum in held_out_trajectories(dataset, RECIPE, known)[1].spectra])
    assert modes.shape == (STEPS, model.n_modes)
    np.testing.assert_allclose(modes[:, :2], [[0.0, 0.0], [1.0, 0.01], [2.0, 0.02], [3.0, 0.03]], atol=1e-12)
    assert np.isnan(modes[:, 2:]).all()


def test_only_the_test_split_is_streamed_in_order(dataset, model):
    trajectories = held_out_trajectories(dataset, RECIPE, model)
    assert [(one.cell_id, len(one.spectra), one.masked) for one in trajectories] == [("b", 2, 2), ("a", 4, 0)]
    assert [spectrum.step for spectrum in trajectories[1].spectra] == [0, 1, 2, 3]


def test_cycles_of_masked_spectra_elapse_before_the_next(dataset, model):
    masked, whole = held_out_trajectories(dataset, RECIPE, model)
    assert [spectrum.measured.elapsed_cycles for spectrum in masked.spectra] == [40.0, 80.0]
    assert [spectrum.measured.elapsed_cycles for spectrum in whole.spectra] == [0.0, 40.0, 40.0, 40.0]
    assert [spectrum.soh for spectrum in masked.spectra] == [0.99, 0.97]


def test_numbers_are_the_measured_ones_at_the_models_frequencies_in_float32(dataset, model):
    whole = held_out_trajectories(dataset, RECIPE, model)[1]
    rows = dataset.select((dataset.samples["cell_id"] == "a").to_numpy())
    measured = measure(rows, RECIPE.measurement, RECIPE.seed)
    for k, spectrum in enumerate(whole.spectra):
        expected = measured.z_ohm[k, [5, 1]]
        assert np.array_equal(spectrum.measured.z_ohm.real, expected.real.astype(np.float32).astype(float))
        assert np.array_equal(spectrum.measured.z_ohm.imag, expected.imag.astype(np.float32).astype(float))
        assert spectrum.measured.voltage_V == float(np.float32(measured.voltage_V[k]))
        assert spectrum.measured.temperature_degC == float(np.float32(measured.temperature_degC[k]))
        assert spectrum.measured.valid.all()
    assert np.abs(measured.z_ohm / rows.z_ohm - 1).max() > 1e-4, "the noise of the recipe is on"


def test_fresh_spectra_are_measured_with_noise_of_their_own(dataset, model):
    whole = held_out_trajectories(
        dataset.select((dataset.samples["cell_id"] == "a").to_numpy()), RECIPE, model, dataset
    )
    (cell,) = whole
    assert len(cell.fresh) == STEPS
    for fresh, measured in zip(cell.fresh, cell.measured, strict=True):
        np.testing.assert_allclose(fresh.z_ohm, measured.z_ohm, rtol=0.03)
        assert np.abs(fresh.z_ohm / measured.z_ohm - 1.0).min() > 1e-5
        assert np.array_equal(fresh.z_ohm, fresh.z_ohm.astype(np.complex64))


def test_a_cell_with_too_few_fresh_spectra_is_named(dataset, model):
    fresh = dataset.select((dataset.samples["step"] < 2).to_numpy())
    with pytest.raises(EishilError, match=r"cell b: 1 of its fresh spectra are not masked, and 2 or more"):
        held_out_trajectories(dataset, RECIPE, model, fresh)


def test_a_frequency_that_the_data_set_lacks_is_told(dataset, model):
    other = model.model_copy(update={"frequency_Hz": [1000.0, 0.3]})
    with pytest.raises(RecipeError, match=r"the model .*: 0\.3 Hz is not in the data set"):
        held_out_trajectories(dataset, RECIPE, other)
