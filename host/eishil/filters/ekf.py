"""The float64 reference estimator: docs/estimator.md, equation by equation, with the unquantised network.

State order and units are the model's. Source of the filter equations: Bar-Shalom, Li, Kirubarajan, Estimation with
Applications to Tracking and Navigation, 2001, chapters 5.4 and 7.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular

from eishil import wire
from eishil.filters import readout
from eishil.filters.gate import OutlierGate
from eishil.filters.step import StepInput, StepOutput
from eishil.model import Model
from eishil.units import ZERO_CELSIUS_K

Array = NDArray[np.float64]

VOLTAGE_RANGE_V = (0.0, 10.0)
TEMPERATURE_RANGE_degC = (-60.0, 100.0)
STATUS = wire.ENUMS["status"]


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


@dataclass(frozen=True)
class Update:
    """A filter after its update: x (n,), P (n, n); NIS with n_used degrees of freedom; ln det S; whether sound."""

    x: Array
    P: Array
    nis: float
    log_det: float
    n_used: int
    sound: bool


def observations(z_ohm: NDArray[np.complex128], valid: NDArray[np.bool_]) -> Observations:
    """Observations of impedances (..., F): ln Re Z of all frequencies, then ln(-Im Z)."""
    real, imaginary = z_ohm.real, -z_ohm.imag
    whole = valid & np.isfinite(real) & np.isfinite(imaginary) & (real > 0)
    usable = np.concatenate([whole, whole & (imaginary > 0)], axis=-1)
    part = np.where(usable, np.concatenate([real, imaginary], axis=-1), 1.0)
    magnitude = np.where(usable, np.concatenate([np.abs(z_ohm)] * 2, axis=-1), 1.0)
    return Observations(np.log(part), usable, magnitude / part)


def is_acceptable(step: StepInput) -> bool:
    """Whether everything but the impedance is finite and in range."""
    low_V, high_V = VOLTAGE_RANGE_V
    low_degC, high_degC = TEMPERATURE_RANGE_degC
    return bool(
        np.isfinite(step.elapsed_cycles)
        and step.elapsed_cycles >= 0
        and low_V <= step.voltage_V <= high_V
        and low_degC <= step.temperature_degC <= high_degC
    )


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


class Ekf:
    """A bank of extended Kalman filters over one cell's spectra. Holds the state between steps."""

    def __init__(self, model: Model, network: Network) -> None:
        self.model = model
        self.network = network
        self._mode_names = [mode.name for mode in model.modes]
        network_modes = [model.mode_index(name) for name in model.network.inputs[:-2]]
        self._select = np.eye(model.n_modes)[network_modes]
        self._series = np.zeros((model.n_modes, model.n_observations))
        for term in model.series_terms:
            self._series[model.mode_index(term.mode)] += term.coefficient
        self._mode_map = ModeMap(model)
        self._drift = np.array([state.drift_per_cycle for state in model.states])
        self._q = np.array([state.process_variance_per_cycle for state in model.states])
        self._variance = np.array(model.noise.variance)
        effect = model.noise.temperature_effect
        self._temperature_effect = None if effect is None else np.array(effect).T
        self._gradient = None if model.curvature is None else np.array(model.curvature.gradient)
        self._gate = OutlierGate(model.gate)
        self.reset()

    def reset(self) -> None:
        """Start from the model's prior."""
        self.x = np.array([prior.mean for prior in self.model.priors])
        self.P = np.array([prior.covariance for prior in self.model.priors])
        self.log_weight = _normalised(np.log([prior.weight for prior in self.model.priors]))
        self.cycles = 0.0
        self._gate.reset()

    def step(self, step: StepInput) -> StepOutput:
        """Apply one spectrum, or time alone where it is not believed; a refused one changes nothing."""
        if not is_acceptable(step):
            return self._estimate(STATUS["REJECTED_INPUT"])
        seen = observations(step.z_ohm, step.valid)
        cycles = self.cycles + step.elapsed_cycles
        predicted = [self.predict(x, P, step.elapsed_cycles) for x, P in zip(self.x, self.P, strict=True)]
        updates = [self.condition(x, P, cycles, step, seen) for x, P in predicted]
        if not all(one.sound for one in updates):
            return self._estimate(STATUS["REJECTED_COVARIANCE"])
        self.cycles = cycles
        log_weight = _normalised(self.log_weight - [(one.nis + one.log_det) / 2 for one in updates])
        best = updates[int(np.argmax(log_weight))]
        if self._gate.refuses(best.nis, best.n_used):
            self.x, self.P = (np.array(part) for part in zip(*predicted, strict=True))
            return self._estimate(STATUS["OUTLIER"], best.n_used, best.nis)
        self.x = np.array([one.x for one in updates])
        self.P = np.array([one.P for one in updates])
        self.log_weight = log_weight
        status = STATUS["OK" if best.n_used == self.model.n_observations else "POINTS_SKIPPED"]
        return self._estimate(status, best.n_used, best.nis)

    def predict(self, x: Array, P: Array, elapsed_cycles: ArrayLike) -> tuple[Array, Array]:
        """State (..., n) and covariance (..., n, n) `elapsed_cycles` (...) later, before the spectrum."""
        elapsed = np.asarray(elapsed_cycles, np.float64)[..., None]
        return x + self._drift * elapsed, P + np.diag(self._q) * elapsed[..., None]

    def condition(self, x: Array, P: Array, cycles: float, step: StepInput, seen: Observations) -> Update:
        """Update one filter of the bank, predicted to x and P, with what was seen."""
        return update(x, P, seen, self.expect(x, P, cycles, step.voltage_V, step.temperature_degC, seen))

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
        modes, width = mean + (phi @ x[..., None])[..., 0], _one_sigma(self._gradient @ phi, P)
        along = (phi @ width[..., None])[..., 0]
        ahead, _ = self.network.evaluate(self._network_inputs(modes + along, voltage_V, temperature_degC))
        behind, _ = self.network.evaluate(self._network_inputs(modes - along, voltage_V, temperature_degC))
        bend = np.exp(line.y - line.h) * (ahead + behind - 2 * line.y) / 2
        return replace(line, h=line.h + bend, R=line.R + 2 * _outer(bend))

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
        noise = self.model.noise
        by_voltage = noise.voltage_std_V * J[..., -2]
        by_inverse = J[..., -1]
        if self._temperature_effect is not None:
            constant, slope = self._temperature_effect
            by_inverse = share * (constant + slope * v[..., -1:])
        by_temperature = -1000.0 / _kelvin(temperature_degC) ** 2 * noise.temperature_std_K * by_inverse
        R = np.diag(self._variance) + _outer(by_voltage) + _outer(by_temperature)
        return Linearisation(np.log(z), dh_dmodes @ phi, R, exists, y)

    def _network_inputs(self, modes: Array, voltage_V: ArrayLike, temperature_degC: ArrayLike) -> Array:
        context = (np.asarray(voltage_V, np.float64)[..., None], 1000.0 / _kelvin(temperature_degC))
        return np.concatenate([modes @ self._select.T, *context], axis=-1)

    def _estimate(self, status: int, n_used: int = 0, nis: float = 0.0) -> StepOutput:
        """The bank's moments and readouts as they stand."""
        weight = np.exp(self.log_weight)
        x = weight @ self.x
        P = np.einsum("b,bij->ij", weight, self.P + _outer(self.x - x))
        mean, phi = self._mode_map.at(self.cycles)
        modes = mean + self.x @ phi.T
        values, sigmas = [], []
        for scalar in self.model.readouts:
            value, gradient = readout.evaluate(scalar, self._mode_names, modes)
            mixed = weight @ value
            variance = np.einsum("bi,bij,bj->b", gradient @ phi, self.P, gradient @ phi) + (value - mixed) ** 2
            values.append(mixed)
            sigmas.append(np.sqrt(scalar.residual_std**2 + weight @ variance))
        return StepOutput(status, n_used, nis, x, P, np.array(values), np.array(sigmas))


