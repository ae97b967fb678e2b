"""Design of experiments: cells, their lives, their operating points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from eishil.dataset.design import MODES, design
from eishil.dataset.recipe import Recipe
from support.tiny_dataset import FURTHER_MODES, KNEE_GAIN, WriteRecipe

ROOT = Path(__file__).resolve().parents[2]


def test_ageing_paths_only_go_on(write_recipe: WriteRecipe) -> None:
    samples = design(Recipe.load(write_recipe()))
    for _, cell in samples[samples["population"] == "trajectory"].groupby("cell_id"):
        assert (np.diff(cell[list(MODES)], axis=0) >= 0).all()
        assert cell["cycles"].tolist() == [0.0, 300.0, 600.0, 900.0]


def test_ranges_of_the_recipe_are_kept_and_filled(write_recipe: WriteRecipe) -> None:
    samples = design(Recipe.load(write_recipe("snapshots = 40", "snapshots = 500")))
    snapshots = samples[samples["population"] == "snapshot"]
    ranges = {"lli": (0, 0.3), "lam_ne": (0, 0.25), "sei_thickness_nm": (3, 250), "soc": (0.1, 0.9)}
    for name, (low, high) in ranges.items():
        values = snapshots[name]
        assert low <= values.min() < low + 0.01 * (high - low)
        assert high - 0.02 * (high - low) < values.max() <= high
    held_out = samples[samples["split"] != "train"]
    assert held_out["soc"].between(0.2, 0.8).all()
    assert held_out["temperature_degC"].between(15, 35).all()


def test_a_cell_stays_the_same_when_the_population_grows(write_recipe: WriteRecipe) -> None:
    few = design(Recipe.load(write_recipe()))
    many = design(Recipe.load(write_recipe("trajectories = 2,", "trajectories = 5,")))
    for cell in ("train-t00002", "validation-t00001", "test-t00001"):
        same = [part[part["cell_id"] == cell].reset_index(drop=True) for part in (few, many)]
        pd.testing.assert_frame_equal(*same)


def test_splits_and_cells_differ(write_recipe: WriteRecipe) -> None:
    samples = design(Recipe.load(write_recipe()))
    ends = samples[(samples["population"] == "trajectory") & (samples["step"] == 3)]
    assert ends["lli"].nunique() == len(ends) == 7


def test_pores_and_plated_lithium_move_nothing_else(write_recipe: WriteRecipe) -> None:
    before = design(Recipe.load(write_recipe()))
    after = design(Recipe.load(write_recipe(KNEE_GAIN, FURTHER_MODES)))
    pd.testing.assert_frame_equal(after[before.columns], before)
    lives = after[after["population"] == "trajectory"].groupby("cell_id")
    assert lives["porosity_loss_ne"].apply(lambda loss: (np.diff(loss) > 0).all()).all()
    assert after["porosity_loss_ne"].between(0, 0.2).all() and after["plated_share"].between(0, 0.6).all()
    drawn = after.loc[after["population"] == "snapshot", ["lli", "porosity_loss_ne", "plated_share"]]
    assert (drawn.corr(method="spearman").abs().to_numpy() - np.eye(3)).max() < 0.5
