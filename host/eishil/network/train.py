"""Train the observation network: (modes, rest voltage, 1/T) -> ln Re Z and ln(-Im Z), on training cells only."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from eishil.dataset.recipe import NetworkRecipe, Recipe
from eishil.dataset.tables import Dataset
from eishil.files import write_atomic
from eishil.network.mlp import Array, FloatNetwork
from eishil.network.onnx_files import load_float_network, write_float_network
from eishil.network.samples import NETWORK_INPUTS, NetworkSamples, network_samples
from eishil.progress import Progress

FLOAT_FILE, TRAINING_FILE = "network_float.onnx", "training.json"
# One BLAS thread: on matrices this small a second one costs more than it brings, and sums keep their order.
BLAS_THREADS = 1


@dataclass(frozen=True)
class Scaling:
    """Standardisation of inputs (n_inputs,) and outputs (m,).

    All outputs share one scale: the filter weighs an error in ln ohm the same wherever it is, and outputs that hardly
    vary would otherwise be fitted better than any instrument measures them.
    """

    input_mean: Array
    input_std: Array
    output_mean: Array
    output_std: float

    @classmethod
    def of(cls, samples: NetworkSamples) -> Scaling:
        v, y = samples.v, samples.ln_ohm
        input_std = v.std(axis=0)
        input_std[input_std == 0] = 1.0  # an input that the recipe does not vary
        return cls(v.mean(axis=0), input_std, y.mean(axis=0), float(np.sqrt(y.var(axis=0).mean())))


def train(recipe: Recipe, dataset_dir: Path, out_dir: Path, progress: Progress) -> dict[str, float]:
    """Write `network_float.onnx` and `training.json` to `out_dir`; give the residuals for the terminal."""
    dataset = Dataset.open(dataset_dir)
    settings = recipe.network
    samples = {name: network_samples(dataset.split(name), settings.frequency_Hz) for name in ("train", "validation")}
    network, loss = fit_network(settings, samples["train"], progress)
    write_float_network(network, out_dir / FLOAT_FILE)
    network = load_float_network(out_dir / FLOAT_FILE)  # with constants rounded to float32, as everyone has it
    residual = {name: residual_rms(network, one) for name, one in samples.items()}
    write_atomic(out_dir / TRAINING_FILE, json.dumps(_report(settings, samples, residual, loss), indent=1) + "\n")
    return {f"{name}_residual_ln_ohm": float(np.sqrt(np.mean(one**2))) for name, one in residual.items()}


def fit_network(
    settings: NetworkRecipe, samples: NetworkSamples, progress: Progress
) -> tuple[FloatNetwork, list[float]]:
    """Train the network; gives it with the loss after every round of L-BFGS.

    The whole training set is one batch: for a network this small L-BFGS reaches a lower residual in the same time than
    stochastic gradients do, and its result does not depend on an order of samples.
    """
    scaling = Scaling.of(samples)
    x = (samples.v - scaling.input_mean) / scaling.input_std
    y = (samples.ln_ohm - scaling.output_mean) / scaling.output_std
    regressor = MLPRegressor(
        hidden_layer_sizes=tuple(settings.hidden),
        activation="tanh",
        solver="lbfgs",
        alpha=settings.alpha,
        max_iter=settings.iterations_per_round,
        max_fun=10 * settings.iterations_per_round,
        tol=0.0,
        warm_start=True,
        random_state=settings.seed,
    )
    loss = []
    with warnings.catch_warnings(), threadpool_limits(BLAS_THREADS):
        warnings.simplefilter("ignore", ConvergenceWarning)  # a round ends when its iterations are spent
        for done in range(settings.rounds):
            regressor.fit(x, y)
            loss.append(float(regressor.loss_))
            progress("train", done + 1, settings.rounds, f"loss {loss[-1]:.2e}")
    return from_regressor(regressor, scaling, settings.frequency_Hz), loss


def residual_rms(network: FloatNetwork, samples: NetworkSamples) -> Array:
    """Root mean square error of every output, (m,), in ln ohm."""
    error = network.evaluate(samples.v)[0] - samples.ln_ohm
    return np.asarray(np.sqrt(np.mean(error**2, axis=0)))


def from_regressor(regressor: MLPRegressor, scaling: Scaling, frequency_Hz: list[float]) -> FloatNetwork:
    """The network of a fitted regressor, with the scaling of its outputs folded into the last layer."""
    weights = [weight.T.copy() for weight in regressor.coefs_]
    biases = [bias.copy() for bias in regressor.intercepts_]
    weights[-1] = scaling.output_std * weights[-1]
    biases[-1] = scaling.output_std * biases[-1] + scaling.output_mean
    return FloatNetwork(
        inputs=NETWORK_INPUTS,
        frequency_Hz=np.array(frequency_Hz),
        input_mean=scaling.input_mean,
        input_scale=1.0 / scaling.input_std,
        weights=tuple(weights),
        biases=tuple(biases),
    )


def _report(
    settings: NetworkRecipe, samples: dict[str, NetworkSamples], residual: dict[str, Array], loss: list[float]
) -> dict[str, object]:
    return {
        "settings": settings.model_dump(),
        "spectra": {name: len(one.v) for name, one in samples.items()},
        "residual_rms_ln_ohm": {name: one.tolist() for name, one in residual.items()},
        "loss_after_round": loss,
    }
