"""Imported networks against onnxruntime, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from eishil.errors import RecipeError
from eishil.network.onnx_files import write_float_network
from eishil.network.onnx_import import import_network
from support.random_models import random_estimator

FREQUENCY_Hz = [0.1, 1.0]
MEAN, STD = np.array([0.1, 0.1, 0.1, 0.5, 3.7, 3.35]), np.array([0.1, 0.1, 0.1, 0.4, 0.2, 0.1])


def write(path: Path, nodes: list[onnx.NodeProto], **constants: np.ndarray) -> Path:
    initializers = [numpy_helper.from_array(np.float32(value), name) for name, value in constants.items()]
    source = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 6])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", None])
    graph = helper.make_graph(nodes, "user", [source], [result], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    path.write_bytes(model.SerializeToString())
    return path


def node(operator: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), [output], name=output, **attributes)


def mlp(path: Path, *, hidden: int = 5, outputs: int = 4, activation: str = "Tanh") -> Path:
    """As other tools write it: 1 - x and a division at the inputs, MatMul and Add, Gemm with a factor."""
    rng = np.random.default_rng(0)
    nodes = [
        node("Sub", "one x", "a"),
        node("Div", "a scale", "b"),
        node("MatMul", "b w0", "c"),
        node("Add", "b0 c", "d"),
        node(activation, "d", "e"),
        node("Gemm", "e w1 b1", "f", alpha=0.5, beta=2.0, transB=1),
        node("Identity", "f", "y"),
    ]
    return write(
        path,
        nodes,
        one=np.ones(6),
        scale=rng.uniform(1, 2, 6),
        w0=rng.normal(size=(6, hidden)),
        b0=rng.normal(size=hidden),
        w1=rng.normal(size=(outputs, hidden)),
        b1=rng.normal(size=outputs),
    )


def test_an_imported_network_computes_what_onnxruntime_does(tmp_path: Path) -> None:
    path = mlp(tmp_path / "user.onnx")
    network = import_network(path, FREQUENCY_Hz, MEAN, STD)
    v = MEAN + STD * np.random.default_rng(1).standard_normal((200, 6))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": v.astype(np.float32)})
    np.testing.assert_allclose(network.evaluate(v)[0], expected, atol=2e-5)
    np.testing.assert_array_equal(network.input_mean, MEAN)
    np.testing.assert_allclose(network.input_scale, 1 / STD)


def test_the_files_that_eishil_writes_can_be_imported(tmp_path: Path) -> None:
    _, network = random_estimator(np.random.default_rng(0))
    write_float_network(network, tmp_path / "own.onnx")
    back = import_network(tmp_path / "own.onnx", network.frequency_Hz, MEAN, STD)
    v = MEAN + STD * np.random.default_rng(1).standard_normal((50, 6))
    np.testing.assert_allclose(back.evaluate(v)[0], network.evaluate(v)[0], atol=1e-5)


def test_another_operator_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="operator Relu is not supported; Gemm, MatMul"):
        import_network(mlp(tmp_path / "relu.onnx", activation="Relu"), FREQUENCY_Hz, MEAN, STD)


@pytest.mark.parametrize(
    ("shape", "message"),
    [({"outputs": 3}, "6 inputs and 3 outputs, not 6 and 4"), ({"hidden": 65}, "at most 64 units; layers have .65, 4")],
)
def test_sizes_that_do_not_fit_are_told(tmp_path: Path, shape: dict[str, int], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        import_network(mlp(tmp_path / "user.onnx", **shape), FREQUENCY_Hz, MEAN, STD)


def test_what_is_no_chain_is_refused(tmp_path: Path) -> None:
    weight = {"w": np.ones((6, 4))}
    skip = [node("MatMul", "x w", "a"), node("Tanh", "a", "b"), node("Add", "a b", "y")]
    with pytest.raises(RecipeError, match="Add 'y' is no link of one chain"):
        import_network(write(tmp_path / "skip.onnx", skip, **weight), FREQUENCY_Hz, MEAN, STD)
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(RecipeError, match="not an ONNX model"):
        import_network(tmp_path / "text.onnx", FREQUENCY_Hz, MEAN, STD)
    with pytest.raises(RecipeError, match="cannot be read"):
        import_network(tmp_path / "none.onnx", FREQUENCY_Hz, MEAN, STD)
