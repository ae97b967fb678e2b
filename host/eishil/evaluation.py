"""What a device cannot tell of an estimator: the bound, the unscented filter, and how much of a figure is luck.

Everything is computed in float64 on this machine over the held-out trajectories, once, after all choices were made:
the Cramer-Rao bound, the recipe's own model with an unscented filter in place of the extended one, and for every seed
of `[evaluation]` a network trained from that start, quantised, calibrated on validation cells and run with noise drawn
from that seed. The process model is the one that was chosen for the recipe's own network.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from eishil.dataset.labels import remaining_cycles
from eishil.dataset.recipe import Recipe
from eishil.dataset.tables import Dataset
from eishil.errors import RecipeError
from eishil.evaluation_figures import HostFigures, SeedFigures
from eishil.files import write_atomic
from eishil.filters.forecast import Forecast
from eishil.filters.observation import Network
from eishil.filters.replay import MeasuredCell, measured_cells, replay
from eishil.filters.scores import rms
from eishil.filters.ukf import reference_filter
from eishil.identify.cramer_rao import per_trajectory_cramer_rao
from eishil.model import Model
from eishil.network.assemble import calibrated, measured_again
from eishil.network.conversion import convert
from eishil.network.integer import IntegerReference
from eishil.network.mlp import Array, FloatNetwork
from eishil.network.noise import mean_squared_residual, observation_noise
from eishil.network.samples import frequency_columns, network_samples
from eishil.network.train import fit_network
from eishil.progress import Progress

EVALUATION_FILE = "evaluation.json"
LATE = 0.8  # of a cell's cycles: what comes after is the end of life


def evaluate(
    recipe: Recipe, dataset_dir: Path, model: Model, out_dir: Path, workers: int, progress: Progress
) -> dict[str, float]:
    """Write `evaluation.json` to `out_dir`; give figures for the terminal.

    Raises
    ------
    RecipeError
        The recipe has no [evaluation] section.
    """
    dataset = Dataset.open(dataset_dir)
    if recipe.evaluation is None:
        raise RecipeError(f"{recipe.name}: there is no [evaluation] section to say what is to be evaluated")
    bound = per_trajectory_cramer_rao(recipe, dataset, out_dir / "sensitivities", workers, progress)
    cells = _cells(recipe, dataset, "test", model, recipe.seed)
    own_ukf = model.model_copy(update={"filter": "ukf", "curvature": None})
    unscented = replay(own_ukf, IntegerReference(model.network), cells)
    evaluation = HostFigures(
        cramer_rao_soh_rms=bound.soh_rms,
        cramer_rao_soh_rms_end_of_life=bound.soh_rms_end_of_life,
        soh_rmse_ukf=unscented.rmse,
        coverage_2_sigma_ukf=unscented.coverage(2.0),
        nees_mean_ukf=unscented.nees_mean,
        seeds=list(_seeds(recipe, recipe.evaluation.seeds, dataset, model, progress)),
    )
    write_atomic(out_dir / EVALUATION_FILE, evaluation.model_dump_json(indent=1) + "\n")
    errors = [one.soh_rmse for one in evaluation.seeds]
    return {
        "cramer_rao_soh_rms": bound.soh_rms,
        "soh_rmse_ukf": unscented.rmse,
        "least_soh_rmse_of_seeds": min(errors),
        "largest_soh_rmse_of_seeds": max(errors),
    }


def seed_figures(
    seed: int, model: Model, network: FloatNetwork, integer: Network, cells: list[MeasuredCell]
) -> SeedFigures:
    """Figures of a model over held-out cells."""
    estimates = replay(model, integer, cells)
    late = np.concatenate([_is_late(cell) for cell in cells])
    return SeedFigures(
        seed=seed,
        soh_rmse=estimates.rmse,
        soh_rmse_end_of_life=rms((estimates.soh - estimates.label)[late]),
        soh_rmse_float_network=replay(model, network, cells).rmse,
        coverage_1_sigma=estimates.coverage(1.0),
        coverage_2_sigma=estimates.coverage(2.0),
        nis_mean=estimates.nis_mean,
        nees_mean=estimates.nees_mean,
        rul_mae_cycles=remaining_life_error(model, integer, cells),
    )


def remaining_life_error(model: Model, network: Network, cells: list[MeasuredCell]) -> float | None:
    """Mean absolute error of the forecast over spectra before SOH 0.8 of lives that get there; None without any.

    A forecast that sees no end counts as one at the last cycle of all cells.
    """
    forecast, filter_, errors = Forecast(model), reference_filter(model, network), []
    last = max(float(cell.samples["cycles"].max()) for cell in cells)
    for cell in cells:
        cycles = cell.samples["cycles"].to_numpy(np.float64)
        label, censored = remaining_cycles(cycles, cell.soh)
        if censored:
            continue
        filter_.reset()
        for step, C, left in zip(cell.steps, cycles, label, strict=True):
            output = filter_.step(step)
            if left > 0:
                errors.append(abs(min(forecast.remaining_life(output, C).median, last - C) - left))
    return float(np.mean(errors)) if errors else None


def _seeds(
    recipe: Recipe, seeds: list[int], dataset: Dataset, model: Model, progress: Progress
) -> Iterator[SeedFigures]:
    samples, held_out = (
        network_samples(dataset.split(split), recipe.network.frequency_Hz) for split in ("train", "validation")
    )
    for done, seed in enumerate(seeds):
        progress("evaluate", done, len(seeds), f"seed {seed}")
        network, _ = fit_network(recipe.network.model_copy(update={"seed": seed}), samples, lambda *_: None)
        integer = convert(network, samples.v)
        reference = IntegerReference(integer)
        noise = observation_noise(recipe, mean_squared_residual(reference, held_out), reference, samples.v)
        changed = model.model_copy(update={"network": integer, "noise": noise})
        again = measured_again(recipe, dataset.split("validation"), model.frequency_Hz, seed)
        changed, _ = calibrated(changed, reference, _cells(recipe, dataset, "validation", model, seed), again)
        yield seed_figures(seed, changed, network, reference, _cells(recipe, dataset, "test", model, seed))
    progress("evaluate", len(seeds), len(seeds))


def _cells(recipe: Recipe, dataset: Dataset, split: str, model: Model, noise_seed: int) -> list[MeasuredCell]:
    columns = frequency_columns(dataset.frequency_Hz, model.frequency_Hz)
    return measured_cells(dataset.split(split), columns, recipe.measurement, noise_seed)


def _is_late(cell: MeasuredCell) -> Array:
    cycles = cell.samples["cycles"].to_numpy(np.float64)
    return np.asarray(cycles >= LATE * cycles[-1])
