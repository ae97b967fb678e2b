"""The integer network in C against the integer reference in Python: no difference, not one unit."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eishil import codegen
from eishil.ccore import CoreLibrary
from eishil.model import Model
from eishil.network.integer import IntegerReference, quantise_input, tanh_q11
from support.core_cases import Case

Q_MIN, Q_MAX = -2048, 2047
SANITIZE = os.environ.get("EISHIL_CORE_SANITIZE") == "1"


def assert_equal(core: CoreLibrary, model: Model, q: np.ndarray) -> None:
    accumulator, jacobian = IntegerReference(model.network).accumulators(q)
    jacobian[..., model.n_tangents :] = 0  # not computed
    for row, expected_accumulator, expected_jacobian in zip(q, accumulator, jacobian, strict=True):
        got_accumulator, got_jacobian = core.network_quantised(row)
        assert np.array_equal(got_accumulator, expected_accumulator), row
        assert np.array_equal(got_jacobian, expected_jacobian), row


def test_equality_2_integer_network_host(core: CoreLibrary, first_light: Model) -> None:
    rng = np.random.default_rng(20)
    n = first_light.network.n_inputs
    anywhere = rng.integers(Q_MIN, Q_MAX + 1, (1500, n))
    typical = np.clip(np.rint(rng.normal(0, 512, (500, n))), Q_MIN, Q_MAX).astype(np.int64)
    corners = np.array(np.meshgrid(*[[Q_MIN, Q_MAX]] * n)).reshape(n, -1).T
    assert_equal(core, first_light, np.concatenate([anywhere, typical, corners]))


def test_equality_2_on_random_models(case: Case) -> None:
    rng = np.random.default_rng(21)
    n = case.model.network.n_inputs
    corners = rng.choice([Q_MIN, 0, Q_MAX], (50, n))
    assert_equal(case.core, case.model, np.concatenate([rng.integers(Q_MIN, Q_MAX + 1, (150, n)), corners]))


def log_uniform_integers(rng: np.random.Generator, low_bits: float, high_bits: float, size: int) -> list[int]:
    values = rng.choice([-1, 1], size) * 2.0 ** rng.uniform(low_bits, high_bits, size)
    return np.clip(values, -(2**31), 2**31 - 1).astype(np.int64).tolist()


def extreme_model(model: Model, seed: int) -> Model:
    """The same shapes with numbers from the whole of their ranges: every clamp of the arithmetic is reached."""
    rng = np.random.default_rng(seed)
    document = model.model_dump()
    network = document["network"]
    network["tangent"] = rng.integers(-32767, 32768, np.shape(network["tangent"])).tolist()
    bound = np.abs(network["tangent"]).max() // 4 + 1
    for layer in network["layers"]:
        shape = np.shape(layer["weight"])
        layer["weight"] = rng.choice([-127, -1, 0, 1, 127], shape).tolist()
        layer["bias"] = log_uniform_integers(rng, 0, 30, shape[0])
        layer["multiplier"] = log_uniform_integers(rng, 20, 31, len(layer["multiplier"]))
        if layer["tangent_multiplier"]:
            # As far as a model may go: with all signs alike, just inside int16.
            reach = np.abs(layer["weight"]).sum(axis=1).max() * bound
            limit = min(2**34 * 32760 // reach, 2**31 - 1)
            layer["tangent_multiplier"] = (rng.choice([-1, 1], shape[0]) * limit).tolist()
            bound = 32767
    return Model.model_validate(document)


# One case for every shape of network.
@pytest.mark.parametrize(
    "case",
    ["random_walk", "largest", "unscented_bank", "linear_context", "unscented_linear_context", "smallest"],
    indirect=True,
)
def test_equality_2_at_the_limits_of_the_arithmetic(case: Case, tmp_path: Path) -> None:
    model = extreme_model(case.model, 23)
    codegen.generate(model, tmp_path)
    q = np.random.default_rng(24).integers(Q_MIN, Q_MAX + 1, (100, model.network.n_inputs))
    assert_equal(CoreLibrary.build(tmp_path, sanitize=SANITIZE), model, q)


def test_equality_2_of_a_network_with_fewer_columns_than_a_block(first_light: Model, tmp_path: Path) -> None:
    document = first_light.model_dump()
    network = document["network"]
    for name in ("inputs", "input_mean", "input_scale", "jacobian_column_scale"):
        network[name] = network[name][-2:]
    network["tangent"] = [row[-2:] for row in network["tangent"]]
    network["layers"][0]["weight"] = [row[-2:] for row in network["layers"][0]["weight"]]
    model = Model.model_validate(document)
    codegen.generate(model, tmp_path)
    q = np.random.default_rng(25).integers(Q_MIN, Q_MAX + 1, (50, 2))
    assert_equal(CoreLibrary.build(tmp_path, sanitize=SANITIZE), model, q)


@given(data=st.data())
def test_equality_2_from_physical_inputs(core: CoreLibrary, first_light: Model, data: st.DataObject) -> None:
    network = first_light.network
    values = st.floats(-1e6, 1e6, width=32)
    v = np.array(data.draw(st.lists(values, min_size=network.n_inputs, max_size=network.n_inputs)))
    reference = IntegerReference(network)
    expected_accumulator, expected_jacobian = reference.accumulators(reference.quantise(v))
    accumulator, jacobian = core.network(v)
    assert np.array_equal(accumulator, expected_accumulator)
    assert np.array_equal(jacobian, expected_jacobian)


def test_outputs_in_float32_are_bit_equal(case: Case) -> None:
    lib, network = case.core.lib, case.core.ffi.addressof(case.core.model.network)
    reference = IntegerReference(case.model.network)
    v = np.random.default_rng(22).normal(0.3, 1.0, case.model.network.n_inputs)
    expected_y, expected_J = reference.evaluate(v)
    expected_J[:, case.model.n_tangents :] = 0  # not computed
    accumulator, jacobian = case.core.network(v)
    y = [lib.nn_output(network, i, int(a)) for i, a in enumerate(accumulator)]
    J = [[lib.nn_jacobian(network, i, c, int(a)) for c, a in enumerate(row)] for i, row in enumerate(jacobian)]
    assert np.array_equal(y, expected_y)
    assert np.array_equal(J, expected_J)


@given(x=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_input_quantisation(core: CoreLibrary, first_light: Model, x: float) -> None:
    network = first_light.network
    with np.errstate(over="ignore"):
        expected = quantise_input(x, network.input_mean[0], network.input_scale[0])
    assert core.lib.nn_quantise_input(core.ffi.addressof(core.model.network), 0, x) == expected


def test_input_quantisation_of_what_is_not_finite(core: CoreLibrary) -> None:
    network = core.ffi.addressof(core.model.network)
    quantised = [core.lib.nn_quantise_input(network, 0, x) for x in (math.inf, -math.inf, math.nan)]
    assert quantised == [Q_MAX, Q_MIN, 0]


def test_tanh_q11(core: CoreLibrary) -> None:
    p = np.arange(-16384, 16384)
    a = np.array([core.lib.nn_tanh_q11(int(x)) for x in p])
    assert np.array_equal(a, tanh_q11(p))
    assert np.all(np.diff(a) >= 0)
    # Half a unit of Q11 from rounding, and the chord's sag h^2/8 max|tanh''| = 2^-10/8 * 0.77 = 0.19 units.
    assert np.abs(a - 2048 * np.tanh(p / 2048)).max() < 0.5 + 0.25
    assert [core.lib.nn_tanh_q11(x) for x in (-(2**31) + 1, -16384, 16384, 2**31 - 1)] == [-2048, -2048, 2048, 2048]


@pytest.mark.parametrize("shape", [(0,), (1,), (99,)])
def test_wrong_input_shape_is_refused(core: CoreLibrary, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="inputs, not shape"):
        core.network_quantised(np.zeros(shape))
