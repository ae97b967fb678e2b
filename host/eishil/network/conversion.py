"""From a float network to the integer one: int8 weights per output row, rounded layer by layer.

Each layer is fitted to what the float network's layer gives, but from the *integer* activations before it, so that
one layer's rounding is mended by the next. The weights of a row are then rounded one after the other, and each one's
rounding error is spread over those still free, in the metric of the layer's inputs (Frantar et al., GPTQ, 2023; the
optimal brain surgeon of Hassibi and Stork, 1993).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eishil.model import IntegerNetwork, Layer
from eishil.network.integer import (
    ACTIVATION_ONE,
    INPUT_STEPS_PER_STD,
    TANGENT_MAX,
    quantise_input,
    requantise,
    tanh_q11,
)
from eishil.network.mlp import Array, FloatNetwork

WEIGHT_MAX = 127
LEAST_LEVELS = 80
LARGEST_MULTIPLIER = 2**31 - 1
RIDGE = 1e-4


@dataclass(frozen=True)
class RoundedLayer:
    """weight (n_out, n_in) int8 values times scale (n_out,), and a real bias (n_out,)."""

    weight: NDArray[np.int64]
    scale: Array
    bias: Array


def convert(network: FloatNetwork, calibration: Array) -> IntegerNetwork:
    """Quantise a network so that it agrees with the float one over `calibration` inputs (S, n_inputs)."""
    input_scale = INPUT_STEPS_PER_STD * network.input_scale
    q = quantise_input(calibration, network.input_mean, input_scale)
    targets = network.pre_activations(calibration)
    layers: list[Layer] = []
    rounded: list[RoundedLayer] = []
    one = INPUT_STEPS_PER_STD
    for weight, target in zip(network.weights, targets, strict=True):
        rounded.append(round_layer(weight, q / one, target))
        layers.append(_integer_layer(rounded[-1], one, len(layers), len(targets)))
        if len(layers) < len(targets):
            accumulator = q @ np.array(layers[-1].weight).T + np.array(layers[-1].bias)
            q = tanh_q11(requantise(accumulator, np.array(layers[-1].multiplier)))
            one = ACTIVATION_ONE
    slope = rounded[0].weight * rounded[0].scale[:, None] * network.input_scale
    tangent_scale = TANGENT_MAX / np.abs(slope).max(axis=0)
    layers, damped_scale = _with_tangents(layers, rounded, slope * tangent_scale)
    return IntegerNetwork(
        inputs=list(network.inputs),
        input_mean=_float32(network.input_mean),
        input_scale=_float32(input_scale),
        layers=layers,
        tangent=np.rint(slope * tangent_scale).astype(int).tolist(),
        output_scale=_float32(rounded[-1].scale / ACTIVATION_ONE),
        output_offset=_float32(rounded[-1].bias),
        jacobian_row_scale=_float32(rounded[-1].scale),
        jacobian_column_scale=_float32(1.0 / (damped_scale * tangent_scale)),
    )


def round_layer(weight: Array, x: Array, target: Array, ridge: float = RIDGE) -> RoundedLayer:
    """Fit and round a dense layer so that x (S, n_in) gives target (S, n_out), near `weight` (n_out, n_in)."""
    x_mean, target_mean = x.mean(axis=0), target.mean(axis=0)
    centred = x - x_mean
    H = centred.T @ centred / len(x)
    H += ridge * np.trace(H) / len(H) * np.eye(len(H))
    missing = target - target_mean - centred @ weight.T
    fitted = weight + np.linalg.solve(H, centred.T @ missing / len(x)).T
    rounded, scale = _best_scales(fitted, H)
    return RoundedLayer(rounded, scale, target_mean - (rounded * scale[:, None]) @ x_mean)


def _best_scales(weight: Array, H: Array) -> tuple[NDArray[np.int64], Array]:
    """Rounded weights (n_out, n_in) and scales (n_out,); of several scales of a row the one whose error is smallest."""
    largest = np.abs(weight).max(axis=1)
    best, best_scale = np.zeros(weight.shape, np.int64), largest / WEIGHT_MAX
    best_error = np.full(len(weight), np.inf)
    for levels in range(LEAST_LEVELS, WEIGHT_MAX + 1):
        scale = largest / levels
        rounded = _round_weights(weight / scale[:, None], H)
        missed = weight - rounded * scale[:, None]
        error = np.einsum("ij,jk,ik->i", missed, H, missed)
        better = error < best_error
        best[better], best_scale[better], best_error[better] = rounded[better], scale[better], error[better]
    return best, best_scale


def _round_weights(weight: Array, H: Array) -> NDArray[np.int64]:
    """Integers (n_out, n_in) near `weight` that minimise the change of weight x for inputs x of covariance H."""
    order = np.argsort(-np.diag(H))
    factor = np.linalg.cholesky(np.linalg.inv(H[np.ix_(order, order)])).T
    free = weight[:, order]
    rounded = np.zeros(weight.shape, np.int64)
    for k, column in enumerate(order):
        rounded[:, column] = np.clip(np.rint(free[:, k]), -WEIGHT_MAX, WEIGHT_MAX)
        error = (free[:, k] - rounded[:, column]) / factor[k, k]
        free[:, k:] -= error[:, None] * factor[k, k:]
    return rounded


def _integer_layer(layer: RoundedLayer, one: int, index: int, n_layers: int) -> Layer:
    """Bias and multipliers of a rounded layer whose inputs have the value 1 at `one`."""
    n_out = len(layer.bias)
    if index == n_layers - 1:
        return Layer(weight=layer.weight.tolist(), bias=[0] * n_out, multiplier=[], tangent_multiplier=[])
    # The tangents' multipliers come when all layers are there.
    return Layer(
        weight=layer.weight.tolist(),
        bias=_int32("bias", layer.bias * one / layer.scale),
        multiplier=_int32("multiplier", layer.scale * (ACTIVATION_ONE / one) * 2.0**32),
        tangent_multiplier=[],
    )


def _with_tangents(layers: list[Layer], rounded: list[RoundedLayer], tangent: Array) -> tuple[list[Layer], float]:
    """Layers with tangent multipliers, and what the last tangents are multiplied with altogether.

    The multipliers are as large as they may be for no sum of the next layer's, with all signs alike and all slopes 1,
    to leave int16: nothing saturates, whatever the input.
    """
    bound, total, done = np.abs(tangent) / 4 + 1, 0.25, layers[:1]
    for layer, exact in zip(layers[1:-1], rounded[1:-1], strict=True):
        reach = np.abs(exact.weight * exact.scale[:, None]) @ bound
        scale = min((TANGENT_MAX - 2) / reach.max(), LARGEST_MULTIPLIER / exact.scale.max() / 2.0**34)
        multiplier = _int32("tangent multiplier", scale * exact.scale * 2.0**34)
        done.append(layer.model_copy(update={"tangent_multiplier": multiplier}))
        bound, total = scale * reach + 1, total * scale
    return [*done, layers[-1]], total


def _int32(name: str, values: Array) -> list[int]:
    rounded = np.rint(values)
    if np.abs(rounded).max() >= 2**31:
        raise ValueError(f"the {name} of a layer does not fit 32 bits: the float network's weights are too large")
    return rounded.astype(np.int64).tolist()  # type: ignore[no-any-return]


def _float32(values: Array) -> list[float]:
    """The float32 nearest to each value, so that every reader of the model file has the same number."""
    return np.asarray(values, np.float32).astype(np.float64).tolist()  # type: ignore[no-any-return]
