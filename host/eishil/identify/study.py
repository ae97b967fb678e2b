"""The identifiability study of a recipe: the bound on held-out lives, and frequencies chosen on validation lives."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eishil.dataset.recipe import MeasurementRecipe, Recipe
from eishil.dataset.tables import Dataset
from eishil.files import write_atomic
from eishil.identify.bound import LifePrior, correlation
from eishil.identify.cramer_rao import Bound, bound_of, population_lives
from eishil.identify.experiment import MULTISINE, ONE_BY_ONE, Criterion, Instrument, Plan, TimeModel, best_plan
from eishil.identify.sensitivities import MODES
from eishil.identify.sensitivity_store import TrajectorySensitivities, trajectory_sensitivities
from eishil.network.samples import frequency_columns
from eishil.progress import Progress
from eishil.versions import versions

Floats = NDArray[np.float64]
CANDIDATES_PER_DECADE, LOWEST_DECADE, HIGHEST_DECADE = 6, -3, 3
BUDGETS_S = (10.0, 60.0, 300.0, 1200.0, 3600.0)
DESIGN_LIVES = 20  # validation trajectories that frequencies are chosen on, the first ones
# While plans are searched for: directions of the prior and steps of the lives. What is reported has all of them.
SEARCH_DIRECTIONS, SEARCH_EVERY = 24, 3


@dataclass(frozen=True)
class Variant:
    """The bound of SOH under other assumptions, on the held-out lives: all spectra and the end of life."""

    name: str
    soh_rms: float
    soh_rms_end_of_life: float


@dataclass(frozen=True)
class FrequencyValue:
    """What one frequency is worth, by the bound of SOH on validation lives.

    `alone` with nothing else; `exchanged` without it where it is one of the recipe's, with it in addition where not.
    """

    frequency_Hz: float
    chosen: bool
    alone: float
    exchanged: float


@dataclass(frozen=True)
class BudgetedPlan:
    """The best plan found within a measuring time."""

    instrument: Instrument
    budget_s: float
    plan: Plan


@dataclass(frozen=True)
class Study:
    """All figures of a study; standard deviations are root mean squares over spectra.

    `rises` has, for each mode, the share of validation spectra in which an observation grows with it at the same rest
    voltage: ln Re Z at all of `frequency_Hz`, then ln(-Im Z). `by_cycle` has, for each of `cycles`, the bound, that of
    this one spectrum alone, and the population's scatter.
    """

    recipe: str
    trajectories: int
    spectra: int
    frequency_Hz: list[float]
    measurement: Mapping[str, float]
    soh_rms: float
    soh_rms_end_of_life: float
    prior_soh_rms: float
    mode_rms: Mapping[str, float]
    prior_mode_rms: Mapping[str, float]
    mode_correlation: list[list[float]]
    variants: list[Variant]
    cycles: list[float]
    by_cycle: Mapping[str, list[float]]
    periods: float
    validation_trajectories: int
    rises: Mapping[str, list[float]]
    values: list[FrequencyValue]
    recipe_plans: list[BudgetedPlan]
    plans: list[BudgetedPlan]
    largest_step_error: float
    versions: Mapping[str, str]

    def save(self, path: Path) -> None:
        """Write the figures as JSON."""
        write_atomic(path, json.dumps(asdict(self), indent=1) + "\n")


def study(recipe: Recipe, dataset: Dataset, directory: Path, workers: int, periods: float, progress: Progress) -> Study:
    """Make the study; sensitivities are kept in `directory`."""
    prior = LifePrior.of_population(population_lives(recipe))
    held_out = trajectory_sensitivities(
        recipe.cell, dataset.split("test"), dataset.frequency_Hz, directory, workers, progress
    )
    columns = frequency_columns(dataset.frequency_Hz, recipe.network.frequency_Hz)
    bound = bound_of(prior, held_out, columns, recipe.measurement)
    single = single_spectrum_bound(prior, held_out, columns, recipe.measurement)
    candidates_Hz = candidates(recipe)
    validation = trajectory_sensitivities(
        recipe.cell, _first_lives(dataset.split("validation")), candidates_Hz, directory, workers, progress
    )
    criterion = Criterion(prior, validation, candidates_Hz, recipe.measurement)
    chosen = frequency_columns(candidates_Hz, recipe.network.frequency_Hz)
    times = [TimeModel(instrument, periods) for instrument in (MULTISINE, ONE_BY_ONE)]
    errors = [life.here.step_error for life in (*held_out, *validation)]
    return Study(
        recipe=recipe.name,
        trajectories=len(held_out),
        spectra=int(np.isfinite(bound.soh_std).sum()),
        frequency_Hz=recipe.network.frequency_Hz,
        measurement=recipe.measurement.model_dump(),
        soh_rms=bound.soh_rms,
        soh_rms_end_of_life=bound.soh_rms_end_of_life,
        prior_soh_rms=_rms(bound.prior_soh_std),
        mode_rms=dict(zip(MODES, bound.mode_rms.tolist(), strict=True)),
        prior_mode_rms=dict(zip(MODES, _prior_mode_rms(prior).tolist(), strict=True)),
        mode_correlation=correlation(bound.mode_covariance[np.isfinite(bound.soh_std)]).tolist(),
        variants=_variants(recipe, dataset.frequency_Hz, prior, held_out, bound, single),
        cycles=bound.cycles.tolist(),
        by_cycle={
            "bound": _by_cycle(bound.soh_std),
            "single": _by_cycle(single.soh_std),
            "prior": _by_cycle(bound.prior_soh_std),
        },
        periods=periods,
        validation_trajectories=len(validation),
        rises=rises(validation, chosen, len(candidates_Hz)),
        values=_values(criterion, chosen),
        recipe_plans=[_recipe_plan(criterion, chosen, time) for time in times],
        plans=_plans(criterion, prior, validation, recipe, times, progress),
        largest_step_error=float(np.nanmax(np.concatenate(errors))),
        versions=versions(),
    )


def _first_lives(dataset: Dataset) -> Dataset:
    names = [name for name, _ in islice(dataset.trajectories(), DESIGN_LIVES)]
    return dataset.select(dataset.samples["cell_id"].isin(names).to_numpy())


def candidates(recipe: Recipe) -> Floats:
    """Six a decade from 1 mHz to 1 kHz, and the recipe's own."""
    decades = np.arange(LOWEST_DECADE * CANDIDATES_PER_DECADE, HIGHEST_DECADE * CANDIDATES_PER_DECADE + 1)
    grid = 10.0 ** (decades / CANDIDATES_PER_DECADE)
    own = np.asarray(recipe.network.frequency_Hz)
    apart = np.abs(np.log(grid[:, None] / own)).min(axis=1) > 0.02  # 21.5 Hz is 10^(4/3) Hz
    return np.sort(np.concatenate([grid[apart], own]))


