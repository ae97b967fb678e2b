"""The float64 reference of the unscented filter: docs/estimator.md, with the unquantised network.

Scaled sigma points of Julier, A scaled unscented transformation, 2002, and Wan and van der Merwe, The unscented Kalman
filter for nonlinear estimation, 2000, with alpha = 1, beta = 2, kappa = 0: the points lie sqrt(n) standard deviations
out, so that no weight is large and an integer network's steps do not show between them.
"""

from __future__ import annotations

import numpy as np

from eishil.filters.ekf import Ekf, Update
from eishil.filters.observation import Array, Network, Observations
from eishil.filters.step import StepInput
from eishil.model import Model

BETA = 2.0


def reference_filter(model: Model, network: Network) -> Ekf:
    """The filter that the model names."""
    return Ukf(model, network) if model.filter == "ukf" else Ekf(model, network)


def sigma_points(x: Array, P: Array) -> Array:
    """Points (2 n + 1, n): x, then x + sqrt(n) L_i, then x - sqrt(n) L_i, with P = L L^T. LinAlgError without L."""
    offsets = np.sqrt(len(x)) * np.linalg.cholesky(P).T
    return np.concatenate([x[None], x + offsets, x - offsets])


class Ukf(Ekf):
    """A bank of unscented Kalman filters; R is the extended filter's, from the Jacobian at the predicted state."""

    def condition(self, x: Array, P: Array, cycles: float, step: StepInput, seen: Observations) -> Update:
        refused = Update(x, P, 0.0, 0.0, 0, sound=False)
        if not np.isfinite(P).all():
            return refused
        try:
            points = sigma_points(x, P)
        except np.linalg.LinAlgError:
            return refused
        lines = [self.linearise(point, cycles, step.voltage_V, step.temperature_degC) for point in points]
        used = np.flatnonzero(seen.usable & np.all([line.exists for line in lines], axis=0))
        h = np.array([line.h for line in lines])[:, used]
        R = self.with_instrument_noise(lines[0], seen).R
        return _condition(x, P, points, h, seen.z[used], R[np.ix_(used, used)])


def _condition(x: Array, P: Array, points: Array, h: Array, z: Array, R: Array) -> Update:
    """Update with observations z (m,) whose expectation at the sigma points is h (2 n + 1, m); R (m, m)."""
    n = len(x)
    mean_weight = np.array([0.0, *np.full(2 * n, 1 / (2 * n))])
    covariance_weight = mean_weight + np.array([BETA, *np.zeros(2 * n)])
    mean = mean_weight @ h
    S = (covariance_weight * (h - mean).T) @ (h - mean) + R
    cross = (covariance_weight * (points - x).T) @ (h - mean)
    K = np.linalg.solve(S, cross.T).T
    nu = z - mean
    nis = float(nu @ np.linalg.solve(S, nu))
    x_plus, P_plus = x + K @ nu, P - K @ S @ K.T
    sound = bool(np.isfinite(x_plus).all() and np.isfinite(P_plus).all() and (np.diag(P_plus) > 0).all())
    return Update(x_plus, P_plus, nis, float(np.linalg.slogdet(S)[1]), len(z), sound)
