"""`train` and `quantize` as stages: files in, files out, on a data set made of a circuit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from eishil.dataset.recipe import Recipe
from eishil.dataset.tables import SAMPLES, Dataset
from eishil.errors import RecipeError
from eishil.filters.choice import candidates
from eishil.filters.ekf import Ekf
from eishil.filters.replay import measured_cells, replay
from eishil.model import Model
from eishil.network.assemble import CALIBRATION_DRAWS, measured_again
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
    candidates |= {"curvature": [True]}
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


def test_the_model_has_the_same_bytes_with_any_number_of_blas_threads(tmp_path: Path) -> None:
    """With as many lives as it takes for BLAS to share the sums out."""
    write_circuit_dataset(tmp_path / "dataset", training_lives=160)
    train(small_recipe(), tmp_path / "dataset", tmp_path / "model", silent)
    models = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            quantize(small_recipe(), tmp_path / "dataset", tmp_path / "model", silent)
        models.append((tmp_path / "model/model.json").read_bytes())
    assert models[0] == models[1]


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
    assert model.provenance["chosen_on_validation"].endswith(
        "second order, process std x 1, mismatch 0 ln ohm; network context"
    )


def test_nis_is_one_over_all_measurements_of_the_validation_cells(made: tuple[Path, dict[str, float]]) -> None:
    folder, figures = made
    recipe, model = small_recipe(), Model.load(folder / "model/model.json")
    validation = Dataset.open(folder / "dataset").split("validation")
    columns = frequency_columns(validation.frequency_Hz, model.frequency_Hz)
    own = measured_cells(validation, columns, recipe.measurement, recipe.seed)
    again = measured_again(recipe, validation, model.frequency_Hz, recipe.seed)
    network = IntegerReference(model.network)
    nis = [replay(model, network, cells).nis_mean for cells in (own, *again)]
    assert len(nis) == len(set(nis)) == CALIBRATION_DRAWS
    assert figures["nis_per_observation"] == nis[0]
    assert np.mean(nis) == pytest.approx(1.0, abs=0.01)


def test_noise_is_residual_and_instrument_by_one_scale(made: tuple[Path, dict[str, float]]) -> None:
    folder, figures = made
    recipe, model = small_recipe(), Model.load(folder / "model/model.json")
    held_out = network_samples(Dataset.open(folder / "dataset").split("validation"), FREQUENCY_HZ)
    residual = IntegerReference(model.network).evaluate(held_out.v)[0] - held_out.ln_ohm
    expected = figures["variance_scale"] * (residual.var(axis=0) + residual.mean(axis=0) ** 2)
    np.testing.assert_allclose(model.noise.variance, expected, rtol=1e-9)
    own = model.noise.instrument_std / recipe.measurement.z_relative_std
    assert own**2 == pytest.approx(figures["variance_scale"], rel=1e-9)
    assert figures["variance_scale"] != 1.0


def test_curvature_is_along_the_mean_slope_of_soh_over_lives(made: tuple[Path, dict[str, float]]) -> None:
    """The circuit's label is 1 - lli - lam_ne / 2 - lam_pe^2."""
    folder, _ = made
    model, train_set = Model.load(folder / "model/model.json"), Dataset.open(folder / "dataset").split("train")
    lives = train_set.samples[train_set.samples["population"] == "trajectory"]
    assert model.curvature is not None
    expected = [-1.0, -0.5, -2 * lives["lam_pe"].mean(), 0.0, 0.0]
    np.testing.assert_allclose(model.curvature.gradient, expected, atol=0.05)


def test_every_combination_is_a_candidate() -> None:
    recipe = small_recipe().filter.model_copy(update={"curvature": [False, True], "walk_std": [0.0, 0.4]})
    found = candidates(recipe)
    assert recipe.process == ["random_walk", "latent"]
    assert len(found) == len(set(found)) == 2 * 2 + 2 * 2 * 2
    assert {one.walk_std for one in found if one.process == "random_walk"} == {0.0}


def test_a_linear_context_needs_no_derivative_by_voltage_and_temperature(
    made: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    folder, figures = made
    (tmp_path / "network_float.onnx").write_bytes((folder / "model/network_float.onnx").read_bytes())
    recipe = small_recipe()
    recipe = recipe.model_copy(update={"filter": recipe.filter.model_copy(update={"context": "linear"})})
    linear = quantize(recipe, folder / "dataset", tmp_path, silent)
    model = Model.load(tmp_path / "model.json")
    assert model.noise.temperature_effect is not None and model.noise.voltage_std_V == 0.0
    assert "linear context" in model.provenance["chosen_on_validation"]
    assert linear["soh_rmse_int8"] == pytest.approx(figures["soh_rmse_int8"], rel=0.1)


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
    recipe = small_recipe()
    recipe = recipe.model_copy(update={"network": recipe.network.model_copy(update={"epochs": 10})})
    train(recipe, tmp_path / "dataset", tmp_path / "model", silent)
    figures = quantize(recipe, tmp_path / "dataset", tmp_path / "model", silent)
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