def rises(lives: Sequence[TrajectorySensitivities], chosen: Sequence[int], n: int) -> dict[str, list[float]]:
    """As `Study.rises`, at the `chosen` ones of n frequencies."""
    dz = np.concatenate([life.here.dz for life in lives])[:, [*chosen, *(n + k for k in chosen)]]
    there = dz[np.isfinite(dz).all(axis=(1, 2))]
    return {mode: np.mean(there[:, :, k] > 0, axis=0).tolist() for k, mode in enumerate(MODES)}


def single_spectrum_bound(
    prior: LifePrior, lives: Sequence[TrajectorySensitivities], columns: Sequence[int], measurement: MeasurementRecipe
) -> Bound:
    """The bound where each spectrum is all that is known of its cell but its age."""
    steps = range(len(prior.mean))
    alone = [LifePrior(prior.mean[[k]], prior.factor[[k]]) for k in steps]
    parts = [bound_of(alone[k], [life.at(k) for life in lives], columns, measurement) for k in steps]
    return Bound(
        soh_std=np.concatenate([part.soh_std for part in parts], axis=1),
        mode_covariance=np.concatenate([part.mode_covariance for part in parts], axis=1),
        prior_soh_std=np.concatenate([part.prior_soh_std for part in parts], axis=1),
        cycles=lives[0].cycles,
    )


