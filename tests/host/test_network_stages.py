"""`train` and `quantize` as stages: files in, files out, on a data set made of a circuit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eishil.dataset.measurement import measure
from eishil.dataset.recipe import Recipe
from eishil.dataset.tables import SAMPLES, Dataset
from eishil.errors import RecipeError
from eishil.filters.ekf import Ekf
from eishil.filters.replay import measured_cells, replay
from eishil.model import Model
from eishil.network.assemble import measured_again, measurement_variance
from eishil.network.integer import IntegerReference
from eishil.network.onnx_files import load_float_network
from eishil.network.quantize import quantize
from eishil.network.samples import frequency_columns, network_samples
from eishil.network.train import train
from eishil.progress import silent
from support.circuit_dataset import FREQUENCY_HZ, circuit, write_circuit_dataset
from support.whole_dataset import write_dataset

ROOT = Path(__file__).parents[2]


def small_recipe() -> Recipe:
    recipe = Recipe.load(ROOT / "datasets/recipes/first_light.toml")
    network = {"hidden": [12, 12], "frequency_Hz": FREQUENCY_HZ.tolist(), "epochs": 120, "batch": 64}
    candidates = {"process_std_scale": [1.0], "mismatch_std": [0.0, 0.05], "n_latents": [4], "walk_std": [0.0]}
    return recipe.model_copy(
        update={
            "network": recipe.network.model_copy(update=network),
            "filter": recipe.filter.model_copy(update=candidates),
        }
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    folder = tmp_path_factory.mktemp("stages")
    write_circuit_dataset(folder / "dataset")
    train(small_recipe(), folder / "dataset", folder / "model", silent)
    return folder, quantize(small_recipe(), folder / "dataset", folder / "model", silent)


def test_stages_write_files_that_load(made: tuple[Path, dict[str, float]]) -> None:
    folder, figures = made
    model = Model.load(folder / "model/model.json")
    network = load_float_network(folder / "model/network_float.onnx")
    report = json.loads((folder / "model/training.json").read_text())
    assert len(report["residual_rms_ln_ohm"]["validation"]) == model.n_observations == 8
    assert len(report["loss_of_epoch"]) == 120
    assert report["spectra"] == {"train": 600 + 12 * 8 - 1, "validation": 32}
    assert network.frequency_Hz.tolist() == model.frequency_Hz
    assert figures["int8_residual_ln_ohm"] < 0.02
    assert model.provenance["chosen_on_validation"].endswith("mismatch 0 ln ohm")


def test_nis_is_one_over_all_measurements_of_the_validation_cells(made: tuple[Path, dict[str, float]]) -> None:
    folder, figures = made
    recipe, model = small_recipe(), Model.load(folder / "model/model.json")
    validation = Dataset.open(folder / "dataset").split("validation")
    columns = frequency_columns(validation.frequency_Hz, model.frequency_Hz)
    own = measured_cells(validation, columns, recipe.measurement, recipe.seed)
    again = measured_again(recipe, validation, model.frequency_Hz, recipe.seed)
    network = IntegerReference(model.network)
    nis = [replay(model, network, cells).nis_mean for cells in (own, *again)]
    assert len(nis) == 4 and len(set(nis)) == 4
    assert figures["nis_per_observation"] == nis[0]
    assert np.mean(nis) == pytest.approx(1.0, abs=0.01)


def test_variance_of_a_measurement_is_that_of_its_draws(made: tuple[Path, dict[str, float]]) -> None:
    recipe, data = small_recipe(), Dataset.open(made[0] / "dataset").split("train")
    z_ohm = measure(data, recipe.measurement, 5).z_ohm
    parts = np.concatenate([z_ohm.real / data.z_ohm.real, z_ohm.imag / data.z_ohm.imag], axis=1)
    expected = np.nanvar(np.log(parts), axis=0)
    np.testing.assert_allclose(measurement_variance(recipe, data, FREQUENCY_HZ), expected, rtol=0.15)


def test_an_imported_network_takes_the_place_of_training(made: tuple[Path, dict[str, float]], tmp_path: Path) -> None:
    folder, _ = made
    figures = train(small_recipe(), folder / "dataset", tmp_path, silent, folder / "model/network_float.onnx")
    own, other = (load_float_network(place / "network_float.onnx") for place in (folder / "model", tmp_path))
    v = network_samples(Dataset.open(folder / "dataset").split("validation"), FREQUENCY_HZ).v
    np.testing.assert_allclose(other.evaluate(v)[0], own.evaluate(v)[0], atol=1e-5)
    assert json.loads((tmp_path / "training.json").read_text())["loss_of_epoch"] == []
    assert figures["validation_residual_ln_ohm"] < 0.02


def test_estimates_on_held_out_cells_are_much_better_than_drift(made: tuple[Path, dict[str, float]]) -> None:
    folder, _ = made
    recipe, test = small_recipe(), Dataset.open(folder / "dataset").split("test")
    model = Model.load(folder / "model/model.json")
    cells = measured_cells(test, frequency_columns(test.frequency_Hz, model.frequency_Hz), recipe.measurement, 1)
    estimates = replay(model, load_float_network(folder / "model/network_float.onnx"), cells)
    integer = replay(model, IntegerReference(model.network), cells)
    spread = float(np.std(np.concatenate([cell.soh - 1 for cell in cells])))
    assert estimates.rmse < 0.2 * spread
    assert np.abs(integer.soh - estimates.soh).max() < 0.01
    assert len(estimates.soh) == 4 * 8 - 1


def test_the_test_split_plays_no_part(made: tuple[Path, dict[str, float]], tmp_path: Path) -> None:
    """Other labels and spectra of the test cells give the same model but for the data set's checksum."""
    folder, _ = made
    data = Dataset.open(folder / "dataset")
    is_test = (data.samples["split"] == "test").to_numpy()
    samples, z_ohm = data.samples.copy(), data.z_ohm.copy()
    samples.loc[is_test, ["soh", "lli", "voltage_V"]] *= 0.5
    z_ohm[is_test] *= 3.0
    write_dataset(tmp_path / "dataset", samples, data.frequency_Hz, z_ohm, {})
    train(small_recipe(), tmp_path / "dataset", tmp_path / "model", silent)
    quantize(small_recipe(), tmp_path / "dataset", tmp_path / "model", silent)
    for name in ("network_float.onnx", "network_int8.onnx", "training.json"):
        assert (tmp_path / "model" / name).read_bytes() == (folder / "model" / name).read_bytes()
    one, other = (Model.load(place / "model/model.json") for place in (tmp_path, folder))
    assert one.provenance["samples_sha256"] != other.provenance["samples_sha256"]
    assert one.model_copy(update={"provenance": {}}) == other.model_copy(update={"provenance": {}})


