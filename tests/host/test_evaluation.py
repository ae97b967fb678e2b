"""The evaluation of a recipe on a data set made of a circuit; the bound itself is tested where it is computed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eishil import evaluation
from eishil.dataset.recipe import Recipe
from eishil.dataset.run_recipe import EvaluationRecipe
from eishil.dataset.tables import Dataset
from eishil.filters.replay import measured_cells, replay
from eishil.identify.cramer_rao import Bound
from eishil.model import Model
from eishil.network.integer import IntegerReference
from eishil.network.quantize import quantize
from eishil.network.train import train
from eishil.progress import silent
from support.circuit_dataset import FREQUENCY_HZ, write_circuit_dataset

ROOT = Path(__file__).parents[2]


def small_recipe() -> Recipe:
    recipe = Recipe.load(ROOT / "datasets/recipes/first_light.toml")
    network = {"hidden": [12, 12], "frequency_Hz": FREQUENCY_HZ.tolist(), "epochs": 120, "batch": 64}
    candidates = {"process": ["latent"], "process_std_scale": [1.0], "n_latents": [4], "walk_std": [0.0]}
    changes = {
        "network": recipe.network.model_copy(update=network),
        "filter": recipe.filter.model_copy(update=candidates),
        "evaluation": EvaluationRecipe(seeds=[recipe.network.seed, 2]),
    }
    return recipe.model_copy(update=changes)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Model]:
    folder = tmp_path_factory.mktemp("evaluation")
    write_circuit_dataset(folder / "dataset")
    train(small_recipe(), folder / "dataset", folder / "model", silent)
    quantize(small_recipe(), folder / "dataset", folder / "model", silent)
    return folder, Model.load(folder / "model/model.json")


def test_seeds_are_trainings_of_their_own(made: tuple[Path, Model], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, model = made
    recipe, cycles = small_recipe(), np.arange(10.0)
    bound = Bound(np.full((1, 10), 0.005), np.zeros((1, 10, 5, 5)), np.full((1, 10), 0.04), cycles)
    monkeypatch.setattr(evaluation, "per_trajectory_cramer_rao", lambda *_: bound)
    figures = evaluation.evaluate(recipe, folder / "dataset", model, folder / "out", 1, silent)
    stored = json.loads((folder / "out/evaluation.json").read_text())
    assert stored["cramer_rao_soh_rms"] == figures["cramer_rao_soh_rms"] == pytest.approx(0.005)
    same, other = stored["seeds"]
    assert (same["seed"], other["seed"]) == (recipe.network.seed, 2)
    assert same["soh_rmse"] != other["soh_rmse"]
    columns = list(range(len(FREQUENCY_HZ)))
    cells = measured_cells(Dataset.open(folder / "dataset").split("test"), columns, recipe.measurement, same["seed"])
    # The same start trains the same network; only the noise that it is calibrated with is another draw.
    own = replay(model, IntegerReference(model.network), cells)
    assert same["soh_rmse"] == pytest.approx(own.rmse, rel=0.05)
    unscented = model.model_copy(update={"filter": "ukf", "curvature": None})
    cells = measured_cells(Dataset.open(folder / "dataset").split("test"), columns, recipe.measurement, recipe.seed)
    assert stored["soh_rmse_ukf"] == pytest.approx(replay(unscented, IntegerReference(model.network), cells).rmse)


def test_remaining_life_is_scored_where_lives_end(made: tuple[Path, Model]) -> None:
    """Every label is below the limit in one copy of the cells, and none in another."""
    folder, model = made
    recipe = small_recipe()
    cells = measured_cells(Dataset.open(folder / "dataset").split("test"), [0, 1, 2, 3], recipe.measurement, 1)
    reference = IntegerReference(model.network)
    young = [type(c)(c.cell_id, c.steps, c.samples.assign(soh=0.99), c.masked) for c in cells]
    assert evaluation.remaining_life_error(model, reference, young) is None
    half = len(cells[0].samples) // 2
    labels = np.where(np.arange(len(cells[0].samples)) < half, 0.9, 0.7)
    ending = [type(c)(c.cell_id, c.steps, c.samples.assign(soh=labels), c.masked) for c in cells[:1]]
    error = evaluation.remaining_life_error(model, reference, ending)
    assert error is not None and 0 < error < float(cells[0].samples["cycles"].max())
