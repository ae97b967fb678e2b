"""Mean squared error of a tanh MLP brought down by SOAP: Adam in the eigenbasis of Shampoo's preconditioner.

Vyas et al., SOAP: Improving and Stabilizing Shampoo using Adam, 2024. For layers of some ten units the two small
bases of a weight matrix cost next to nothing, and they take out what makes such regressions slow: directions of very
different curvature that Adam, which scales weight by weight, cannot see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Single = NDArray[np.float32]
Objective = Callable[[Sequence[Single], Single, Single], tuple[float, list[Single]]]

MOMENTUM, SCALE_MEMORY, BASIS_MEMORY = 0.9, 0.999, 0.95
STEPS_PER_BASIS = 10
WARM_UP_STEPS = 100
TINY = np.float32(1e-12)


@dataclass(frozen=True)
class Schedule:
    """`epochs` passes over the samples in batches of `batch`, the rate falling from `learning_rate` as a cosine."""

    epochs: int
    batch: int
    learning_rate: float


class _Matrix:
    """Optimiser state of one weight matrix or of one bias, which has a basis on one side only."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.momentum, self.scale = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self.covariances: list[Single] = [np.zeros((n, n), np.float32) for n in shape] if len(shape) == 2 else []
        self.bases: list[Single] = []

    def direction(self, gradient: Single, step: int) -> Single:
        """Where to go, of about unit size in every direction."""
        self._turn(gradient, step)
        self.momentum = MOMENTUM * self.momentum + (1 - MOMENTUM) * gradient
        turned, momentum = self._into_basis(gradient), self._into_basis(self.momentum)
        self.scale = SCALE_MEMORY * self.scale + (1 - SCALE_MEMORY) * turned * turned
        size = np.sqrt(self.scale / (1 - SCALE_MEMORY**step)) + TINY
        return self._out_of_basis(momentum / (1 - MOMENTUM**step) / size)

    def _turn(self, gradient: Single, step: int) -> None:
        if not self.covariances:
            return
        news = (gradient @ gradient.T, gradient.T @ gradient)
        self.covariances = [
            BASIS_MEMORY * old + (1 - BASIS_MEMORY) * new for old, new in zip(self.covariances, news, strict=True)
        ]
        if not self.bases:
            self.bases = [np.linalg.eigh(one)[1] for one in self.covariances]
        elif step % STEPS_PER_BASIS == 0:
            # One step of the power method keeps up with a covariance that changes slowly.
            self.bases = [np.linalg.qr(one @ basis)[0] for one, basis in zip(self.covariances, self.bases, strict=True)]

    def _into_basis(self, matrix: Single) -> Single:
        return np.asarray(self.bases[0].T @ matrix @ self.bases[1], np.float32) if self.bases else matrix

    def _out_of_basis(self, matrix: Single) -> Single:
        return np.asarray(self.bases[0] @ matrix @ self.bases[1].T, np.float32) if self.bases else matrix


def minimise(
    parameters: Sequence[Single],
    x: Single,
    y: Single,
    schedule: Schedule,
    rng: np.random.Generator,
    tick: Callable[[int, float], None],
    objective: Objective | None = None,
) -> list[Single]:
    """Parameters after training.

    Parameters
    ----------
    parameters
        Weights (n_out, n_in) of all layers, then their biases (n_out,).
    x, y
        (S, n_inputs) and (S, m), standardised.
    tick
        Is told the number of epochs done and the mean loss over the last one.
    objective
        What is brought down; without one the mean squared error of the network's outputs.
    """
    parameters, objective = list(parameters), objective or loss_and_gradients
    states = [_Matrix(one.shape) for one in parameters]
    batch = min(schedule.batch, len(x))
    steps_per_epoch = len(x) // batch
    step, last_step = 0, schedule.epochs * steps_per_epoch
    for epoch in range(schedule.epochs):
        order, total = rng.permutation(len(x)), 0.0
        for rows in order[: steps_per_epoch * batch].reshape(steps_per_epoch, batch):
            loss, gradients = objective(parameters, x[rows], y[rows])
            step, total = step + 1, total + loss
            cosine = (1 + np.cos(np.pi * step / last_step)) / 2
            rate = np.float32(schedule.learning_rate * min(1.0, step / WARM_UP_STEPS) * cosine)
            parameters = [
                one - rate * state.direction(gradient, step)
                for one, state, gradient in zip(parameters, states, gradients, strict=True)
            ]
        tick(epoch + 1, total / steps_per_epoch)
    return parameters


def loss_and_gradients(parameters: Sequence[Single], x: Single, y: Single) -> tuple[float, list[Single]]:
    """Mean squared error of a batch and its gradients, in the order of the parameters."""
    activations, output = forward(parameters, x)
    error = output - y
    return float(np.mean(error * error)), backward(parameters, activations, error * np.float32(2 / error.size))


def forward(parameters: Sequence[Single], x: Single) -> tuple[list[Single], Single]:
    """What every layer reads, (S, n_in) each, and the outputs (S, m)."""
    n_layers = len(parameters) // 2
    weights, biases = parameters[:n_layers], parameters[n_layers:]
    activations = [x]
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        activations.append(np.tanh(activations[-1] @ weight.T + bias))
    return activations, activations[-1] @ weights[-1].T + biases[-1]


def backward(parameters: Sequence[Single], activations: Sequence[Single], back: Single) -> list[Single]:
    """Gradients of a loss, in the order of the parameters, from its derivative by the outputs, `back` (S, m)."""
    by_weight, by_bias = [], []
    for layer in reversed(range(len(activations))):
        by_weight.append(back.T @ activations[layer])
        by_bias.append(back.sum(axis=0))
        if layer:
            back = (back @ parameters[layer]) * (1 - activations[layer] * activations[layer])
    return by_weight[::-1] + by_bias[::-1]
