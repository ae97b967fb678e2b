"""The integer network against docs/network.md, written a second time in plain Python integers, and against float."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from eishil.model import IntegerNetwork, Model
from eishil.network.conversion import convert, round_layer
from eishil.network.integer import IntegerReference, quantise_input, requantise, tanh_q11
from eishil.network.mlp import FloatNetwork
from support.random_models import random_estimator

FIRST_LIGHT = Path(__file__).parents[2] / "datasets/models/first_light"
SHAPES = {
    "usual": {},
    "three layers": {"hidden": (16, 24, 8)},
    "widest": {"hidden": (64, 64), "n_frequencies": 16},
    "one hidden layer": {"hidden": (5,), "n_modes": 1, "n_series_terms": 0, "n_frequencies": 1},
}


def calibration(rng: np.random.Generator, network: FloatNetwork, n: int) -> np.ndarray:
    return network.input_mean + rng.standard_normal((n, network.n_inputs)) / network.input_scale


def plain_requantise(accumulator: int, multiplier: int) -> int:
    return (accumulator * multiplier + 2**31) // 2**32


def plain_tanh(p: int) -> int:
    def node(k: int) -> int:
        return max(-32767, min(32767, round(32768 * math.tanh(k / 32))))

    k, f = divmod(max(-16384, min(16383, p)), 64)
    return (64 * node(k) + (node(k + 1) - node(k)) * f + 512) // 1024


def plain_accumulators(net: IntegerNetwork, q: list[int]) -> tuple[list[int], list[list[int]]]:
    """docs/network.md, sample by sample and unit by unit."""
    columns = range(len(q))
    activation, damped = q, [[0] * len(q)]
    for index, layer in enumerate(net.layers[:-1]):
        argument = [
            plain_requantise(sum(w * a for w, a in zip(row, activation, strict=True)) + bias, multiplier)
            for row, bias, multiplier in zip(layer.weight, layer.bias, layer.multiplier, strict=True)
        ]
        activation = [plain_tanh(p) for p in argument]
        slope = [(2**22 - a * a) * 2**8 for a in activation]
        if index == 0:
            damped = [[plain_requantise(t, g) for t in row] for row, g in zip(net.tangent, slope, strict=True)]
            continue
        sums = [[sum(w * d[c] for w, d in zip(row, damped, strict=True)) for c in columns] for row in layer.weight]
        scale = [plain_requantise(m, g) for m, g in zip(layer.tangent_multiplier, slope, strict=True)]
        damped = [[plain_requantise(s, m) for s in row] for row, m in zip(sums, scale, strict=True)]
    last = net.layers[-1]
    A = [
        b + sum(w * a for w, a in zip(row, activation, strict=True))
        for row, b in zip(last.weight, last.bias, strict=True)
    ]
    AJ = [[sum(w * d[c] for w, d in zip(row, damped, strict=True)) for c in columns] for row in last.weight]
    return A, AJ


@pytest.mark.parametrize("shape", SHAPES)
def test_accumulators_equal_the_specification_in_plain_integers(shape: str) -> None:
    rng = np.random.default_rng(11)
    model, network = random_estimator(rng, **SHAPES[shape])
    reference = IntegerReference(model.network)
    q = np.concatenate(
        [reference.quantise(calibration(rng, network, 10)), rng.integers(-2048, 2048, (10, network.n_inputs))]
    )
    A, AJ = reference.accumulators(q)
    for k, one in enumerate(q.tolist()):
        assert (A[k].tolist(), AJ[k].tolist()) == plain_accumulators(model.network, one)


@pytest.mark.parametrize("shape", SHAPES)
def test_tangents_use_int16_and_cannot_leave_it(shape: str) -> None:
    """A model whose tangents could is refused: a kernel would wrap them around."""
    model, _ = random_estimator(np.random.default_rng(12), **SHAPES[shape])
    document = model.model_dump()
    for layer in document["network"]["layers"]:
        layer["tangent_multiplier"] = [round(1.01 * m) for m in layer["tangent_multiplier"]]
    if any(layer.tangent_multiplier for layer in model.network.layers):
        with pytest.raises(ValidationError, match=r"layer 1: the tangents of row \d+ could leave int16"):
            Model.model_validate(document)


@settings(deadline=None)
@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 2**31 - 1))
def test_requantise_is_the_floor_of_the_exact_quotient(accumulator: int, multiplier: int) -> None:
    exact = (accumulator * multiplier + 2**31) // 2**32
    assert requantise(np.int64(accumulator), np.int64(multiplier)) == exact


def test_tanh_is_within_one_step_of_the_true_one() -> None:
    p = np.arange(-20000, 20001)
    a = tanh_q11(p)
    # Half a step of rounding, and the chord's sag h^2/8 max|tanh''| = 2^-10/8 * 0.77, 0.19 steps.
    assert np.abs(a - 2048 * np.tanh(p / 2048)).max() <= 0.7
    assert np.all(np.diff(a) >= 0) and (a.min(), a.max()) == (-2048, 2048)


def test_inputs_round_ties_to_even_and_saturate() -> None:
    value = np.array([0.5, 1.5, -0.5, -1.5, 2.4999, 1e9, -1e9])
    assert quantise_input(value, 0.0, 1.0).tolist() == [0, 2, 0, -2, 2, 2047, -2048]


@pytest.mark.parametrize("shape", SHAPES)
def test_quantised_network_is_near_the_float_one(shape: str) -> None:
    rng = np.random.default_rng(5)
    model, network = random_estimator(rng, **SHAPES[shape])
    v = calibration(rng, network, 500)
    y, J = network.evaluate(v)
    y_integer, J_integer = IntegerReference(model.network).evaluate(v)
    spread = y.std(axis=0).mean()
    assert np.sqrt(np.mean((y_integer - y) ** 2)) < 0.01 * spread
    column = np.sqrt(np.mean(J**2, axis=(0, 1)))
    assert np.all(np.sqrt(np.mean((J_integer - J) ** 2, axis=(0, 1))) < 0.03 * column)


def test_fitted_rounding_beats_rounding_to_nearest() -> None:
    """On correlated inputs, as hidden activations are, spreading the error pays."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((2000, 6)) @ rng.standard_normal((6, 32)) / 6 + 0.02 * rng.standard_normal((2000, 32))
    weight = rng.standard_normal((22, 32))
    scale = np.abs(weight).max(axis=1, keepdims=True) / 127
    target = x @ weight.T
    nearest = x @ (np.rint(weight / scale) * scale).T - target
    layer = round_layer(weight, x, target)
    fitted = x @ (layer.weight * layer.scale[:, None]).T + layer.bias - target
    assert np.sqrt(np.mean(fitted**2)) < 0.5 * np.sqrt(np.mean((nearest - nearest.mean(axis=0)) ** 2))