def _variants(
    recipe: Recipe,
    frequency_Hz: Floats,
    prior: LifePrior,
    lives: Sequence[TrajectorySensitivities],
    bound: Bound,
    single: Bound,
) -> list[Variant]:
    columns, measurement = frequency_columns(frequency_Hz, recipe.network.frequency_Hz), recipe.measurement
    walk = LifePrior.of_random_walk(population_lives(recipe), bound.cycles)
    exact = measurement.model_copy(update={"voltage_std_V": 0.0, "temperature_std_K": 0.0})
    noisy = measurement.model_copy(update={"z_relative_std": 3 * measurement.z_relative_std})
    every = range(len(frequency_Hz))
    bounds = {
        "as in the recipe": bound,
        f"all {len(frequency_Hz)} frequencies of the data set": bound_of(prior, lives, every, measurement),
        "voltage and temperature known exactly": bound_of(prior, lives, columns, exact),
        "three times the noise on Z": bound_of(prior, lives, columns, noisy),
        "lives are random walks": bound_of(walk, lives, columns, measurement),
        "one spectrum, no history": single,
    }
    return [Variant(name, one.soh_rms, one.soh_rms_end_of_life) for name, one in bounds.items()]


def _values(criterion: Criterion, chosen: list[int]) -> list[FrequencyValue]:
    return [
        FrequencyValue(
            frequency_Hz=float(frequency),
            chosen=position in chosen,
            alone=criterion.soh_rms([position]),
            exchanged=criterion.soh_rms(set(chosen) ^ {position}),
        )
        for position, frequency in enumerate(criterion.candidates_Hz)
    ]


def _plans(
    criterion: Criterion,
    prior: LifePrior,
    lives: Sequence[TrajectorySensitivities],
    recipe: Recipe,
    times: Sequence[TimeModel],
    progress: Progress,
) -> list[BudgetedPlan]:
    """The best plans, searched with the prior's leading directions and judged with all of them."""
    leading = prior.leading(SEARCH_DIRECTIONS)
    search = Criterion(leading, lives, criterion.candidates_Hz, recipe.measurement, SEARCH_EVERY)
    wanted = [(time, budget_s) for time in times for budget_s in BUDGETS_S]
    found = []
    for done, (time, budget_s) in enumerate(wanted):
        progress("plans", done, len(wanted), f"{time.instrument}, {budget_s:g} s")
        plan = best_plan(search, time, budget_s, len(recipe.network.frequency_Hz))
        judged = criterion.soh_rms(frequency_columns(criterion.candidates_Hz, plan.frequency_Hz))
        found.append(BudgetedPlan(time.instrument, budget_s, Plan(plan.frequency_Hz, plan.duration_s, judged)))
    progress("plans", len(wanted), len(wanted))
    return found


def _recipe_plan(criterion: Criterion, chosen: list[int], time: TimeModel) -> BudgetedPlan:
    frequency_Hz = criterion.candidates_Hz[chosen]
    duration_s = time.duration_s(frequency_Hz)
    plan = Plan(tuple(frequency_Hz.tolist()), duration_s, criterion.soh_rms(chosen))
    return BudgetedPlan(time.instrument, duration_s, plan)


def _prior_mode_rms(prior: LifePrior) -> Floats:
    return np.asarray(np.sqrt(np.diagonal(prior.covariance(), axis1=1, axis2=2).mean(axis=0)))


def _by_cycle(std: Floats) -> list[float]:
    return [_rms(column) for column in std.T]


def _rms(std: Floats) -> float:
    return float(np.sqrt(np.nanmean(np.square(std))))
