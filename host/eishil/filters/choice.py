"""Choose the process model and the mismatch floor: every candidate is replayed on validation trajectories.

The score is the mean negative log-likelihood of the true SOH, which asks for small errors and for honest sigmas at
once. Test trajectories play no part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eishil.filters.ekf import Network
from eishil.filters.population import AgeingPath, ProcessModel, latent_trajectories, random_walk
from eishil.filters.replay import Estimates, MeasuredCell, replay
from eishil.model import Mode, Model

N_NODES = 31


@dataclass(frozen=True)
class Candidate:
    """`process` is "random_walk" or "latent"; `mismatch_std` in ln ohm."""

    process: str
    process_std_scale: float
    mismatch_std: float

    def __str__(self) -> str:
        return f"{self.process}, process std x {self.process_std_scale:g}, mismatch {self.mismatch_std:g} ln ohm"


@dataclass(frozen=True)
class Choice:
    """The best candidate, its model, and its estimates on the validation trajectories."""

    candidate: Candidate
    model: Model
    estimates: Estimates


def process_model(
    candidate: Candidate, paths: Sequence[AgeingPath], modes: Sequence[Mode], n_latents: int
) -> ProcessModel:
    """The process model of a candidate, from the training population."""
    if candidate.process == "latent":
        return latent_trajectories(paths, modes, n_latents, N_NODES, candidate.process_std_scale)
    return random_walk(paths, modes, candidate.process_std_scale)


def choose(
    candidates: Sequence[Candidate],
    build: Callable[[Candidate], Model],
    network: Network,
    cells: Sequence[MeasuredCell],
    tick: Callable[[int, str], None],
) -> Choice:
    """The candidate with the smallest negative log-likelihood of SOH on `cells`, with the unquantised `network`."""
    best: Choice | None = None
    for done, candidate in enumerate(candidates, start=1):
        model = build(candidate)
        choice = Choice(candidate, model, replay(model, network, cells))
        if best is None or choice.estimates.negative_log_likelihood < best.estimates.negative_log_likelihood:
            best = choice
        tick(done, f"{candidate}: SOH RMSE {choice.estimates.rmse:.4f}")
    if best is None:
        raise ValueError("there are no candidates")
    return best
