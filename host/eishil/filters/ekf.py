"""The float64 reference estimator: docs/estimator.md, equation by equation, with the unquantised network.

State order and units are the model's. Source of the filter equations: Bar-Shalom, Li, Kirubarajan, Estimation with
Applications to Tracking and Navigation, 2001, chapters 5.4 and 7.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solve_triangular

from eishil import wire
from eishil.filters import readout
from eishil.filters.gate import OutlierGate
from eishil.filters.observation import (
    Array,
    Linearisation,
    Network,
    ObservationModel,
    Observations,
    observations,
    outer,
)
from eishil.filters.step import StepInput, StepOutput
from eishil.model import Model

VOLTAGE_RANGE_V = (0.0, 10.0)
TEMPERATURE_RANGE_degC = (-60.0, 100.0)
STATUS = wire.ENUMS["status"]


@dataclass(frozen=True)
class Update:
    """A filter after its update: x (n,), P (n, n); NIS with n_used degrees of freedom; ln det S; whether sound."""

    x: Array
    P: Array
    nis: float
    log_det: float
    n_used: int
    sound: bool


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


class Ekf(ObservationModel):
    """A bank of extended Kalman filters over one cell's spectra. Holds the state between steps."""

    def __init__(self, model: Model, network: Network) -> None:
        super().__init__(model, network)
        self._mode_names = [mode.name for mode in model.modes]
        self._drift = np.array([state.drift_per_cycle for state in model.states])
        self._q = np.array([state.process_variance_per_cycle for state in model.states])
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

    def _estimate(self, status: int, n_used: int = 0, nis: float = 0.0) -> StepOutput:
        """The bank's moments and readouts as they stand."""
        weight = np.exp(self.log_weight)
        x = weight @ self.x
        P = np.einsum("b,bij->ij", weight, self.P + outer(self.x - x))
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


def _normalised(log_weight: Array) -> Array:
    shifted = log_weight - log_weight.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()))