def test_series_resistance_is_taken_out_of_the_targets(made: tuple[Path, dict[str, float]]) -> None:
    data = Dataset.open(made[0] / "dataset").split("validation")
    whole = data.select((data.samples["reason"] == "").to_numpy())
    targets = network_samples(whole, FREQUENCY_HZ).ln_ohm
    resistance = 1e-3 * whole.samples["contact_resistance_mOhm"].to_numpy()
    np.testing.assert_allclose(np.exp(targets[:, 0]), whole.z_ohm[:, 0].real - resistance)
    np.testing.assert_allclose(np.exp(targets[:, 4:]), -whole.z_ohm.imag)


def test_masked_spectra_are_left_out_and_their_cycles_elapse(made: tuple[Path, dict[str, float]]) -> None:
    recipe, test = small_recipe(), Dataset.open(made[0] / "dataset").split("test")
    cells = measured_cells(test, [0, 1, 2, 3], recipe.measurement, 1)
    assert [len(cell.steps) for cell in cells] == [8, 8, 8, 7]
    assert [step.elapsed_cycles for step in cells[3].steps] == [0.0, 100.0, 100.0, 100.0, 100.0, 100.0, 200.0]
    model = Model.load(made[0] / "model/model.json")
    ekf = Ekf(model, load_float_network(made[0] / "model/network_float.onnx"))
    for step in cells[3].steps:
        ekf.step(step)
    assert ekf.cycles == 700.0


@pytest.mark.parametrize(("split", "key"), [("train", "population.train"), ("validation", "population.validation")])
def test_a_split_without_trajectories_is_named(
    made: tuple[Path, dict[str, float]], tmp_path: Path, split: str, key: str
) -> None:
    data = Dataset.open(made[0] / "dataset")
    samples = data.samples.copy()
    samples.loc[samples["split"] == split, "population"] = "snapshot"
    write_dataset(tmp_path / "dataset", samples, data.frequency_Hz, data.z_ohm, {})
    (tmp_path / "model").mkdir()
    network = (made[0] / "model/network_float.onnx").read_bytes()
    (tmp_path / "model/network_float.onnx").write_bytes(network)
    with pytest.raises(RecipeError, match=f"{key}.trajectories"):
        quantize(small_recipe(), tmp_path / "dataset", tmp_path / "model", silent)
    assert not (tmp_path / "model/model.json").exists()


def test_a_mode_that_never_changes_is_no_obstacle(made: tuple[Path, dict[str, float]], tmp_path: Path) -> None:
    data = Dataset.open(made[0] / "dataset")
    samples = data.samples.assign(lam_pe=0.0, contact_resistance_mOhm=0.0)
    write_dataset(tmp_path / "dataset", samples, data.frequency_Hz, circuit(samples), {})
    train(small_recipe(), tmp_path / "dataset", tmp_path / "model", silent)
    figures = quantize(small_recipe(), tmp_path / "dataset", tmp_path / "model", silent)
    assert all(np.isfinite(value) for value in figures.values())


def test_a_frequency_that_the_data_set_lacks_is_named() -> None:
    with pytest.raises(RecipeError, match=r"0\.5 Hz is not in the data set.*0\.1, 1, 10, 1000"):
        frequency_columns(FREQUENCY_HZ, [0.1, 0.5])
    with pytest.raises(RecipeError, match=r"the model small: 0\.1 Hz is not in the data set"):
        frequency_columns(FREQUENCY_HZ, [0.1 * (1 + 1e-7)], "the model small")


def test_quantize_without_a_trained_network_names_the_command(tmp_path: Path) -> None:
    write_circuit_dataset(tmp_path / "dataset", snapshots=20)
    with pytest.raises(RecipeError, match="eishil train"):
        quantize(small_recipe(), tmp_path / "dataset", tmp_path / "model", silent)
    assert (tmp_path / "dataset" / SAMPLES).exists()
    assert not (tmp_path / "model").exists()
