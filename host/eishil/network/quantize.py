"""Quantise the network and put the estimator together: `network_int8.onnx` and `model.json`.

Weights, readouts, priors and drift come from training cells; residuals and every choice from validation cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from eishil.dataset.measurement import measure
from eishil.dataset.recipe import Recipe
from eishil.dataset.tables import SAMPLES, SPECTRA, Dataset
from eishil.errors import RecipeError
from eishil.files import sha256_file, write_atomic
from eishil.filters.choice import Candidate, Choice, choose, process_model
from eishil.filters.population import AgeingPath
from eishil.filters.replay import Estimates, MeasuredCell, measured_cells, replay
from eishil.model import IntegerNetwork, Mode, Model, Noise, Readout, SeriesTerm
from eishil.network.conversion import convert
from eishil.network.integer import IntegerReference
from eishil.network.mlp import Array, FloatNetwork
from eishil.network.onnx_files import load_float_network, write_integer_network
from eishil.network.readout_fit import fit_readout, residual_std
from eishil.network.samples import (
    MODE_UNITS,
    OHM_PER_MILLIOHM,
    SERIES_MODE,
    NetworkSamples,
    describe_modes,
    frequency_columns,
    modes_of,
    network_samples,
)
from eishil.network.train import FLOAT_FILE
from eishil.progress import Progress
from eishil.versions import versions

INT8_FILE, MODEL_FILE = "network_int8.onnx", "model.json"
LEAST_PATHS = 2
SOH_INPUTS = ("lli", "lam_ne", "lam_pe")  # eSOH knows no other mode


@dataclass(frozen=True)
class Parts:
    """What every candidate model has in common."""

    modes: list[Mode]
    paths: list[AgeingPath]
    network: IntegerNetwork
    frequency_Hz: list[float]
    variance: Array
    readout: Readout


def quantize(recipe: Recipe, dataset_dir: Path, model_dir: Path, progress: Progress) -> dict[str, float]:
    """Write `network_int8.onnx` and `model.json` to `model_dir`; give figures for the terminal."""
    dataset = Dataset.open(dataset_dir)
    train, validation = dataset.split("train"), dataset.split("validation")
    network = load_float_network(model_dir / FLOAT_FILE)
    integer = convert(network, network_samples(train, network.frequency_Hz).v)
    write_integer_network(integer, network.frequency_Hz, model_dir / INT8_FILE)
    held_out = network_samples(validation, network.frequency_Hz)
    parts = _parts(recipe, train, validation, network, integer, held_out)
    columns = frequency_columns(dataset.frequency_Hz, network.frequency_Hz)
    cells = measured_cells(validation, columns, recipe.measurement, recipe.seed)
    if not cells:
        raise RecipeError("population.validation.trajectories: one or more are needed to choose the process model")
    choice = _choose(recipe, parts, network, cells, progress)
    quantised = replay(choice.model, IntegerReference(integer), cells)
    figures = _figures(network, integer, held_out, choice.estimates, quantised)
    provenance = _provenance(recipe, dataset_dir, choice, figures)
    model = choice.model.model_copy(update={"provenance": provenance})
    write_atomic(model_dir / MODEL_FILE, model.to_json())
    return figures


def measurement_variance(recipe: Recipe, dataset: Dataset, frequency_Hz: Array) -> Array:
    """Mean squared effect of the instrument's noise on every observation, (m,), in (ln ohm)^2."""
    columns = frequency_columns(dataset.frequency_Hz, frequency_Hz)
    clean = dataset.z_ohm[:, columns]
    noise = measure(dataset, recipe.measurement, recipe.seed).z_ohm[:, columns] - clean
    relative = np.concatenate([noise.real / clean.real, noise.imag / clean.imag], axis=1)
    return np.asarray(np.nanmean(relative**2, axis=0))


def _parts(
    recipe: Recipe,
    train: Dataset,
    validation: Dataset,
    network: FloatNetwork,
    integer: IntegerNetwork,
    held_out: NetworkSamples,
) -> Parts:
    modes = describe_modes(modes_of(train))
    residual = IntegerReference(integer).evaluate(held_out.v)[0] - held_out.ln_ohm
    variance = np.mean(residual**2, axis=0) + measurement_variance(recipe, validation, network.frequency_Hz)
    paths = [
        AgeingPath(cell.samples["cycles"].to_numpy(np.float64), modes_of(cell)) for _, cell in train.trajectories()
    ]
    if len(paths) < LEAST_PATHS:
        raise RecipeError(f"population.train.trajectories: {LEAST_PATHS} or more show how cells age, not {len(paths)}")
    return Parts(modes, paths, integer, network.frequency_Hz.tolist(), variance, _soh_readout(train, validation))


