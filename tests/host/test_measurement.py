"""Noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eishil.dataset.measurement import measure
from eishil.dataset.recipe import MeasurementRecipe
from eishil.dataset.tables import Dataset
from support.tiny_dataset import WriteRecipe, make

ROOT = Path(__file__).resolve().parents[2]


def test_noise_has_its_size_and_belongs_to_the_sample(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    make(write_recipe("snapshots = 40", "snapshots = 1500"), tmp_path / "many", chunk_samples=2000)
    dataset = Dataset.open(tmp_path / "many")
    dataset = dataset.select((dataset.samples["reason"] == "").to_numpy())
    recipe = MeasurementRecipe(z_relative_std=0.01, voltage_std_V=0.002, temperature_std_K=0.5)
    measured = measure(dataset, recipe, seed=3)
    relative = (measured.z_ohm - dataset.z_ohm) / np.abs(dataset.z_ohm)
    for noise, std in [
        (relative.real, 0.01),
        (relative.imag, 0.01),
        (measured.voltage_V - dataset.samples["voltage_V"], 0.002),
        (measured.temperature_degC - dataset.samples["temperature_degC"], 0.5),
    ]:
        # Five standard errors of a mean and of a standard deviation of independent normal numbers.
        assert abs(np.mean(noise)) < 5 * std / np.sqrt(np.size(noise))
        assert np.std(noise) == pytest.approx(std, rel=5 / np.sqrt(2 * np.size(noise)))
    backwards = measure(dataset.select(np.arange(len(dataset))[::-1]), recipe, seed=3)
    np.testing.assert_array_equal(backwards.z_ohm[::-1], measured.z_ohm)
    assert not np.array_equal(measure(dataset, recipe, seed=4).z_ohm, measured.z_ohm)


def test_masked_spectra_stay_masked_when_measured(tiny: Path) -> None:
    dataset = Dataset.open(tiny)
    recipe = MeasurementRecipe(z_relative_std=0.0, voltage_std_V=0.0, temperature_std_K=0.0)
    np.testing.assert_array_equal(measure(dataset, recipe, seed=1).z_ohm, dataset.z_ohm)
