"""Put an estimator together from its parts: observation network, noise, process model, readouts.

Process model, readouts and network come from training cells; residuals and every choice from validation cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from eishil.dataset.recipe import FilterRecipe, Recipe
from eishil.dataset.tables import Dataset
from eishil.errors import RecipeError
from eishil.filters import readout
from eishil.filters.choice import Candidate, process_model
from eishil.filters.observation import Network, ObservationModel, observations
from eishil.filters.population import AgeingPath
from eishil.filters.replay import MeasuredCell, measured_cells, replay
from eishil.filters.speed import changed_paths
from eishil.model import Curvature, Gate, IntegerNetwork, Mode, Model, Noise, Readout, SeriesTerm
from eishil.network.integer import IntegerReference
from eishil.network.mlp import Array, FloatNetwork
from eishil.network.noise import mean_squared_residual, observation_noise
from eishil.network.readout_fit import fit_readout, residual_std
from eishil.network.samples import (
    MODE_UNITS,
    OHM_PER_MILLIOHM,
    SERIES_MODE,
    describe_modes,
    frequency_columns,
    modes_of,
    network_samples,
)

LEAST_PATHS = 2
SPEED_STREAM = 1_000_004  # of training paths; apart from the streams of the data set, as is the next
SPEED_STREAM_VALIDATION = 1_000_005
SOH_INPUTS = ("lli", "lam_ne", "lam_pe")  # eSOH knows no other mode
WORTH_SAMPLES = 400
SOH_WORTH_STD = 0.0015  # an error of SOH by this much weighs as much as one standard deviation of a spectrum
CALIBRATION_ROUNDS = 2
CALIBRATION_DRAWS = 12
MEASUREMENT_STRIDE = 1_000_000  # between seeds of draws; recipes and evaluations have nearer ones
RIDGE = 1e-12


@dataclass(frozen=True)
class Parts:
    """What every candidate model has in common.

    `noise` has the residual of the integer network on validation cells; `gradient` (p,) is the mean of SOH's over
    spectra of training trajectories; `worth` (p, p) as in `population.latent_trajectories`.
    """

    modes: list[Mode]
    paths: list[AgeingPath]
    network: IntegerNetwork
    frequency_Hz: list[float]
    noise: Noise
    readouts: list[Readout]
    gradient: Array
    worth: Array


def parts_of(
    recipe: Recipe, train: Dataset, validation: Dataset, network: FloatNetwork, integer: IntegerNetwork
) -> Parts:
    """Fit everything but the network.

    Raises
    ------
    RecipeError
        There are not enough training trajectories to show how cells age.
    """
    modes, soh, lives = describe_modes(modes_of(train)), _soh_readout(train, validation), _some_of_lives(train)
    reference = IntegerReference(integer)
    residual = mean_squared_residual(reference, network_samples(validation, network.frequency_Hz))
    parts = Parts(
        modes=modes,
        paths=_paths(recipe, train),
        network=integer,
        frequency_Hz=network.frequency_Hz.tolist(),
        noise=observation_noise(recipe, residual, reference, network_samples(train, network.frequency_Hz).v),
        readouts=[soh],
        gradient=readout.evaluate(soh, [mode.name for mode in modes], modes_of(lives))[1].mean(axis=0),
        worth=np.eye(len(MODE_UNITS)),
    )
    in_modes = assemble(recipe, parts, Candidate("random_walk", 1.0, 0.0))
    return replace(parts, worth=_worth_of_modes(in_modes, lives, network, parts.gradient))


def assemble(recipe: Recipe, parts: Parts, candidate: Candidate) -> Model:
    """The model of a candidate."""
    n, variance = len(parts.frequency_Hz), np.array(parts.noise.variance) + candidate.mismatch_std**2
    process = process_model(candidate, parts.paths, parts.modes, parts.worth)
    return Model(
        name=recipe.name,
        description=recipe.description,
        modes=parts.modes,
        states=process.states,
        trajectory=process.trajectory,
        priors=process.priors,
        frequency_Hz=parts.frequency_Hz,
        series_terms=[SeriesTerm(mode=SERIES_MODE, coefficient=[OHM_PER_MILLIOHM] * n + [0.0] * n)],
        noise=parts.noise.model_copy(update={"variance": variance.tolist()}),
        curvature=Curvature(gradient=parts.gradient.tolist()) if candidate.curvature else None,
        gate=_gate(recipe.filter),
        network=parts.network,
        readouts=parts.readouts,
        provenance={},
    )


def _gate(recipe: FilterRecipe) -> Gate | None:
    if recipe.outlier_probability == 0:
        return None
    return Gate(
        probability=recipe.outlier_probability,
        patience=recipe.outlier_patience,
        probation=recipe.outlier_probation,
    )


def calibrated(
    model: Model, network: Network, cells: Sequence[MeasuredCell], again: Sequence[Sequence[MeasuredCell]] = ()
) -> tuple[Model, float]:
    """The model with its variances, the instrument's too, scaled so that NIS per observation is 1; and the scale.

    The state's own share of an innovation is not scaled, so that the scale is found by repetition. With `again`, the
    same cells measured again, the last repetition is over all measurements: one draw of the noise is as far from its
    mean as a chi-square interval is wide.
    """
    noise, scale = model.noise, 1.0
    for measurements in (*[[cells]] * CALIBRATION_ROUNDS, [cells, *again]):
        scale *= float(np.mean([replay(model, network, measured).nis_mean for measured in measurements]))
        model = model.model_copy(update={"noise": _scaled(noise, scale)})
    return model, scale


def _scaled(noise: Noise, scale: float) -> Noise:
    variance = (scale * np.array(noise.variance)).tolist()
    return noise.model_copy(update={"variance": variance, "instrument_std": scale**0.5 * noise.instrument_std})


def measured_again(
    recipe: Recipe, dataset: Dataset, frequency_Hz: Sequence[float], seed: int
) -> list[list[MeasuredCell]]:
    """Trajectories with other draws of the instrument's noise than that of `seed`, for `calibrated`."""
    columns = frequency_columns(dataset.frequency_Hz, frequency_Hz)
    seeds = [seed + k * MEASUREMENT_STRIDE for k in range(1, CALIBRATION_DRAWS)]
    return [measured_cells(dataset, columns, recipe.measurement, one) for one in seeds]