def _soh_readout(train: Dataset, validation: Dataset) -> Readout:
    """SOH as a function of the modes, from the eSOH labels of all samples that a cell can be."""
    columns = [list(MODE_UNITS).index(name) for name in SOH_INPUTS]
    labels = []
    for dataset in (train, validation):
        soh = dataset.samples["soh"].to_numpy(np.float64)
        feasible = np.isfinite(soh)
        labels.append((modes_of(dataset)[feasible][:, columns], soh[feasible]))
    fitted = fit_readout("soh", SOH_INPUTS, *labels[0])
    return fitted.model_copy(update={"residual_std": residual_std(fitted, *labels[1])})


def _choose(
    recipe: Recipe, parts: Parts, network: FloatNetwork, cells: list[MeasuredCell], progress: Progress
) -> Choice:
    settings = recipe.filter
    candidates = [
        Candidate(*one) for one in product(settings.process, settings.process_std_scale, settings.mismatch_std)
    ]
    return choose(
        candidates,
        lambda candidate: _model(recipe, parts, candidate),
        network,
        cells,
        lambda done, note: progress("quantize", done, len(candidates), note),
    )


def _model(recipe: Recipe, parts: Parts, candidate: Candidate) -> Model:
    n = len(parts.frequency_Hz)
    process = process_model(candidate, parts.paths, parts.modes, recipe.filter.n_latents)
    return Model(
        name=recipe.name,
        description=recipe.description,
        modes=parts.modes,
        states=process.states,
        trajectory=process.trajectory,
        priors=process.priors,
        frequency_Hz=parts.frequency_Hz,
        series_terms=[SeriesTerm(mode=SERIES_MODE, coefficient=[OHM_PER_MILLIOHM] * n + [0.0] * n)],
        noise=Noise(
            variance=(parts.variance + candidate.mismatch_std**2).tolist(),
            voltage_std_V=recipe.measurement.voltage_std_V,
            temperature_std_K=recipe.measurement.temperature_std_K,
        ),
        network=parts.network,
        readouts=[parts.readout],
        provenance={},
    )


def _figures(
    network: FloatNetwork, integer: IntegerNetwork, held_out: NetworkSamples, chosen: Estimates, quantised: Estimates
) -> dict[str, float]:
    """Figures on validation cells."""
    reference = IntegerReference(integer)
    y, y_integer = network.evaluate(held_out.v)[0], reference.evaluate(held_out.v)[0]
    difference = quantised.soh - chosen.soh
    return {
        "float_residual_ln_ohm": _rms(y - held_out.ln_ohm),
        "int8_residual_ln_ohm": _rms(y_integer - held_out.ln_ohm),
        "int8_to_float_ln_ohm": _rms(y_integer - y),
        "soh_rmse": chosen.rmse,
        "soh_rmse_int8": quantised.rmse,
        "coverage_1_sigma": chosen.coverage(1.0),
        "coverage_2_sigma": chosen.coverage(2.0),
        "int8_to_float_soh_rms": _rms(difference),
        "int8_to_float_soh_max": float(np.abs(difference).max()),
    }


def _provenance(recipe: Recipe, dataset_dir: Path, choice: Choice, figures: dict[str, float]) -> dict[str, str]:
    return {
        "recipe_dataset_sha256": recipe.dataset_sha256(),
        "samples_sha256": sha256_file(dataset_dir / SAMPLES),
        "spectra_sha256": sha256_file(dataset_dir / SPECTRA),
        "fitted_on_train": "network, int8 rounding, readouts, fresh state, drift, process model",
        "chosen_on_validation": str(choice.candidate),
        **{f"validation_{name}": f"{value:.4g}" for name, value in figures.items()},
        **{f"version_{name}": version for name, version in versions().items()},
    }


def _rms(error: Array) -> float:
    return float(np.sqrt(np.mean(error**2)))
