"""The observation network in float64: a tanh MLP over physical inputs, with its analytic Jacobian."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FloatNetwork:
    """y = W_L tanh(... tanh(W_1 ((v - input_mean) * input_scale) + b_1) ...) + b_L, in ln ohm.

    Parameters
    ----------
    inputs
        Names of the components of v, units last.
    frequency_Hz
        Shape (F,); the outputs are ln(Re Z) at all of them, then ln(-Im Z).
    input_mean, input_scale
        Shape (n_inputs,), in the inputs' units and their inverse.
    weights, biases
        Per layer, shapes (n_out, n_in) and (n_out,).
    """

    inputs: tuple[str, ...]
    frequency_Hz: Array
    input_mean: Array
    input_scale: Array
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]

    @property
    def n_inputs(self) -> int:
        return len(self.inputs)

    def evaluate(self, v: Array) -> tuple[Array, Array]:
        """Outputs (..., m) in ln ohm and Jacobian (..., m, n_inputs) at physical inputs v (..., n_inputs)."""
        activation = (v - self.input_mean) * self.input_scale
        derivative = np.diag(self.input_scale)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            activation = np.tanh(activation @ weight.T + bias)
            derivative = (1.0 - activation**2)[..., None] * (weight @ derivative)
        return activation @ self.weights[-1].T + self.biases[-1], self.weights[-1] @ derivative

    def pre_activations(self, v: Array) -> list[Array]:
        """Arguments (..., n_out) of every layer's tanh, and the outputs as the last element."""
        activation = (v - self.input_mean) * self.input_scale
        arguments = []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            arguments.append(activation @ weight.T + bias)
            activation = np.tanh(arguments[-1])
        return arguments