def _paths(recipe: Recipe, train: Dataset) -> list[AgeingPath]:
    paths = [
        AgeingPath(cell.samples["cycles"].to_numpy(np.float64), modes_of(cell)) for _, cell in train.trajectories()
    ]
    if len(paths) < LEAST_PATHS:
        raise RecipeError(f"population.train.trajectories: {LEAST_PATHS} or more show how cells age, not {len(paths)}")
    if recipe.filter.speed is None:
        return paths
    return paths + changed_paths(paths, recipe.filter.speed, np.random.default_rng([recipe.seed, SPEED_STREAM]))


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


def _some_of_lives(train: Dataset) -> Dataset:
    """Spectra of training trajectories, at random: a regular stride could meet every life at the same age."""
    lives = train.select((train.samples["population"] == "trajectory").to_numpy())
    return lives.select(np.sort(np.random.default_rng(0).permutation(len(lives))[:WORTH_SAMPLES]))


def _worth_of_modes(model: Model, lives: Dataset, network: FloatNetwork, gradient: Array) -> Array:
    """What a deviation of the modes is worth, (p, p): how well one spectrum shows it, and what it does to SOH.

    Mean of J^T R^-1 J over `lives`, plus the outer product of SOH's gradient. `model` has the modes for states.
    """
    observed = ObservationModel(model, network)
    z_ohm = lives.z_ohm[:, frequency_columns(lives.frequency_Hz, network.frequency_Hz)]
    context = (lives.samples[name].to_numpy(np.float64) for name in ("voltage_V", "temperature_degC"))
    line = observed.linearise(modes_of(lives), np.zeros(len(lives)), *context)
    line = observed.with_instrument_noise(line, observations(z_ohm, np.isfinite(z_ohm)))
    known = np.isfinite(line.H).all(axis=(1, 2))
    H, R = line.H[known], line.R[known]
    information = np.einsum("kmp,kmq->pq", H, np.linalg.solve(R, H)) / len(lives)
    information += RIDGE * np.trace(information) * np.eye(model.n_modes)
    worth = gradient / SOH_WORTH_STD
    return np.asarray(information + np.outer(worth, worth))
