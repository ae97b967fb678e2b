"""Train the observation network: (modes, rest voltage, 1/T) -> ln Re Z and ln(-Im Z), on training cells only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from eishil.dataset.recipe import NetworkRecipe, Recipe
from eishil.dataset.tables import Dataset
from eishil.files import write_atomic
from eishil.network.mlp import Array, FloatNetwork
from eishil.network.onnx_files import load_float_network, write_float_network
from eishil.network.onnx_import import import_network
from eishil.network.samples import NETWORK_INPUTS, NetworkSamples, network_samples
from eishil.network.soap import Schedule, Single, minimise
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


def train(
    recipe: Recipe, dataset_dir: Path, out_dir: Path, progress: Progress, imported: Path | None = None
) -> dict[str, float]:
    """Write `network_float.onnx` and `training.json` to `out_dir`; give the residuals for the terminal.

    A network that is `imported` from an ONNX file takes the place of training.
    """
    dataset = Dataset.open(dataset_dir)
    settings = recipe.network
    samples = {name: network_samples(dataset.split(name), settings.frequency_Hz) for name in ("train", "validation")}
    if imported is None:
        network, loss = fit_network(settings, samples["train"], progress)
    else:
        scaling = Scaling.of(samples["train"])
        network, loss = import_network(imported, settings.frequency_Hz, scaling.input_mean, scaling.input_std), []
    write_float_network(network, out_dir / FLOAT_FILE)
    network = load_float_network(out_dir / FLOAT_FILE)  # with constants rounded to float32, as everyone has it
    residual = {name: residual_rms(network, one) for name, one in samples.items()}
    write_atomic(out_dir / TRAINING_FILE, json.dumps(_report(settings, samples, residual, loss), indent=1) + "\n")
    return {f"{name}_residual_ln_ohm": float(np.sqrt(np.mean(one**2))) for name, one in residual.items()}


def fit_network(
    settings: NetworkRecipe, samples: NetworkSamples, progress: Progress
) -> tuple[FloatNetwork, list[float]]:
    """Train the network; gives it with the loss of every epoch, the mean squared error over the outputs' scale."""
    scaling = Scaling.of(samples)
    x = ((samples.v - scaling.input_mean) / scaling.input_std).astype(np.float32)
    y = ((samples.ln_ohm - scaling.output_mean) / scaling.output_std).astype(np.float32)
    rng = np.random.default_rng(settings.seed)
    sizes = (x.shape[1], *settings.hidden, y.shape[1])
    schedule = Schedule(settings.epochs, settings.batch, settings.learning_rate)
    loss: list[float] = []

    def tick(done: int, value: float) -> None:
        loss.append(value)
        progress("train", done, settings.epochs, f"loss {value:.2e}")

    with threadpool_limits(BLAS_THREADS):
        parameters = minimise(random_start(sizes, rng), x, y, schedule, rng, tick)
    return network_of(parameters, scaling, settings.frequency_Hz), loss


def random_start(sizes: tuple[int, ...], rng: np.random.Generator) -> list[Single]:
    """Weights of variance 1 / n_in, small biases: arguments of tanh of about 1 from standardised inputs."""
    weights = [rng.standard_normal((n_out, n_in)) / np.sqrt(n_in) for n_in, n_out in pairwise(sizes)]
    biases = [0.1 * rng.standard_normal(n_out) for n_out in sizes[1:]]
    return [one.astype(np.float32) for one in (*weights, *biases)]


def residual_rms(network: FloatNetwork, samples: NetworkSamples) -> Array:
    """Root mean square error of every output, (m,), in ln ohm."""
    error = network.evaluate(samples.v)[0] - samples.ln_ohm
    return np.asarray(np.sqrt(np.mean(error**2, axis=0)))


def network_of(parameters: Sequence[NDArray[np.floating]], scaling: Scaling, frequency_Hz: list[float]) -> FloatNetwork:
    """The network of trained weights and then biases, with the scaling of its outputs folded into the last layer."""
    arrays = [one.astype(np.float64) for one in parameters]
    weights, biases = arrays[: len(arrays) // 2], arrays[len(arrays) // 2 :]
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
        "loss_of_epoch": loss,
    }
