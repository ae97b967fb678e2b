"""Classical baselines: what they may look at, what they are fitted on, what they are judged by."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eishil.dataset.features import features as spectrum_features
from eishil.dataset.labels import with_remaining_life
from eishil.dataset.measurement import measure
from eishil.dataset.recipe import MeasurementRecipe, Recipe
from eishil.dataset.tables import Dataset
from eishil.errors import EishilError, RecipeError
from eishil.progress import silent
from eishil.regression import candidates, measured_cells
from eishil.regression.baselines import baselines, choose, metrics
from eishil.regression.inputs import CONTEXT, check_names, features, spectra
from support.circuit_dataset import write_circuit_dataset

RECIPE = Path(__file__).parents[2] / "datasets" / "recipes" / "first_light.toml"
NOISE = MeasurementRecipe(z_relative_std=0.003, voltage_std_V=0.002, temperature_std_K=0.5)
MEASURED = "EISHIL_MEASURED_DATA"
Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Lives of an equivalent circuit, worn out at SOH 0.8 or censored; one trajectory row is masked."""
    write_circuit_dataset(tmp_path / "circuit", snapshots=20)
    made = Dataset.open(tmp_path / "circuit")
    return replace(made, samples=with_remaining_life(made.samples))


def test_inputs_are_what_an_instrument_reads(dataset: Dataset) -> None:
    table = spectra(dataset, "test", "soh", NOISE, 1)
    assert table.names[-2:] == CONTEXT and len(table.names) == 2 * len(dataset.frequency_Hz) + 2
    rows = dataset.split("test").samples.set_index("sample_id").loc[table.rows["sample_id"]]
    np.testing.assert_array_equal(table.y, rows["soh"])
    read, true = table.x[:, -2], rows["voltage_V"].to_numpy()
    assert 0.0005 < np.std(read - true) < 0.004
    masked = dataset.samples["reason"] != ""
    assert not set(table.rows["sample_id"]) & set(dataset.samples["sample_id"][masked])


def test_features_are_those_of_the_measured_spectrum(dataset: Dataset) -> None:
    table = features(dataset, "test", "soh", NOISE, 1)
    assert table.names[-2:] == CONTEXT
    one = dataset.select((dataset.samples["sample_id"] == table.rows["sample_id"].iloc[3]).to_numpy())
    read = spectrum_features(measure(one, NOISE, 1).z_ohm[0], dataset.frequency_Hz)
    np.testing.assert_array_equal(table.x[3, :-2], [read[name] for name in table.names[:-2]])


@pytest.mark.parametrize("leak", ["soc", "cycles", "theta_n", "capacity_Ah", "lli"])
def test_an_input_that_holds_the_label_is_refused(leak: str) -> None:
    with pytest.raises(EishilError, match=leak):
        check_names(["voltage_V", leak])


def test_censored_lives_have_no_remaining_life_to_learn(dataset: Dataset) -> None:
    table = spectra(dataset, "train", "rul_cycles", NOISE, 1)
    own = dataset.samples.set_index("sample_id").loc[table.rows["sample_id"]]
    assert len(own) and not own["rul_censored"].any()
    lives = dataset.samples[(dataset.samples["split"] == "train") & (dataset.samples["population"] == "trajectory")]
    assert lives["rul_censored"].any(), "the example is of no use without a censored life"


def test_metrics_are_the_textbook_ones() -> None:
    found = metrics(np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 2.0]))
    assert found["mae"] == pytest.approx(1.0) and found["rmse"] == pytest.approx(np.sqrt(5 / 3))
    assert found["r2"] == pytest.approx(1 - 5 / (14 / 3))


def test_what_is_held_out_plays_no_part_in_a_fit(dataset: Dataset) -> None:
    train, validation, test = (spectra(dataset, name, "soh", NOISE, 1) for name in ("train", "validation", "test"))
    before = choose("gaussian_process", train, validation, 0).regressor.predict(test.x[:1])
    other = replace(test, x=test.x + 100.0, y=test.y - 5.0)
    assert other.x.shape == test.x.shape
    again = choose("gaussian_process", train, validation, 0).regressor
    again.predict(other.x)
    np.testing.assert_array_equal(again.predict(test.x[:1]), before)
    scaler = again.regressor_.named_steps["standardscaler"]
    np.testing.assert_allclose(scaler.mean_, train.x.mean(axis=0))


def test_tables_of_a_data_set(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"mlp": [{"hidden_layer_sizes": (8,), "alpha": 0.1}], "gaussian_process": [{"nu": 1.5}]}
    monkeypatch.setattr(candidates, "_GRID", candidates._GRID | small)
    recipe = Recipe.load(RECIPE).model_copy(update={"measurement": NOISE})
    found = baselines(recipe, dataset, silent)
    found.save(tmp_path)
    rows = pd.read_csv(tmp_path / "metrics.csv")
    assert set(rows["label"]) == {"soh", "rul_cycles"} and len(rows) == 2 * 2 * 4 * 3
    rows = rows[rows["inputs"] == "one spectrum"].set_index(["label", "backend", "split"])
    for label in ("soh", "rul_cycles"):
        held_out = rows.xs((label, "test"), level=("label", "split"))["rmse"]
        assert held_out.drop("mean").min() < 0.6 * held_out["mean"]
    predictions = pd.read_csv(tmp_path / "predictions.csv")
    mine = predictions[(predictions["label"] == "soh") & (predictions["backend"] == "mlp")]
    mine = mine[mine["inputs"] == "one spectrum"]
    truth = dataset.samples.set_index("sample_id")["soh"].loc[mine["sample_id"]]
    np.testing.assert_allclose(mine["truth"], truth, rtol=1e-6)
    assert rows.loc[("soh", "mlp", "test"), "rmse"] == pytest.approx(np.sqrt(np.mean(mine["error"] ** 2)), rel=1e-5)
    assert set(dataset.samples.set_index("sample_id")["split"].loc[mine["sample_id"]]) == {"test"}
    importance = pd.read_csv(tmp_path / "importance.csv")
    assert len(importance) == 2 * 4 * (10 + 8)
    assert (importance.loc[importance["backend"] == "mean", "rmse_increase"] == 0).all()


