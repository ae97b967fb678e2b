"""Data sets for other tools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import eishil
from eishil.dataset.tables import SPECTRA
from support.tiny_dataset import WriteRecipe, make


def test_one_line_opens_a_data_set(tiny: Path) -> None:
    dataset = eishil.open_dataset(str(tiny))
    assert len(dataset.samples) == 68 and dataset.z_ohm.shape == (68, 3)


def test_csv_has_the_values_of_the_tables(tiny: Path, write_recipe: WriteRecipe, tmp_path: Path) -> None:
    make(write_recipe(), tmp_path / "out", csv=True)
    dataset = eishil.open_dataset(tmp_path / "out")
    samples, points = (pd.read_csv(tmp_path / "out" / name) for name in ("samples.csv", "spectra.csv"))
    assert samples["sample_id"].tolist() == dataset.samples["sample_id"].tolist()
    np.testing.assert_array_equal(samples["soh"], dataset.samples["soh"])
    one = points[points["sample_id"] == "test-t00000-02"]
    k = dataset.samples.index[dataset.samples["sample_id"] == "test-t00000-02"][0]
    np.testing.assert_array_equal(one["z_real_ohm"] + 1j * one["z_imag_ohm"], dataset.z_ohm[k])
    np.testing.assert_array_equal(one["frequency_Hz"], [0.01, 1.0, 100.0])
    assert len(points) == 3 * (dataset.samples["reason"] == "").sum()


def test_xarray_has_units(tiny: Path) -> None:
    dataset = eishil.open_dataset(tiny)
    array = dataset.to_xarray()
    assert (
        array["z_ohm"].sel(sample="test-t00000-02", frequency=1.0).item()
        == dataset.z_ohm[dataset.samples.index[dataset.samples["sample_id"] == "test-t00000-02"][0], 1]
    )
    assert array["temperature_degC"].attrs["units"] == "degC" and array["frequency"].attrs["units"] == "Hz"


def test_float32_is_for_impedances_alone(tiny: Path, write_recipe: WriteRecipe, tmp_path: Path) -> None:
    make(write_recipe(), tmp_path / "out", precision="float32")
    whole, half = eishil.open_dataset(tiny), eishil.open_dataset(tmp_path / "out")
    pd.testing.assert_frame_equal(whole.samples, half.samples, check_exact=True)
    np.testing.assert_array_equal(half.z_ohm, whole.z_ohm.astype(np.complex64))
    assert pd.read_parquet(tmp_path / "out" / SPECTRA)["z_phase_deg"].dropna().iloc[0].dtype == np.float32
    assert half.manifest["precision"] == "float32"
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(half.z_ohm, whole.z_ohm)
