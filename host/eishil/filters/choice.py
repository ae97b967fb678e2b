"""Choose the process model and the mismatch floor: every candidate is replayed on validation trajectories.

The score is the mean negative log-likelihood of the true SOH, which asks for small errors and for honest sigmas at
once. Test trajectories play no part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from eishil.dataset.recipe import FilterRecipe
from eishil.filters.observation import Array, Network
from eishil.filters.population import (
    AgeingPath,
    ProcessModel,
    empirical_moments,
    latent_trajectories,
    level_and_velocity_moments,
    random_walk,
)
from eishil.filters.replay import Estimates, MeasuredCell, replay
from eishil.model import Mode, Model

N_NODES = 31
MOMENTS = {"latent": empirical_moments, "level_velocity": level_and_velocity_moments}


@dataclass(frozen=True)
class Candidate:
    """A process model and a noise floor: `process` as in `FilterRecipe`, `mismatch_std` in ln ohm.

    `n_latents` and `walk_std` belong to trajectories of latents: see `population.latent_trajectories`. `curvature` is
    whether the model has second-order terms.
    """

    process: str
    process_std_scale: float
    mismatch_std: float
    n_latents: int = 0
    walk_std: float = 0.0
    curvature: bool = False

    def __str__(self) -> str:
        latents = f", {self.n_latents} latents that walk {self.walk_std:g}" if self.n_latents else ""
        order = "second order" if self.curvature else "first order"
        scales = f"process std x {self.process_std_scale:g}, mismatch {self.mismatch_std:g} ln ohm"
        return f"{self.process}{latents}, {order}, {scales}"


@dataclass(frozen=True)
class Choice:
    """The best candidate, its model, its estimates on the validation trajectories, and what each candidate scored."""

    candidate: Candidate
    model: Model
    estimates: Estimates
    scores: dict[Candidate, str]


def candidates(recipe: FilterRecipe) -> list[Candidate]:
    """Every combination that the recipe names; a random walk has no latents to combine with."""
    found = []
    common = product(recipe.process, recipe.process_std_scale, recipe.mismatch_std, recipe.curvature)
    for process, scale, mismatch, curvature in common:
        latents = [(0, 0.0)] if process == "random_walk" else product(recipe.n_latents, recipe.walk_std)
        found += [Candidate(process, scale, mismatch, n, walk, curvature) for n, walk in latents]
    return found


def process_model(
    candidate: Candidate, paths: Sequence[AgeingPath], modes: Sequence[Mode], worth: Array
) -> ProcessModel:
    """The process model of a candidate, from the training population; `worth` as in `latent_trajectories`."""
    if candidate.process == "random_walk":
        return random_walk(paths, modes, candidate.process_std_scale)
    moments = MOMENTS[candidate.process](paths, N_NODES)
    return latent_trajectories(moments, worth, candidate.n_latents, candidate.process_std_scale, candidate.walk_std)


def choose(
    candidates: Sequence[Candidate],
    build: Callable[[Candidate], Model],
    network: Network,
    cells: Sequence[MeasuredCell],
    tick: Callable[[int, str], None],
) -> Choice:
    """The candidate with the smallest negative log-likelihood of SOH on `cells`, with `network`."""
    best: Choice | None = None
    scores: dict[Candidate, str] = {}
    for done, candidate in enumerate(candidates, start=1):
        model = build(candidate)
        choice = Choice(candidate, model, replay(model, network, cells), scores)
        if best is None or choice.estimates.negative_log_likelihood < best.estimates.negative_log_likelihood:
            best = choice
        score = choice.estimates.negative_log_likelihood
        scores[candidate] = f"SOH RMSE {choice.estimates.rmse:.5f}, negative log-likelihood {score:.4f}"
        tick(done, f"{candidate}: {scores[candidate]}")
    if best is None:
        raise ValueError("there are no candidates")
    return best
