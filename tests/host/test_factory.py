"""What a data set consists of, and mistakes in what it is made from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import eishil
from eishil.cell.ageing import AgedState
from eishil.dataset.design import MODES
from eishil.dataset.tables import MANIFEST, Dataset
from eishil.errors import EishilError, RecipeError
from support.tiny_dataset import FURTHER_MODES, KNEE_GAIN, WriteRecipe, make

ROOT = Path(__file__).resolve().parents[2]


def test_spectra_are_those_of_the_public_function(tiny: Path) -> None:
    dataset = Dataset.open(tiny)
    for k in np.flatnonzero(dataset.samples["reason"] == "")[::20]:
        row = dataset.samples.iloc[k]
        spectrum = eishil.impedance(
            "Chen2020",
            "SPM",
            soc=row["soc"],
            temperature_degC=row["temperature_degC"],
            frequency_Hz=dataset.frequency_Hz,
            mesh="pybamm",
            aged=AgedState(**{mode: row[mode] for mode in MODES}),
        )
        np.testing.assert_array_equal(dataset.z_ohm[k], spectrum.z_ohm)
        assert row["voltage_V"] == spectrum.voltage_V


def test_filled_pores_and_plated_lithium_are_labelled_and_solved(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    make(write_recipe(KNEE_GAIN, FURTHER_MODES, 'model = "SPM"', 'model = "SPMe"'), tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    assert (dataset.samples["plating_loss"] <= dataset.samples["lli"]).all()
    row = dataset.samples[dataset.samples["reason"] == ""].sort_values("porosity_ne").iloc[0]
    loss = 1 - row["porosity_ne"] / 0.25  # Chen2020's
    assert 0.1 < loss < 0.2
    modes = AgedState(**{mode: row[mode] for mode in MODES}, porosity_loss_ne=loss)
    there = {"soc": row["soc"], "temperature_degC": row["temperature_degC"], "mesh": "pybamm"}
    spectrum = eishil.impedance("Chen2020", "SPMe", **there, frequency_Hz=dataset.frequency_Hz, aged=modes)
    np.testing.assert_allclose(dataset.z_ohm[row.name], spectrum.z_ohm, rtol=1e-12)


def test_manifest_counts_what_is_there(tiny: Path) -> None:
    dataset = Dataset.open(tiny)
    manifest = json.loads((tiny / MANIFEST).read_text())
    train = dataset.split("train").samples
    counts = manifest["counts"]["train"]
    assert counts["cells"] == 43
    assert counts["spectra"] == len(train)
    assert counts["masked"] == sum(counts["masked_by_reason"].values()) == (train["reason"] != "").sum()
    assert manifest["seed"] == 7
    assert manifest["versions"]["pybamm"]
    assert manifest["frequency_Hz"] == [0.01, 1.0, 100.0]
    assert "network" not in manifest["recipe"]


@pytest.mark.parametrize(
    ("parameter_set", "words"),
    [("Foo", "'Foo' is unknown; use one of"), ("MSMR_Example", "it has no 'Negative electrode OCP [V]'; use")],
)
def test_a_parameter_set_that_cannot_be_used_is_told_with_its_key(
    write_recipe: WriteRecipe, tmp_path: Path, parameter_set: str, words: str
) -> None:
    path = write_recipe("[cell]", f'[cell]\nparameter_set = "{parameter_set}"')
    with pytest.raises(RecipeError, match=re.escape(words)) as caught:
        make(path, tmp_path / "out")
    assert str(caught.value).startswith(f"{path}: cell.parameter_set: ")
    assert "\n" not in str(caught.value)


def test_a_recipe_of_cells_that_cannot_be_is_told(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    """Their negative electrodes have lost too much to hold the lithium that is left."""
    path = write_recipe(
        "lam_ne = { start = [0.0, 0.01], end = [0.03, 0.14], exponent = [0.8, 1.5], box = [0.0, 0.25] }",
        "lam_ne = { start = [0.6, 0.61], end = [0.62, 0.63], exponent = [0.8, 1.5], box = [0.6, 0.63] }",
    )
    words = r"ageing: none of 68 samples has a spectrum; \d+ are masked as (x_100|infeasible) \(eSOH: "
    with pytest.raises(RecipeError, match=words) as caught:
        make(path, tmp_path / "out")
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_recipe_without_cells_is_told(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    path = write_recipe("trajectories = 3, snapshots = 40, ", "", "trajectories = 2, ", "")
    with pytest.raises(EishilError, match="population: there are no cells"):
        make(path, tmp_path / "out")
