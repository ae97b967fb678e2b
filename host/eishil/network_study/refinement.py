"""Quantisation-aware refinement: training goes on with rounded weights, and gradients that do not see the rounding.

The straight-through estimator of Bengio, Leonard, Courville, Estimating or propagating gradients through stochastic
neurons, 2013, as Jacob et al., Quantization and training of neural networks for efficient integer-arithmetic-only
inference, 2018, train with it. Inputs and activations are not rounded: theirs is finer by far.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from eishil.dataset.recipe import NetworkRecipe
from eishil.network.conversion import WEIGHT_MAX
from eishil.network.mlp import FloatNetwork
from eishil.network.samples import NetworkSamples
from eishil.network.soap import Schedule, Single, loss_and_gradients, minimise
from eishil.network.train import BLAS_THREADS, Scaling, network_of
from eishil.progress import Progress

EPOCHS = 100
RATE = 0.1  # of the recipe's


def refine(network: FloatNetwork, settings: NetworkRecipe, samples: NetworkSamples, progress: Progress) -> FloatNetwork:
    """A network trained on `samples`, after some more epochs; its weights are 8-bit steps of every row's largest."""
    scaling = Scaling.of(samples)
    x = ((samples.v - scaling.input_mean) / scaling.input_std).astype(np.float32)
    y = ((samples.ln_ohm - scaling.output_mean) / scaling.output_std).astype(np.float32)
    start = [one.astype(np.float32) for one in (*network.weights, *network.biases)]
    last = len(network.weights) - 1
    start[last] /= np.float32(scaling.output_std)
    start[-1] = ((network.biases[-1] - scaling.output_mean) / scaling.output_std).astype(np.float32)
    schedule = Schedule(EPOCHS, settings.batch, RATE * settings.learning_rate)

    def tick(done: int, value: float) -> None:
        progress("refine", done, EPOCHS, f"loss {value:.2e}")

    with threadpool_limits(BLAS_THREADS):
        found = minimise(start, x, y, schedule, np.random.default_rng(settings.seed), tick, rounded_objective)
    return network_of(rounded(found), scaling, settings.frequency_Hz)


def rounded_objective(parameters: Sequence[Single], x: Single, y: Single) -> tuple[float, list[Single]]:
    """Mean squared error with rounded weights; its gradients are taken for those of the weights themselves."""
    return loss_and_gradients(rounded(parameters), x, y)


def rounded(parameters: Sequence[Single]) -> list[Single]:
    """Weights, the first half, in steps of every row's largest over 127; biases as they are."""
    n_layers = len(parameters) // 2
    return [_rounded(weight) for weight in parameters[:n_layers]] + list(parameters[n_layers:])


def _rounded(weight: Single) -> Single:
    step = np.abs(weight).max(axis=1, keepdims=True) / np.float32(WEIGHT_MAX)
    return np.asarray(np.rint(weight / step) * step, np.float32)
