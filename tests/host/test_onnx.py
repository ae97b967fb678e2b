"""The ONNX files under onnxruntime: the float one is scikit-learn's network, the QDQ one the integer network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.neural_network import MLPRegressor

from eishil.errors import RecipeError
from eishil.model import Model
from eishil.network.integer import IntegerReference
from eishil.network.onnx_files import (
    INPUT,
    OUTPUT,
    load_float_network,
    write_float_network,
    write_integer_network,
)
from eishil.network.samples import NETWORK_INPUTS, NetworkSamples
from eishil.network.train import Scaling, network_of
from support.random_models import random_estimator

FIRST_LIGHT = Path(__file__).parents[2] / "datasets/models/first_light"
# docs/network.md states these bounds and where they come from.
QDQ_LARGEST_LN_OHM = 2e-3
QDQ_RMS_LN_OHM = 2e-4


def run(path: Path, v: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (output,) = session.run([OUTPUT], {INPUT: v.astype(np.float32)})
    return np.asarray(output, np.float64)


def test_float_file_is_the_network_that_scikit_learn_trained(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    v = rng.normal([0.1, 0.1, 0.1, 0.5, 3.7, 3.35], [0.05, 0.05, 0.05, 0.4, 0.1, 0.1], (300, 6))
    ln_ohm = -4.0 + np.sin(v @ rng.standard_normal((6, 8)))
    scaling = Scaling.of(NetworkSamples(v, ln_ohm))
    x = (v - scaling.input_mean) / scaling.input_std
    y = (ln_ohm - scaling.output_mean) / scaling.output_std
    regressor = MLPRegressor(
        hidden_layer_sizes=(9, 7), activation="tanh", solver="lbfgs", max_iter=9999, tol=0.1, random_state=0
    )
    expected = regressor.fit(x, y).predict(x) * scaling.output_std + scaling.output_mean
    parameters = [*(weight.T for weight in regressor.coefs_), *regressor.intercepts_]
    write_float_network(network_of(parameters, scaling, [0.01, 1.0, 10.0, 1000.0]), tmp_path / "float.onnx")
    np.testing.assert_allclose(run(tmp_path / "float.onnx", v), expected, atol=1e-4)
    np.testing.assert_allclose(load_float_network(tmp_path / "float.onnx").evaluate(v)[0], expected, atol=1e-5)


def test_float_file_says_what_its_columns_are(tmp_path: Path) -> None:
    _, network = random_estimator(np.random.default_rng(0))
    write_float_network(network, tmp_path / "float.onnx")
    model = onnx.load(tmp_path / "float.onnx")
    metadata = {one.key: json.loads(one.value) for one in model.metadata_props}
    assert metadata == {"inputs": list(network.inputs), "frequency_Hz": network.frequency_Hz.tolist()}
    back = load_float_network(tmp_path / "float.onnx")
    assert back.inputs == network.inputs
    np.testing.assert_array_equal(back.weights[1], network.weights[1].astype(np.float32))


@pytest.mark.parametrize("shape", [{}, {"hidden": (16, 24, 8)}, {"hidden": (64, 64), "n_frequencies": 16}])
def test_qdq_file_is_the_integer_network_within_one_step_of_tanh(tmp_path: Path, shape: dict) -> None:
    rng = np.random.default_rng(7)
    model, network = random_estimator(rng, **shape)
    write_integer_network(model.network, model.frequency_Hz, tmp_path / "int8.onnx")
    v = (network.input_mean + rng.standard_normal((3000, network.n_inputs)) / network.input_scale).astype(np.float32)
    difference = run(tmp_path / "int8.onnx", v) - IntegerReference(model.network).evaluate(v)[0]
    assert np.abs(difference).max() < QDQ_LARGEST_LN_OHM
    assert np.sqrt(np.mean(difference**2)) < QDQ_RMS_LN_OHM


def test_committed_qdq_file_is_the_committed_integer_network() -> None:
    model = Model.load(FIRST_LIGHT / "model.json")
    rng = np.random.default_rng(8)
    bounds = np.array([(m.minimum, m.maximum) for m in model.modes if m.name in NETWORK_INPUTS])
    modes = rng.uniform(bounds[:, 0], bounds[:, 1], (3000, len(bounds)))
    v = np.column_stack([modes, rng.uniform(3.3, 4.1, 3000), 1000 / rng.uniform(283.15, 313.15, 3000)]).astype(
        np.float32
    )
    expected = IntegerReference(model.network).evaluate(v)[0]
    difference = run(FIRST_LIGHT / "network_int8.onnx", v) - expected
    assert np.abs(difference).max() < QDQ_LARGEST_LN_OHM
    assert np.sqrt(np.mean(difference**2)) < QDQ_RMS_LN_OHM
    # Quantisation itself is larger than that: the float file is another network.
    away = run(FIRST_LIGHT / "network_float.onnx", v) - expected
    assert np.sqrt(np.mean(away**2)) > 2 * np.sqrt(np.mean(difference**2))


def test_qdq_weights_are_int8_with_one_scale_per_output_and_activations_int16() -> None:
    model = Model.load(FIRST_LIGHT / "model.json")
    graph = onnx.load(FIRST_LIGHT / "network_int8.onnx").graph
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    for i, layer in enumerate(model.network.layers):
        assert constants[f"weight_{i}_q"].dtype == np.int8
        np.testing.assert_array_equal(constants[f"weight_{i}_q"], layer.weight)
        assert constants[f"weight_{i}_scale"].shape == (len(layer.bias),)
    quantisers = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    assert len(quantisers) == 1 + 2 * (len(model.network.layers) - 1)
    assert all(constants[node.input[2]].dtype == np.int16 for node in quantisers)


def test_committed_qdq_file_is_what_the_committed_model_gives(tmp_path: Path) -> None:
    model = Model.load(FIRST_LIGHT / "model.json")
    write_integer_network(model.network, model.frequency_Hz, tmp_path / "int8.onnx")
    assert (tmp_path / "int8.onnx").read_bytes() == (FIRST_LIGHT / "network_int8.onnx").read_bytes()


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07"])
def test_what_is_no_network_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "float.onnx"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=r"float\.onnx: not a float network"):
        load_float_network(path)


def test_a_missing_network_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="eishil train"):
        load_float_network(tmp_path / "network_float.onnx")
