"""The integer network in numpy, bit by bit as docs/network.md specifies it: the standard for every other one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eishil.model import IntegerNetwork

Integers = NDArray[np.int64]

INPUT_MIN, INPUT_MAX = -2048, 2047
ARGUMENT_MIN, ARGUMENT_MAX = -16384, 16383
TANGENT_MAX = 32767
INPUT_STEPS_PER_STD = 512
ACTIVATION_ONE = 2048

TANH_TABLE: Integers = np.clip(np.rint(32768 * np.tanh(np.arange(-256, 257) / 32)), -32767, 32767).astype(np.int64)


def requantise(accumulator: Integers, multiplier: Integers) -> Integers:
    """floor((A M + 2^31) / 2^32), exact."""
    return (accumulator * multiplier + (1 << 31)) >> 32


def tanh_q11(argument: Integers) -> Integers:
    """Q11 tanh of a Q11 argument by linear interpolation; the argument is clamped to its range."""
    clamped = np.clip(argument, ARGUMENT_MIN, ARGUMENT_MAX)
    index, fraction = (clamped >> 6) + 256, clamped & 63
    value = 64 * TANH_TABLE[index] + (TANH_TABLE[index + 1] - TANH_TABLE[index]) * fraction
    return np.asarray((value + 512) >> 10)


def tanh_derivative_q30(activation: Integers) -> Integers:
    """Q30 derivative of tanh from its Q11 value."""
    return (ACTIVATION_ONE**2 - activation * activation) << 8


def quantise_input(value: ArrayLike, mean: ArrayLike, scale: ArrayLike) -> Integers:
    """12-bit input: float32 subtraction and multiplication, ties to even, saturated. Values must be finite."""
    shifted = np.asarray(value, np.float32) - np.asarray(mean, np.float32)
    scaled = np.rint(shifted * np.asarray(scale, np.float32))
    return np.clip(scaled, INPUT_MIN, INPUT_MAX).astype(np.int64)


class IntegerReference:
    """Exact evaluation of an `IntegerNetwork`; every method takes one sample or a batch of them (leading axes)."""

    def __init__(self, network: IntegerNetwork) -> None:
        self.network = network
        self._weights = [np.array(layer.weight, np.int64) for layer in network.layers]
        self._biases = [np.array(layer.bias, np.int64) for layer in network.layers]
        self._multipliers = [np.array(layer.multiplier, np.int64) for layer in network.layers]
        self._tangent_multipliers = [np.array(layer.tangent_multiplier, np.int64) for layer in network.layers]
        self._tangent = np.array(network.tangent, np.int64)

    def quantise(self, v: ArrayLike) -> Integers:
        """Integer inputs (..., n_inputs) of physical inputs v (..., n_inputs)."""
        return quantise_input(v, self.network.input_mean, self.network.input_scale)

    def activations(self, q: Integers) -> list[Integers]:
        """Q11 activations (..., width) of every hidden layer."""
        activations = []
        activation = np.asarray(q, np.int64)
        for weight, bias, multiplier in self._hidden_layers():
            activation = tanh_q11(requantise(activation @ weight.T + bias, multiplier))
            activations.append(activation)
        return activations

    def accumulators(self, q: Integers) -> tuple[Integers, Integers]:
        """Last-layer accumulators A (..., m) and AJ (..., m, n_inputs) of integer inputs q (..., n_inputs)."""
        activations = self.activations(q)
        damped = self._damped_tangents(activations)
        return activations[-1] @ self._weights[-1].T + self._biases[-1], self._weights[-1] @ damped

    def evaluate(self, v: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Outputs (..., m) in ln ohm and Jacobian (..., m, n_inputs); computed in float32, given as float64."""
        network = self.network
        accumulator, jacobian = self.accumulators(self.quantise(v))
        scale, offset, row, column = (
            np.array(values, np.float32)
            for values in (
                network.output_scale,
                network.output_offset,
                network.jacobian_row_scale,
                network.jacobian_column_scale,
            )
        )
        y = accumulator.astype(np.float32) * scale + offset
        J = (jacobian.astype(np.float32) * row[:, None]) * column
        return y.astype(np.float64), J.astype(np.float64)

    def _hidden_layers(self) -> list[tuple[Integers, Integers, Integers]]:
        return list(zip(self._weights[:-1], self._biases[:-1], self._multipliers[:-1], strict=True))

    def _damped_tangents(self, activations: list[Integers]) -> Integers:
        """Tangents times tanh' after the last of the given hidden layers, (..., width, n_inputs)."""
        slopes = [tanh_derivative_q30(activation) for activation in activations]
        damped = requantise(self._tangent, slopes[0][..., None])
        for layer, slope in enumerate(slopes[1:], start=1):
            multiplier = requantise(self._tangent_multipliers[layer], slope)
            damped = requantise(self._weights[layer] @ damped, multiplier[..., None])
        return damped