def test_a_row_of_few_weights_gets_the_scale_that_suits_it() -> None:
    """On independent inputs no error can be spread; only the choice of scale is left."""
    rng = np.random.default_rng(9)
    x, weight = rng.standard_normal((2000, 6)), rng.standard_normal((200, 6))
    scale = np.abs(weight).max(axis=1, keepdims=True) / 127
    layer = round_layer(weight, x, x @ weight.T)
    chosen = layer.weight * layer.scale[:, None] - weight
    assert np.sqrt(np.mean(chosen**2)) < 0.75 * np.sqrt(np.mean((np.rint(weight / scale) * scale - weight) ** 2))


def test_float_jacobian_agrees_with_central_differences() -> None:
    rng = np.random.default_rng(3)
    _, network = random_estimator(rng, hidden=(16, 8))
    v = calibration(rng, network, 1)[0]
    _, J = network.evaluate(v)
    for c, step in enumerate(1e-5 / network.input_scale):
        high, low = v.copy(), v.copy()
        high[c] += step
        low[c] -= step
        numeric = (network.evaluate(high)[0] - network.evaluate(low)[0]) / (2 * step)
        np.testing.assert_allclose(J[:, c], numeric, rtol=1e-6, atol=1e-8)


def test_weights_that_do_not_fit_are_refused() -> None:
    rng = np.random.default_rng(4)
    _, network = random_estimator(rng)
    steep = FloatNetwork(
        network.inputs,
        network.frequency_Hz,
        network.input_mean,
        network.input_scale,
        (network.weights[0] * 100, *network.weights[1:]),
        network.biases,
    )
    with pytest.raises(ValueError, match="does not fit 32 bits"):
        convert(steep, calibration(rng, network, 100))


def test_committed_network_does_not_saturate_in_its_own_range() -> None:
    model = Model.load(FIRST_LIGHT / "model.json")
    rng = np.random.default_rng(6)
    bounds = np.array([(m.minimum, m.maximum) for m in model.modes if m.name in model.network.inputs])
    modes = rng.uniform(bounds[:, 0], bounds[:, 1], (500, len(bounds)))
    v = np.column_stack([modes, rng.uniform(3.3, 4.1, 500), 1000 / rng.uniform(283.15, 313.15, 500)])
    reference = IntegerReference(model.network)
    q = reference.quantise(v)
    assert q.min() > -2048 and q.max() < 2047
