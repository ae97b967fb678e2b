"""The teacher: a large network whose outputs are the weights of relaxations, R_k = scale_k softplus(net_k)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from eishil.dataset.recipe import NetworkRecipe
from eishil.network.mlp import Array, FloatNetwork
from eishil.network.samples import NetworkSamples
from eishil.network.soap import Objective, Schedule, Single, backward, forward, minimise
from eishil.network.train import BLAS_THREADS, Scaling, network_of, random_start
from eishil.network_study.relaxation import RelaxationBasis
from eishil.progress import Progress

Real = TypeVar("Real", np.float32, np.float64)
SOFTPLUS_IS_ONE = float(np.log(np.e - 1))  # a network starts around the mean spectrum


@dataclass(frozen=True)
class Teacher:
    """ln Re Z and ln(-Im Z) at `frequency_Hz` from relaxations; contact resistance is in series and not in here.

    Parameters
    ----------
    network
        Gives the arguments of softplus, (n_weights,), instead of ln ohm.
    scale_ohm
        (n_weights,), what a weight is where softplus is 1.
    """

    network: FloatNetwork
    basis: RelaxationBasis
    scale_ohm: Array
    frequency_Hz: Array

    @property
    def n_inputs(self) -> int:
        return self.network.n_inputs

    def at(self, frequency_Hz: Array) -> Teacher:
        """The same at other frequencies: a spectrum of relaxations is known at all of them."""
        return replace(self, frequency_Hz=np.asarray(frequency_Hz, np.float64))

    def evaluate(self, v: Array) -> tuple[Array, Array]:
        """Outputs (..., m) in ln ohm and Jacobian (..., m, n_inputs) at physical inputs v (..., n_inputs)."""
        u, du_dv = self.network.evaluate(v)
        matrix = self.basis.matrix(self.frequency_Hz) * self.scale_ohm
        parts_ohm = softplus(u) @ matrix.T
        dz_dv = matrix @ (sigmoid(u)[..., None] * du_dv)
        return np.log(parts_ohm), dz_dv / parts_ohm[..., None]


def softplus(u: NDArray[Real]) -> NDArray[Real]:
    """ln(1 + exp u)."""
    return np.logaddexp(0, u, dtype=u.dtype)


def sigmoid(u: NDArray[Real]) -> NDArray[Real]:
    """The derivative of softplus."""
    return np.exp(-softplus(-u))


def relaxation_objective(matrix: Single) -> Objective:
    """Mean squared error of ln(matrix softplus(u)) against ln ohm; `matrix` (m, n_weights) holds the weights' scale."""

    def objective(parameters: Sequence[Single], x: Single, y: Single) -> tuple[float, list[Single]]:
        activations, u = forward(parameters, x)
        parts = softplus(u) @ matrix.T
        error = np.log(parts) - y
        back = ((error * np.float32(2 / error.size) / parts) @ matrix) * sigmoid(u)
        return float(np.mean(error * error)), backward(parameters, activations, back)

    return objective


def fit_teacher(settings: NetworkRecipe, samples: NetworkSamples, progress: Progress) -> Teacher:
    """Train a teacher; `settings.frequency_Hz` are those of the samples, all that the data set has."""
    scaling = Scaling.of(samples)
    frequency_Hz = np.array(settings.frequency_Hz)
    basis = RelaxationBasis.of(frequency_Hz)
    scale_ohm = basis.spread_weights(scaling.output_mean, frequency_Hz)
    x = ((samples.v - scaling.input_mean) / scaling.input_std).astype(np.float32)
    rng = np.random.default_rng(settings.seed)
    start = random_start((x.shape[1], *settings.hidden, basis.n_weights), rng)
    start[-1] += np.float32(SOFTPLUS_IS_ONE)
    schedule = Schedule(settings.epochs, settings.batch, settings.learning_rate)
    objective = relaxation_objective((basis.matrix(frequency_Hz) * scale_ohm).astype(np.float32))

    def tick(done: int, value: float) -> None:
        progress("teacher", done, settings.epochs, f"loss {value:.2e}")

    with threadpool_limits(BLAS_THREADS):
        parameters = minimise(start, x, samples.ln_ohm.astype(np.float32), schedule, rng, tick, objective)
    plain = replace(scaling, output_mean=np.zeros(basis.n_weights), output_std=1.0)
    return Teacher(network_of(parameters, plain, settings.frequency_Hz), basis, scale_ohm, frequency_Hz)