def update(x_minus: Array, P_minus: Array, seen: Observations, line: Linearisation) -> Update:
    """Batch update with all usable observations, linearised once at x_minus."""
    refused = Update(x_minus, P_minus, 0.0, 0.0, 0, sound=False)
    used = np.flatnonzero(seen.usable & line.exists)
    H, nu = line.H[used], seen.z[used] - line.h[used]
    S = H @ P_minus @ H.T + line.R[np.ix_(used, used)]
    if not (np.isfinite(S).all() and np.isfinite(nu).all()):
        return refused
    try:
        root = np.linalg.cholesky(S)
    except np.linalg.LinAlgError:
        return refused
    whitened = solve_triangular(root, np.column_stack([H @ P_minus, nu]), lower=True)
    gain, innovation = whitened[:, :-1], whitened[:, -1]
    x, P = x_minus + gain.T @ innovation, P_minus - gain.T @ gain
    if not (np.isfinite(x).all() and np.isfinite(P).all() and (np.diag(P) > 0).all()):
        return refused
    log_det = 2 * float(np.log(np.diag(root)).sum())
    return Update(x, P, float(innovation @ innovation), log_det, len(used), sound=True)


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


def _normalised(log_weight: Array) -> Array:
    shifted = log_weight - log_weight.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()))


def _outer(d: Array) -> Array:
    """Outer product of every row with itself: (..., n) -> (..., n, n)."""
    return d[..., :, None] * d[..., None, :]
