"""The networks as ONNX, for standard tools: the float one, and the integer one in QDQ form.

Both take `physical_inputs` (batch, n_inputs) and give `ln_ohm` (batch, n_observations): ln(Re Z) at all frequencies,
then ln(-Im Z), without the model's series terms. The names of the inputs and the frequencies are in the metadata.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from eishil.errors import RecipeError
from eishil.files import write_atomic
from eishil.model import IntegerNetwork
from eishil.network.integer import ACTIVATION_ONE, INPUT_MAX, INPUT_MIN, INPUT_STEPS_PER_STD
from eishil.network.mlp import FloatNetwork

OPSET = 21  # the first with int16 in QuantizeLinear
IR_VERSION = 10
INPUT, OUTPUT = "physical_inputs", "ln_ohm"


class _Graph:
    """Nodes and initializers as they are added; a value is its name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, name: str, values: ArrayLike, dtype: type[np.generic] = np.float32) -> str:
        self.initializers.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def quantise(self, value: str, scale: float) -> str:
        """QuantizeLinear to int16 and back."""
        parameters = [self.constant(f"{value}_scale", scale), self.constant(f"{value}_zero", 0, np.int16)]
        integer = self.add("QuantizeLinear", [value, *parameters], f"{value}_q")
        return self.add("DequantizeLinear", [integer, *parameters], f"{value}_dq")

    def dequantised(self, name: str, values: ArrayLike, scale: ArrayLike, dtype: type[np.generic]) -> str:
        """A constant of integers with one scale per row."""
        inputs = [self.constant(f"{name}_q", values, dtype), self.constant(f"{name}_scale", scale)]
        return self.add("DequantizeLinear", inputs, name, axis=0)

    def model(self, name: str, inputs: Sequence[str], frequency_Hz: ArrayLike) -> onnx.ModelProto:
        frequency_Hz = np.asarray(frequency_Hz, np.float64)
        rows: list[str | int] = ["batch"]
        source = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [*rows, len(inputs)])
        result = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [*rows, 2 * len(frequency_Hz)])
        graph = helper.make_graph(self.nodes, name, [source], [result], self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="eishil")
        model.ir_version = IR_VERSION
        metadata = {"inputs": json.dumps(list(inputs)), "frequency_Hz": json.dumps(frequency_Hz.tolist())}
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model, full_check=True)
        return model


def write_float_network(network: FloatNetwork, path: Path) -> None:
    """Write the float network; its constants are float32 there."""
    graph = _Graph()
    value = graph.add("Sub", [INPUT, graph.constant("input_mean", network.input_mean)], "shifted")
    value = graph.add("Mul", [value, graph.constant("input_scale", network.input_scale)], "standardised")
    last = len(network.weights) - 1
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        parameters = [graph.constant(f"weight_{i}", weight), graph.constant(f"bias_{i}", bias)]
        value = graph.add("Gemm", [value, *parameters], OUTPUT if i == last else f"argument_{i}", transB=1)
        value = value if i == last else graph.add("Tanh", [value], f"activation_{i}")
    write_atomic(path, graph.model("float", network.inputs, network.frequency_Hz).SerializeToString(deterministic=True))


def load_float_network(path: Path) -> FloatNetwork:
    """Read a network that `write_float_network` wrote.

    Raises
    ------
    RecipeError
        The file is missing or is not such a network.
    """
    try:
        model = onnx.load_model_from_string(path.read_bytes())
        values = {one.name: numpy_helper.to_array(one).astype(np.float64) for one in model.graph.initializer}
        metadata = {one.key: json.loads(one.value) for one in model.metadata_props}
        n_layers = sum(name.startswith("weight_") for name in values)
        return FloatNetwork(
            inputs=tuple(metadata["inputs"]),
            frequency_Hz=np.array(metadata["frequency_Hz"], np.float64),
            input_mean=values["input_mean"],
            input_scale=values["input_scale"],
            weights=tuple(values[f"weight_{i}"] for i in range(n_layers)),
            biases=tuple(values[f"bias_{i}"] for i in range(n_layers)),
        )
    except FileNotFoundError:
        raise RecipeError(f"{path}: there is no float network; `eishil train RECIPE` makes one") from None
    except (DecodeError, KeyError, ValueError) as error:
        raise RecipeError(f"{path}: not a float network that `eishil train` wrote ({error})") from None


def write_integer_network(network: IntegerNetwork, frequency_Hz: ArrayLike, path: Path) -> None:
    """Write the integer network as QDQ: int8 weights per row, int32 biases, int16 activations with 12 bits used.

    Tools evaluate it in float between the quantisers and with a true tanh, so that its hidden activations may differ
    from the integers by one step: docs/network.md states the bound.
    """
    graph = _Graph()
    value = graph.add("Sub", [INPUT, graph.constant("input_mean", network.input_mean)], "shifted")
    value = graph.add("Mul", [value, graph.constant("steps_per_unit", network.input_scale)], "steps")
    limits = [graph.constant("input_min", INPUT_MIN), graph.constant("input_max", INPUT_MAX)]
    value = graph.add("Clip", [value, *limits], "clipped")
    value = graph.add("Mul", [value, graph.constant("std_per_step", 1.0 / INPUT_STEPS_PER_STD)], "standardised")
    value = graph.quantise(value, 1.0 / INPUT_STEPS_PER_STD)
    one, last = INPUT_STEPS_PER_STD, len(network.layers) - 1
    for i, layer in enumerate(network.layers):
        scale = np.array(layer.multiplier) * (one / ACTIVATION_ONE) / 2.0**32
        scale = np.array(network.output_scale) * one if i == last else scale
        parameters = [
            graph.dequantised(f"weight_{i}", layer.weight, scale, np.int8),
            graph.dequantised(f"bias_{i}", layer.bias, scale / one, np.int32),
        ]
        value = graph.add("Gemm", [value, *parameters], f"argument_{i}", transB=1)
        if i < last:
            value = graph.add("Tanh", [graph.quantise(value, 1.0 / ACTIVATION_ONE)], f"activation_{i}")
            value = graph.quantise(value, 1.0 / ACTIVATION_ONE)
        one = ACTIVATION_ONE
    graph.add("Add", [value, graph.constant("output_offset", network.output_offset)], OUTPUT)
    write_atomic(path, graph.model("int8", network.inputs, frequency_Hz).SerializeToString(deterministic=True))
