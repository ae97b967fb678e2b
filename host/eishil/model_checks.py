"""Whether the parts of a model file fit together, and whether the C core can compute its network exactly.

Each function raises ValueError with a sentence, which `Model.load` completes with file and key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from eishil.model import IntegerNetwork, Layer, Readout

MAX_WIDTH = 64
WEIGHT_MAX = 127
TANGENT_MAX = 32767
ACTIVATION_MAX = 2048  # of inputs, too


def require(condition: bool, message: str) -> None:
    """ValueError with the message unless the condition holds."""
    if not condition:
        raise ValueError(message)


def require_shape(name: str, values: object, shape: tuple[int, ...]) -> None:
    """ValueError with the name unless nested lists have a shape."""
    try:
        actual = np.asarray(values).shape
    except ValueError:
        raise ValueError(f"{name} has rows of different lengths, not shape {shape}") from None
    require(actual == shape, f"{name} has shape {actual}, not {shape}")


def check_readout(readout: Readout) -> None:
    """Shapes of one readout."""
    hidden, n_in = len(readout.b1), len(readout.inputs)
    require_shape(f"readout {readout.name}.w1", readout.w1, (hidden, n_in))
    require_shape(f"readout {readout.name}.w2", readout.w2, (hidden,))
    require_shape(f"readout {readout.name}.input_mean", readout.input_mean, (n_in,))
    require_shape(f"readout {readout.name}.input_scale", readout.input_scale, (n_in,))


def check_network(network: IntegerNetwork, n_observations: int) -> None:
    """Shapes of the integer network, and that nothing in it can overflow (docs/network.md)."""
    u, m = network.n_inputs, n_observations
    widths = [u, *(len(layer.bias) for layer in network.layers)]
    last = len(network.layers) - 1
    for index, layer in enumerate(network.layers):
        _check_layer(index, layer, widths[index], is_last=index == last)
    require(last >= 1 and widths[-1] == m, f"two layers or more, the last with {m} outputs")
    require_shape("network.tangent", network.tangent, (widths[1], u))
    require(
        int(np.abs(network.tangent).max()) <= TANGENT_MAX,
        f"network.tangent: 16-bit values between -{TANGENT_MAX} and {TANGENT_MAX}",
    )
    _check_tangents(network)
    for name, size in (
        ("input_mean", u),
        ("input_scale", u),
        ("output_scale", m),
        ("output_offset", m),
        ("jacobian_row_scale", m),
        ("jacobian_column_scale", u),
    ):
        require_shape(f"network.{name}", getattr(network, name), (size,))


def _check_layer(index: int, layer: Layer, width: int, is_last: bool) -> None:
    n_out = len(layer.bias)
    require(n_out <= MAX_WIDTH, f"layers of at most {MAX_WIDTH} units, not {n_out}")
    require_shape(f"layer {index}.weight", layer.weight, (n_out, width))
    require(
        int(np.abs(layer.weight).max()) <= WEIGHT_MAX,
        f"layer {index}: int8 weights between -{WEIGHT_MAX} and {WEIGHT_MAX}",
    )
    _check_accumulators(index, layer)
    for name, has_one in (("multiplier", not is_last), ("tangent_multiplier", not is_last and index > 0)):
        values = getattr(layer, name)
        require(len(values) == (n_out if has_one else 0), f"layer {index}.{name} has {len(values)} values")


def _check_accumulators(index: int, layer: Layer) -> None:
    """No sum of products and bias may leave int32."""
    weights = np.abs(np.array(layer.weight, np.int64)).sum(axis=1)
    largest = np.abs(np.array(layer.bias, np.int64)) + ACTIVATION_MAX * weights
    row = int(largest.argmax())
    require(int(largest[row]) < 2**31, f"layer {index}: the accumulator of row {row} could leave int32")


def _check_tangents(network: IntegerNetwork) -> None:
    """With all signs alike and every slope 1 (2^30 in the arithmetic of docs/network.md) no tangent may leave int16."""
    bound = _requantise(np.abs(np.array(network.tangent, np.int64)), np.int64(1 << 30))
    for index, layer in enumerate(network.layers[1:-1], start=1):
        multiplier = _requantise(np.abs(np.array(layer.tangent_multiplier, np.int64)), np.int64(1 << 30))
        bound = _requantise(np.abs(np.array(layer.weight, np.int64)) @ bound, multiplier[:, None])
        row = int(bound.max(axis=1).argmax())
        require(int(bound.max()) <= TANGENT_MAX, f"layer {index}: the tangents of row {row} could leave int16")


def _requantise(accumulator: NDArray[np.int64], multiplier: NDArray[np.int64] | np.int64) -> NDArray[np.int64]:
    return np.asarray((accumulator * multiplier + (1 << 31)) >> 32)
