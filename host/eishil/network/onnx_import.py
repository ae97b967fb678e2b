"""A user's own observation network: an ONNX file with a tanh MLP, whatever tool wrote it.

The graph is one chain from one input (batch, n_inputs), physical inputs in the order of `NETWORK_INPUTS`, to one output
(batch, m), ln Re Z at all frequencies and then ln(-Im Z). Operators: Gemm, MatMul, Add, Sub, Mul, Div with constants,
Tanh, Identity. Any other one is refused by its name: the integer arithmetic of the core knows no other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import ArrayLike
from onnx import helper, numpy_helper

from eishil.errors import RecipeError
from eishil.model_checks import MAX_WIDTH
from eishil.network.mlp import Array, FloatNetwork
from eishil.network.samples import NETWORK_INPUTS

AFFINE = ("Gemm", "MatMul", "Add", "Sub", "Mul", "Div")
SUPPORTED = (*AFFINE, "Tanh", "Identity", "Constant")
LEAST_LAYERS = 2


class _Affine:
    """y = weight x + bias, put together operator by operator."""

    def __init__(self, n: int) -> None:
        self.weight, self.bias = np.eye(n), np.zeros(n)

    def apply(
        self, operator: str, constant: Array, first: bool, attributes: dict[str, Any], bias: Array | None
    ) -> None:
        """One more operator; `first`: the constant stands before the value, as in 1 - x."""
        if operator in ("Gemm", "MatMul"):
            matrix = attributes.get("alpha", 1.0) * (constant if attributes.get("transB") else constant.T)
            self.weight, self.bias = matrix @ self.weight, matrix @ self.bias
            if bias is not None:
                self.bias = self.bias + attributes.get("beta", 1.0) * bias.ravel()
            return
        values = constant.ravel()
        if operator in ("Mul", "Div"):
            factor = values if operator == "Mul" else 1.0 / values
            self.weight, self.bias = self.weight * np.reshape(factor, (-1, 1)), self.bias * factor
            return
        sign = -1.0 if operator == "Sub" else 1.0
        if first and operator == "Sub":
            self.weight, self.bias = -self.weight, values - self.bias
        else:
            self.bias = self.bias + sign * values


def import_network(path: Path, frequency_Hz: ArrayLike, input_mean: Array, input_std: Array) -> FloatNetwork:
    """Read a network and standardise its inputs by `input_mean` and `input_std` (n_inputs,), as the core wants it.

    Raises
    ------
    RecipeError
        The file is missing, is no ONNX, has an operator that is not supported, or sizes that do not fit.
    """
    frequency_Hz = np.asarray(frequency_Hz, np.float64)
    layers = _layers(path, _load(path))
    sizes = [layers[0].weight.shape[1], *(len(layer.bias) for layer in layers)]
    wanted = (len(NETWORK_INPUTS), 2 * len(frequency_Hz))
    if (sizes[0], sizes[-1]) != wanted:
        raise RecipeError(f"{path}: {sizes[0]} inputs and {sizes[-1]} outputs, not {wanted[0]} and {wanted[1]}")
    if len(layers) < LEAST_LAYERS or max(sizes) > MAX_WIDTH:
        raise RecipeError(f"{path}: one hidden layer or more, of at most {MAX_WIDTH} units; layers have {sizes[1:]}")
    first = layers[0]
    weights = (first.weight * input_std, *(layer.weight for layer in layers[1:]))
    biases = (first.bias + first.weight @ input_mean, *(layer.bias for layer in layers[1:]))
    return FloatNetwork(NETWORK_INPUTS, frequency_Hz, input_mean, 1.0 / input_std, weights, biases)


def _load(path: Path) -> onnx.GraphProto:
    try:
        model = onnx.load_model_from_string(path.read_bytes())
        onnx.checker.check_model(model)
    except OSError as error:
        raise RecipeError(f"{path}: the network cannot be read: {error.strerror}") from None
    except (DecodeError, onnx.checker.ValidationError, ValueError):
        raise RecipeError(f"{path}: this is not an ONNX model") from None
    return model.graph


def _layers(path: Path, graph: onnx.GraphProto) -> list[_Affine]:
    """The affine maps between the tanhs, following the one value from the input to the output."""
    constants = {one.name: numpy_helper.to_array(one).astype(np.float64) for one in graph.initializer}
    inputs = [one for one in graph.input if one.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise RecipeError(f"{path}: one input and one output are wanted, not {len(inputs)} and {len(graph.output)}")
    value = inputs[0].name
    layers = [_Affine(inputs[0].type.tensor_type.shape.dim[-1].dim_value)]
    for node in graph.node:
        if node.domain or node.op_type not in SUPPORTED:
            raise RecipeError(f"{path}: operator {node.op_type} is not supported; {', '.join(SUPPORTED)} are")
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(attributes["value"]).astype(np.float64)
            continue
        others = [constants[name] for name in node.input if name in constants]
        if list(node.input).count(value) != 1 or len(others) != len(node.input) - 1 or attributes.get("transA"):
            raise RecipeError(f"{path}: {node.op_type} {node.name!r} is no link of one chain of layers with constants")
        if node.op_type == "Tanh":
            layers.append(_Affine(len(layers[-1].bias)))
        elif node.op_type in AFFINE:
            _apply(path, node, layers[-1], others, attributes, first=node.input[0] != value)
        value = node.output[0]
    if value != graph.output[0].name:
        raise RecipeError(f"{path}: the chain of layers does not end in the output {graph.output[0].name!r}")
    return layers


def _apply(
    path: Path, node: onnx.NodeProto, layer: _Affine, constants: list[Array], attributes: dict[str, Any], *, first: bool
) -> None:
    if first and node.op_type in ("Div", "Gemm", "MatMul"):
        raise RecipeError(f"{path}: {node.op_type} {node.name!r} has its constant before the value")
    try:
        layer.apply(node.op_type, constants[0], first, attributes, constants[1] if len(constants) > 1 else None)
    except ValueError:
        shapes = " and ".join(str(one.shape) for one in constants)
        raise RecipeError(f"{path}: {node.op_type} {node.name!r} has constants of shapes {shapes}") from None
