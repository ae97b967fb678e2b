"""What an estimator is told of the errors of its observations: network, instrument, voltage and temperature."""

from __future__ import annotations

import numpy as np

from eishil.filters.ekf import Array, Network
from eishil.model import Noise


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
