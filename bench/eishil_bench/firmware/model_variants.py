"""The same network under other filters and with other states: for figures that can be compared with others'."""

from __future__ import annotations

from typing import Any

import numpy as np

from eishil.model import Model
from eishil.network import noise as network_noise
from eishil.network.integer import IntegerReference
from eishil.units import ZERO_CELSIUS_K

# A walk of the modes that neither stands still nor runs away: a thousandth of the modes' range per cycle.
WALK_PER_CYCLE = 1e-3
# Where the linear context of the second variant is fitted: evenly over the modes' ranges and these.
VOLTAGE_RANGE_V = (2.5, 4.2)
TEMPERATURE_RANGE_degC = (10.0, 40.0)
CONTEXT_SAMPLES = 4096
CONTEXT_SEED = 1


def variants(model: Model) -> dict[str, Model]:
    """By filter and states: the model itself, and with the modes as states and to first order; as EKF and as UKF."""
    ekf = [model, with_linear_context(with_modes_as_states(model))]
    ukf = [_changed(shape, filter="ukf", curvature=None) for shape in ekf]
    return {f"{shape.filter} {shape.n_states}": shape for shape in (*ekf, *ukf)}


def with_modes_as_states(model: Model) -> Model:
    """A random walk of the modes, from the first quarter of their ranges, linearised once."""
    low, high = (np.array([getattr(mode, name) for mode in model.modes]) for name in ("minimum", "maximum"))
    span = high - low
    states = [
        {
            "name": mode.name,
            "unit": mode.unit,
            "drift_per_cycle": 0.0,
            "process_variance_per_cycle": float((WALK_PER_CYCLE * width) ** 2),
        }
        for mode, width in zip(model.modes, span, strict=True)
    ]
    prior = {"weight": 1.0, "mean": (low + span / 4).tolist(), "covariance": np.diag((span / 4) ** 2).tolist()}
    return _changed(model, states=states, trajectory=None, priors=[prior], curvature=None)


def with_linear_context(model: Model) -> Model:
    """A linear context and noise that does not follow the spectrum: what the least step does without.

    The variances keep the mean of what they replace: of the voltage's error over `_even_inputs`, of the instrument's
    over the impedances there, with series terms at the middle of their modes' ranges.
    """
    network, v = IntegerReference(model.network), _even_inputs(model)
    noise = network_noise.with_linear_context(model.noise, network, v)
    part_ohm = np.exp(network.evaluate(v)[0])
    for term in model.series_terms:
        mode = model.modes[model.mode_index(term.mode)]
        part_ohm += np.array(term.coefficient) * (mode.minimum + mode.maximum) / 2
    square = part_ohm.reshape(len(v), 2, -1) ** 2  # (S, part, F)
    share = (square.sum(axis=1, keepdims=True) / square).mean(axis=0).ravel()
    variance = np.array(noise.variance) + noise.instrument_std**2 * share
    fields = noise.model_dump() | {"variance": variance.tolist(), "instrument_std": 0.0}
    return _changed(model, noise=fields)


def _even_inputs(model: Model) -> np.ndarray:
    """Inputs of the network (CONTEXT_SAMPLES, n_inputs), evenly over their ranges."""
    modes = [model.modes[model.mode_index(name)] for name in model.network.inputs[:-2]]
    inverse_range = [1000.0 / (temperature_degC + ZERO_CELSIUS_K) for temperature_degC in TEMPERATURE_RANGE_degC]
    ranges = [*((mode.minimum, mode.maximum) for mode in modes), VOLTAGE_RANGE_V, sorted(inverse_range)]
    low, high = np.array(ranges).T
    return np.random.default_rng(CONTEXT_SEED).uniform(low, high, (CONTEXT_SAMPLES, len(ranges)))


def _changed(model: Model, **fields: Any) -> Model:
    """Checked like a model file."""
    return Model.model_validate(model.model_dump() | fields)
