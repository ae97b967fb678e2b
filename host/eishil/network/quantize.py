"""Quantise the network and choose the estimator around it: `network_int8.onnx` and `model.json`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from eishil.dataset.recipe import Recipe
from eishil.dataset.tables import SAMPLES, SPECTRA, Dataset
from eishil.errors import RecipeError
from eishil.files import sha256_file, write_atomic
from eishil.filters.choice import Choice, candidates, choose
from eishil.filters.replay import Estimates, MeasuredCell, measured_cells, replay
from eishil.filters.scores import rms
from eishil.filters.speed import changed_cells
from eishil.model import IntegerNetwork
from eishil.network.assemble import (
    SPEED_STREAM_VALIDATION,
    Parts,
    assemble,
    calibrated,
    measured_again,
    parts_of,
)
from eishil.network.conversion import convert
from eishil.network.integer import IntegerReference
from eishil.network.mlp import FloatNetwork
from eishil.network.onnx_files import load_float_network, write_integer_network
from eishil.network.samples import NetworkSamples, frequency_columns, network_samples
from eishil.network.train import BLAS_THREADS, FLOAT_FILE
from eishil.progress import Progress
from eishil.versions import versions

INT8_FILE, MODEL_FILE = "network_int8.onnx", "model.json"


def quantize(recipe: Recipe, dataset_dir: Path, model_dir: Path, progress: Progress) -> dict[str, float]:
    """Write `network_int8.onnx` and `model.json` to `model_dir`; give figures for the terminal."""
    # More threads add up in another order, and the same recipe is to give the same bytes on any machine.
    with threadpool_limits(BLAS_THREADS):
        return _quantize(recipe, dataset_dir, model_dir, progress)


def _quantize(recipe: Recipe, dataset_dir: Path, model_dir: Path, progress: Progress) -> dict[str, float]:
    dataset = Dataset.open(dataset_dir)
    train, validation = dataset.split("train"), dataset.split("validation")
    network = load_float_network(model_dir / FLOAT_FILE)
    integer = convert(network, network_samples(train, network.frequency_Hz).v)
    write_integer_network(integer, network.frequency_Hz, model_dir / INT8_FILE)
    parts = parts_of(recipe, train, validation, network, integer)
    cells = _validation_cells(recipe, validation, network)
    choice = _choose(recipe, parts, cells, progress)
    again = measured_again(recipe, validation, parts.frequency_Hz, recipe.seed)
    model, scale = calibrated(choice.model, IntegerReference(integer), cells, again)
    estimates = {"int8": replay(model, IntegerReference(integer), cells), "float": replay(model, network, cells)}
    figures = _figures(network, integer, network_samples(validation, network.frequency_Hz), estimates)
    figures["variance_scale"] = scale
    provenance = _provenance(recipe, dataset_dir, choice, figures)
    write_atomic(model_dir / MODEL_FILE, model.model_copy(update={"provenance": provenance}).to_json())
    return figures


def _validation_cells(recipe: Recipe, validation: Dataset, network: FloatNetwork) -> list[MeasuredCell]:
    columns = frequency_columns(validation.frequency_Hz, network.frequency_Hz)
    cells = measured_cells(validation, columns, recipe.measurement, recipe.seed)
    if not cells:
        raise RecipeError("population.validation.trajectories: one or more are needed to choose the process model")
    return cells


def _choose(recipe: Recipe, parts: Parts, cells: list[MeasuredCell], progress: Progress) -> Choice:
    found, speed = candidates(recipe.filter), recipe.filter.speed
    if speed is not None:
        cells = cells + changed_cells(cells, speed, np.random.default_rng([recipe.seed, SPEED_STREAM_VALIDATION]))
    return choose(
        found,
        lambda candidate: assemble(recipe, parts, candidate),
        IntegerReference(parts.network),
        cells,
        lambda done, note: progress("quantize", done, len(found), note),
    )


def _figures(
    network: FloatNetwork, integer: IntegerNetwork, held_out: NetworkSamples, estimates: dict[str, Estimates]
) -> dict[str, float]:
    """Figures on validation cells."""
    reference = IntegerReference(integer)
    y, y_integer = network.evaluate(held_out.v)[0], reference.evaluate(held_out.v)[0]
    chosen, unquantised = estimates["int8"], estimates["float"]
    difference = chosen.soh - unquantised.soh
    return {
        "float_residual_ln_ohm": rms(y - held_out.ln_ohm),
        "int8_residual_ln_ohm": rms(y_integer - held_out.ln_ohm),
        "int8_to_float_ln_ohm": rms(y_integer - y),
        "soh_rmse": unquantised.rmse,
        "soh_rmse_int8": chosen.rmse,
        "coverage_1_sigma": chosen.coverage(1.0),
        "coverage_2_sigma": chosen.coverage(2.0),
        "nees": chosen.nees_mean,
        "nis_per_observation": chosen.nis_mean,
        "int8_to_float_soh_rms": rms(difference),
        "int8_to_float_soh_max": float(np.abs(difference).max()),
    }


def _provenance(recipe: Recipe, dataset_dir: Path, choice: Choice, figures: dict[str, float]) -> dict[str, str]:
    return {
        "recipe_dataset_sha256": recipe.dataset_sha256(),
        "samples_sha256": sha256_file(dataset_dir / SAMPLES),
        "spectra_sha256": sha256_file(dataset_dir / SPECTRA),
        "fitted_on_train": "network, int8 rounding, readouts, fresh state, drift, process model",
        "chosen_on_validation": f"{choice.candidate}; {recipe.filter.context} context",
        **{f"candidate {candidate}": score for candidate, score in choice.scores.items()},
        **{f"validation_{name}": f"{value:.4g}" for name, value in figures.items()},
        **{f"version_{name}": version for name, version in versions().items()},
    }
