"""What a model expects of a spectrum, to first and second order: docs/estimator.md, equations 2 to 5.

For a state, or for as many as there are leading axes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eishil.model import Model
from eishil.units import ZERO_CELSIUS_K

Array = NDArray[np.float64]


class Network(Protocol):
    """An observation network, for the filter: y (..., m) in ln ohm and J (..., m, n_inputs) at v (..., n_inputs)."""

    def evaluate(self, v: Array) -> tuple[Array, Array]: ...


@dataclass(frozen=True)
class Observations:
    """Of a spectrum `z` (..., m) in ln ohm and where it is usable, (..., m).

    `share` (..., m) is |Z| / part: an error of |Z| by some fraction is an error of z by so many times that fraction.
    """

    z: Array
    usable: NDArray[np.bool_]
    share: Array


@dataclass(frozen=True)
class Linearisation:
    """The observation equation at a state: prediction h (..., m), H (..., m, n), R (..., m, m), and where h exists.

    `y` (..., m) is what the network gave for h.
    """

    h: Array
    H: Array
    R: Array
    exists: NDArray[np.bool_]
    y: Array


def observations(z_ohm: NDArray[np.complex128], valid: NDArray[np.bool_]) -> Observations:
    """Observations of impedances (..., F): ln Re Z of all frequencies, then ln(-Im Z)."""
    real, imaginary = z_ohm.real, -z_ohm.imag
    whole = valid & np.isfinite(real) & np.isfinite(imaginary) & (real > 0)
    usable = np.concatenate([whole, whole & (imaginary > 0)], axis=-1)
    part = np.where(usable, np.concatenate([real, imaginary], axis=-1), 1.0)
    magnitude = np.where(usable, np.concatenate([np.abs(z_ohm)] * 2, axis=-1), 1.0)
    return Observations(np.log(part), usable, magnitude / part)


class ModeMap:
    """modes = mean(C) + Phi(C) x, with C the cycles since the start; the identity without a latent trajectory."""

    def __init__(self, model: Model) -> None:
        self._identity = np.eye(model.n_states) if model.trajectory is None else None
        if model.trajectory is not None:
            self._spacing = model.trajectory.cycle_spacing
            self._mean = np.array(model.trajectory.mean)
            self._phi = np.array(model.trajectory.phi)

    def at(self, cycles: ArrayLike) -> tuple[Array, Array]:
        """Offset (..., n_modes) and Phi (..., n_modes, n_states) after `cycles` (...); without a trajectory, of one."""
        if self._identity is not None:
            return np.zeros(len(self._identity)), self._identity
        last = len(self._mean) - 1
        position = np.clip(np.asarray(cycles, np.float64) / self._spacing, 0.0, last)
        node = np.minimum(position.astype(np.intp), max(last - 1, 0))
        following = np.minimum(node + 1, last)
        fraction = (position - node)[..., None]
        mean = self._mean[node] + fraction * (self._mean[following] - self._mean[node])
        return mean, self._phi[node] + fraction[..., None] * (self._phi[following] - self._phi[node])


class ObservationModel:
    """The observation equation of a model: modes, network, series terms, and the errors of all of them."""

    def __init__(self, model: Model, network: Network) -> None:
        self.model = model
        self.network = network
        network_modes = [model.mode_index(name) for name in model.network.inputs[:-2]]
        self._select = np.eye(model.n_modes)[network_modes]
        self._series = np.zeros((model.n_modes, model.n_observations))
        for term in model.series_terms:
            self._series[model.mode_index(term.mode)] += term.coefficient
        self._mode_map = ModeMap(model)
        self._variance = np.array(model.noise.variance)
        effect = model.noise.temperature_effect
        self._temperature_effect = None if effect is None else np.array(effect).T  # (2, m)
        self._gradient = None if model.curvature is None else np.array(model.curvature.gradient)

    def expect(
        self,
        x: Array,
        P: Array,
        cycles: ArrayLike,
        voltage_V: ArrayLike,
        temperature_degC: ArrayLike,
        seen: Observations,
    ) -> Linearisation:
        """What the model expects of the spectrum that was seen: `linearise` with all that the model knows of errors."""
        line = self.with_instrument_noise(self.linearise(x, cycles, voltage_V, temperature_degC), seen)
        if self._gradient is None:
            return line
        mean, phi = self._mode_map.at(cycles)
        modes = mean + (phi @ x[..., None])[..., 0]
        along = (phi @ _one_sigma(self._gradient @ phi, P)[..., None])[..., 0]
        ahead, _ = self.network.evaluate(self._network_inputs(modes + along, voltage_V, temperature_degC))
        behind, _ = self.network.evaluate(self._network_inputs(modes - along, voltage_V, temperature_degC))
        bend = np.exp(line.y - line.h) * (ahead + behind - 2 * line.y) / 2
        return replace(line, h=line.h + bend, R=line.R + 2 * outer(bend))

    def with_instrument_noise(self, line: Linearisation, seen: Observations) -> Linearisation:
        """With the instrument's noise: `instrument_std` |Z| in either part, as an error of its logarithm."""
        std = self.model.noise.instrument_std
        if std == 0:
            return line
        return replace(line, R=line.R + (std * seen.share[..., None]) ** 2 * np.eye(len(self._variance)))

    def linearise(
        self, x: Array, cycles: ArrayLike, voltage_V: ArrayLike, temperature_degC: ArrayLike
    ) -> Linearisation:
        """Predicted observations, their derivative by the state, and the covariance of their errors.

        Of one filter, x (n,), or of as many as there are leading axes, the same for all arguments.
        """
        mean, phi = self._mode_map.at(cycles)
        modes = mean + (phi @ x[..., None])[..., 0]
        v = self._network_inputs(modes, voltage_V, temperature_degC)
        y, J = self.network.evaluate(v)
        z_network = np.exp(y)
        z = z_network + modes @ self._series
        exists = z > 0
        z = np.where(exists, z, 1.0)
        share = z_network / z
        J = share[..., None] * J
        dh_dmodes = J[..., :-2] @ self._select + self._series.T / z[..., None]
        by_inverse = J[..., -1]
        if self._temperature_effect is not None:
            constant, slope = self._temperature_effect
            by_inverse = share * (constant + slope * v[..., -1:])
        noise = self.model.noise
        by_voltage = noise.voltage_std_V * J[..., -2]
        by_temperature = -1000.0 / _kelvin(temperature_degC) ** 2 * noise.temperature_std_K * by_inverse
        R = np.diag(self._variance) + outer(by_voltage) + outer(by_temperature)
        return Linearisation(np.log(z), dh_dmodes @ phi, R, exists, y)

    def _network_inputs(self, modes: Array, voltage_V: ArrayLike, temperature_degC: ArrayLike) -> Array:
        context = (np.asarray(voltage_V, np.float64)[..., None], 1000.0 / _kelvin(temperature_degC))
        return np.concatenate([modes @ self._select.T, *context], axis=-1)


def _kelvin(temperature_degC: ArrayLike) -> Array:
    """(...) -> (..., 1)."""
    return np.asarray(temperature_degC, np.float64)[..., None] + ZERO_CELSIUS_K


def _one_sigma(gradient: Array, P: Array) -> Array:
    """Where the states' combination `gradient` (..., n) is uncertain, one standard deviation long: (..., n).

    Zero where P (..., n, n) leaves it no variance.
    """
    direction = (P @ gradient[..., None])[..., 0]
    variance = np.sum(gradient * direction, axis=-1, keepdims=True)
    return np.asarray(np.where(variance > 0, direction / np.sqrt(np.where(variance > 0, variance, 1.0)), 0.0))


def outer(d: Array) -> Array:
    """Outer product of every row with itself: (..., n) -> (..., n, n)."""
    return d[..., :, None] * d[..., None, :]