# --- measured cells ---


def measured_table(path: Path, *, informative: bool, spectra: int) -> Path:
    """Twelve cells of three levels, some spectra each; the arc shrinks with SOH, or each cell has an arc of its own."""
    rng = np.random.default_rng(4)
    rows = []
    for cell in range(12):
        soh = (80, 90, 100)[cell % 3]
        arc = 0.03 - 2e-4 * soh if informative else rng.uniform(0.005, 0.03)
        for k in range(spectra):
            for f in 10.0 ** np.arange(-2, 3.4, 0.2):
                z = 0.01 + arc / (1 + 0.1j * f) + 1e-5 * (rng.standard_normal() + 1j * rng.standard_normal())
                rows.append((spectra * cell + k, cell, 25, 10 * k, soh, f, z.real, z.imag))
    pd.DataFrame(rows, columns=list(measured_cells.COLUMNS)).to_csv(path, index=False)
    return path


def rmse(path: Path, *names: tuple[str, str]) -> dict[tuple[str, str, str], float]:
    wanted = [one for one in measured_cells.REGRESSIONS if (one.name, one.inputs) in names]
    assert len(wanted) == len(names)
    rows = measured_cells.study(measured_cells.load(path), silent, wanted)
    return {(row.regression, row.inputs, row.left_out): row.rmse for row in rows}


def test_a_cell_that_is_left_out_is_understood_where_there_is_something_to_understand(tmp_path: Path) -> None:
    ridge, mean = ("ridge", "all spectra"), ("mean of the training cells", "all spectra")
    found = rmse(measured_table(tmp_path / "m.csv", informative=True, spectra=2), ridge, mean)
    assert found[*ridge, "one cell"] < 0.01
    assert 0.07 < found[*mean, "one cell"] < 0.1


def test_random_folds_flatter_where_cells_are_only_recognised(tmp_path: Path) -> None:
    forest = ("random forest", "one spectrum")
    found = rmse(measured_table(tmp_path / "m.csv", informative=False, spectra=5), forest)
    assert found[*forest, "random folds (leaks)"] < 0.5 * found[*forest, "one cell"]
    assert found[*forest, "one cell"] > 0.06


def test_a_table_without_a_column_is_told(tmp_path: Path) -> None:
    path = measured_table(tmp_path / "m.csv", informative=True, spectra=1)
    pd.read_csv(path).drop(columns="re_ohm").to_csv(path, index=False)
    with pytest.raises(RecipeError, match="re_ohm"):
        measured_cells.load(path)
    with pytest.raises(RecipeError, match="no such table"):
        measured_cells.load(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda table: table.assign(soh_actual_pct="unknown"), "soh_actual_pct in line 2 is no finite number"),
        (lambda table: table.assign(re_ohm=[*table["re_ohm"][:-1], np.nan]), "re_ohm in line 325 "),
        (lambda table: table[table["cell"] == 0], "one cell only"),
        (lambda table: table[table["spec"] > 0], "as many spectra of each cell"),
        (lambda table: table.assign(freq_hz=1e4), "no point up to 1001 Hz"),
    ],
)
def test_a_table_that_cannot_be_used_is_told(tmp_path: Path, change: Change, sentence: str) -> None:
    path = measured_table(tmp_path / "m.csv", informative=True, spectra=2)
    table = pd.read_csv(path)
    assert measured_cells.load(path).x.shape[0] == 24
    change(table.iloc[: 12 * 27] if "line 325" in sentence else table).to_csv(path, index=False)
    with pytest.raises(RecipeError, match=sentence):
        measured_cells.load(path)


def test_measured_cells() -> None:
    """Published cells, where they are at hand: what predicting the mean costs is known from the labels alone."""
    path = os.environ.get(MEASURED)
    if path is None:
        assert "CI" not in os.environ, f"{MEASURED} names the table of measured spectra; CI has to set it"
        warnings.warn(f"{MEASURED} is not set: nothing was tried on measured cells", stacklevel=1)
        return
    whole = measured_cells.stacked(measured_cells.load(Path(path)))
    everyone = pd.Series(whole.soh, whole.cell)
    expected = np.sqrt(np.mean([(everyone.drop(cell).mean() - soh) ** 2 for cell, soh in everyone.items()]))
    found = rmse(Path(path), ("mean of the training cells", "all spectra"), ("ridge", "all spectra"))
    assert found["mean of the training cells", "all spectra", "one cell"] == pytest.approx(expected)
    assert found["ridge", "all spectra", "one cell"] < 0.5 * expected
