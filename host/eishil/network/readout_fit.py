"""Fit a readout: a small tanh network from modes to a label, on training cells."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits

from eishil.filters import readout
from eishil.model import Readout
from eishil.network.mlp import Array

HIDDEN = 8
MAX_SAMPLES = 4000  # more of a noiseless label brings nothing to so few weights
ITERATIONS = 1500
SEED = 0


def fit_readout(name: str, inputs: Sequence[str], x: Array, label: Array) -> Readout:
    """Readout of `inputs`, whose values are x (S, n), fitted to label (S,); `residual_std` is left at 0."""
    every = -(-len(x) // MAX_SAMPLES)
    x, label = x[::every], label[::every]
    mean, std = x.mean(axis=0), x.std(axis=0)
    std[std == 0] = 1.0
    centre, width = label.mean(), label.std()
    regressor = MLPRegressor(
        hidden_layer_sizes=(HIDDEN,),
        activation="tanh",
        solver="lbfgs",
        alpha=0.0,
        max_iter=ITERATIONS,
        max_fun=10 * ITERATIONS,
        tol=1e-12,
        random_state=SEED,
    )
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # the iterations are the budget
        regressor.fit((x - mean) / std, (label - centre) / width)
    (w1, w2), (b1, b2) = regressor.coefs_, regressor.intercepts_
    return Readout(
        name=name,
        unit="1",
        inputs=list(inputs),
        input_mean=mean.tolist(),
        input_scale=(1.0 / std).tolist(),
        w1=w1.T.tolist(),
        b1=b1.tolist(),
        w2=(width * w2[:, 0]).tolist(),
        b2=float(width * b2[0] + centre),
        residual_std=0.0,
    )


def residual_std(fitted: Readout, x: Array, label: Array) -> float:
    """Root mean square error of a readout at x (S, n), whose columns are its inputs."""
    value, _ = readout.evaluate(fitted, fitted.inputs, x)
    return float(np.sqrt(np.mean((value - label) ** 2)))
