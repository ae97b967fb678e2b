"""The committed sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import eishil
from eishil.cell.ageing import AgedState
from eishil.dataset.design import MODES, design
from eishil.dataset.recipe import Recipe
from eishil.dataset.sample import extract
from eishil.dataset.tables import Dataset
from eishil.errors import EishilError

ROOT = Path(__file__).resolve().parents[2]


def test_a_sample_is_a_data_set_of_whole_test_trajectories(tiny: Path, tmp_path: Path) -> None:
    extract(tiny, tmp_path / "sample", cells=2)
    whole, sample = Dataset.open(tiny).split("test"), Dataset.open(tmp_path / "sample")
    pd.testing.assert_frame_equal(sample.samples, whole.samples)
    np.testing.assert_array_equal(sample.z_ohm, whole.z_ohm)
    assert list(sample.manifest["counts"]) == ["test"]
    with pytest.raises(EishilError, match="has 2 test trajectories; a sample needs 4"):
        extract(tiny, tmp_path / "more")


def test_committed_sample_is_what_the_committed_recipe_gives() -> None:
    sample = Dataset.open(ROOT / "datasets" / "sample")
    recipe = Recipe.load(ROOT / "datasets" / "recipes" / "first_light.toml")
    expected = design(recipe)
    expected = expected[expected["cell_id"].isin(sample.samples["cell_id"])].reset_index(drop=True)
    assert sample.samples["cell_id"].nunique() == 4
    for column in ("sample_id", "split", "cycles", "soc", "temperature_degC", *MODES):
        assert sample.samples[column].tolist() == expected[column].tolist(), column
    row = sample.samples.iloc[-1]
    spectrum = eishil.impedance(
        recipe.cell.parameter_set,
        recipe.cell.model,
        soc=row["soc"],
        temperature_degC=row["temperature_degC"],
        frequency_Hz=recipe.impedance.frequency_Hz,
        mesh=recipe.cell.mesh,
        aged=AgedState(**{mode: row[mode] for mode in MODES}),
    )
    np.testing.assert_allclose(sample.z_ohm[-1], spectrum.z_ohm, rtol=1e-8)
    assert row["voltage_V"] == pytest.approx(spectrum.voltage_V, rel=1e-9)
