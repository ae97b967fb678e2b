"""What an estimator is told of the errors of its observations: network, instrument, voltage and temperature."""

from __future__ import annotations

import numpy as np

from eishil.dataset.recipe import Recipe
from eishil.filters.observation import Array, Network
from eishil.model import Noise
from eishil.network.samples import NetworkSamples


def observation_noise(recipe: Recipe, residual: Array, network: Network, v: Array) -> Noise:
    """Noise of a network with a mean squared residual (m,); `v` (S, n_inputs) are its training inputs."""
    measurement = recipe.measurement
    noise = Noise(
        variance=residual.tolist(),
        instrument_std=measurement.z_relative_std,
        voltage_std_V=measurement.voltage_std_V,
        temperature_std_K=measurement.temperature_std_K,
    )
    return with_linear_context(noise, network, v) if recipe.filter.context == "linear" else noise


def mean_squared_residual(network: Network, held_out: NetworkSamples) -> Array:
    """Of every output (m,), in (ln ohm)^2."""
    return np.asarray(np.mean((network.evaluate(held_out.v)[0] - held_out.ln_ohm) ** 2, axis=0))


def with_linear_context(noise: Noise, network: Network, v: Array) -> Noise:
    """The noise without the network's derivatives by voltage and temperature (docs/estimator.md).

    That by the inverse temperature becomes a straight line of it, by least squares over inputs v (S, n_inputs), and the
    mean squared effect that an error of the voltage has over them is one more variance of every observation.
    """
    _, J = network.evaluate(v)
    line = np.column_stack([np.ones(len(v)), v[:, -1]])
    effect = np.linalg.lstsq(line, J[..., -1], rcond=None)[0].T
    by_voltage = noise.voltage_std_V**2 * np.mean(J[..., -2] ** 2, axis=0)
    changed = {
        "variance": (np.array(noise.variance) + by_voltage).tolist(),
        "voltage_std_V": 0.0,
        "temperature_effect": [(float(constant), float(slope)) for constant, slope in effect],
    }
    return noise.model_copy(update=changed)
