"""Readouts: value against a plain formula, gradient against differences, sigma against linear propagation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eishil.filters import readout
from eishil.filters.ekf import Ekf
from eishil.network.readout_fit import fit_readout, residual_std
from support.random_models import random_estimator, random_steps


def test_value_and_gradient() -> None:
    model, _ = random_estimator(np.random.default_rng(0))
    one, names = model.readouts[0], [mode.name for mode in model.modes]
    modes = np.random.default_rng(1).normal(0.1, 0.1, len(names))
    scaled = [
        (modes[names.index(n)] - m) * s for n, m, s in zip(one.inputs, one.input_mean, one.input_scale, strict=True)
    ]
    plain = one.b2
    for row, b, w2 in zip(one.w1, one.b1, one.w2, strict=True):
        plain += w2 * math.tanh(sum(w * x for w, x in zip(row, scaled, strict=True)) + b)
    value, gradient = readout.evaluate(one, names, modes)
    assert value == pytest.approx(plain, rel=1e-13)
    for k in range(len(names)):
        step = 1e-6 * np.eye(len(names))[k]
        numeric = (readout.evaluate(one, names, modes + step)[0] - readout.evaluate(one, names, modes - step)[0]) / 2e-6
        assert gradient[k] == pytest.approx(numeric, rel=1e-6, abs=1e-9)


def test_sigma_of_one_filter_is_propagated_through_the_gradient() -> None:
    rng = np.random.default_rng(2)
    model, network = random_estimator(rng)
    output = Ekf(model, network).step(next(random_steps(rng, model, network, 1)))
    one, names = model.readouts[0], [mode.name for mode in model.modes]
    steps = 1e-6 * np.eye(len(names))
    slope = [
        (readout.evaluate(one, names, output.x + s)[0] - readout.evaluate(one, names, output.x - s)[0]) / 2e-6
        for s in steps
    ]
    assert output.readout_sigma[0] ** 2 == pytest.approx(one.residual_std**2 + slope @ output.P @ slope, rel=1e-5)


def test_fit_finds_a_smooth_function_of_the_modes() -> None:
    rng = np.random.default_rng(3)

    def label(x: np.ndarray) -> np.ndarray:
        return 1.0 - np.log1p(np.exp(8 * (x[:, 0] - x[:, 1]))) / 8 - 0.5 * x[:, 1] ** 2

    train, fresh = rng.uniform(0.0, 0.3, (1500, 2)), rng.uniform(0.0, 0.3, (500, 2))
    fitted = fit_readout("soh", ["lli", "lam_pe"], train, label(train))
    assert residual_std(fitted, fresh, label(fresh)) < 0.02 * label(fresh).std()
