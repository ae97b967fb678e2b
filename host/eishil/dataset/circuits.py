"""An equivalent circuit for every spectrum: R0, n parallel RC, a Warburg element, fitted by the package `impedance`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eishil.dataset.schema import REAL, TEXT, Column

Floats = NDArray[np.float64]
POOR_FIT = 0.05  # rms of |fit / Z - 1| above which the circuit is called poor
LEAST_SHARE = 1e-3  # of the span of Re Z, so that no starting value is zero


def columns(n_rc: int) -> dict[str, Column]:
    """What `fit` gives, for n_rc RC elements; the one of the shortest time constant comes first."""
    arcs = {
        name: one
        for k in range(1, n_rc + 1)
        for name, one in (
            (f"circuit_r{k}_ohm", Column(REAL, "Ohm", f"resistance of RC element {k}")),
            (f"circuit_c{k}_F", Column(REAL, "F", f"capacity of RC element {k}")),
        )
    }
    return {
        "circuit_r0_ohm": Column(REAL, "Ohm", "series resistance"),
        **arcs,
        "circuit_warburg_ohm_s05": Column(REAL, "Ohm s^-1/2", "sigma of sigma (1 - i) omega^-1/2"),
        "circuit_error": Column(REAL, "1", "rms of |fit / Z - 1| over the points"),
        "circuit_quality": Column(TEXT, "", f"good; poor: error above {POOR_FIT}; failed: no fit; masked"),
    }


def fit(z_ohm: NDArray[np.complex128], frequency_Hz: Floats, n_rc: int) -> dict[str, float | str]:
    """Fit one spectrum (F,) at rising frequencies, weighted by 1 / |Z|, all values at least 0."""
    from impedance.models.circuits import CustomCircuit

    names = list(columns(n_rc))
    nothing = dict.fromkeys(names[:-1], np.nan)
    if not np.isfinite(z_ohm).all():
        return nothing | {"circuit_quality": "masked"}
    text = "-".join(["R0", *(f"p(R{k},C{k})" for k in range(1, n_rc + 1)), "W1"])
    circuit = CustomCircuit(text, initial_guess=_start(z_ohm, frequency_Hz, n_rc))
    try:
        circuit.fit(frequency_Hz, z_ohm, weight_by_modulus=True, ftol=1e-10, x_scale="jac", maxfev=2000)
    except (RuntimeError, ValueError):  # the optimiser gives up
        return nothing | {"circuit_quality": "failed"}
    error = float(np.sqrt(np.mean(np.abs(circuit.predict(frequency_Hz) / z_ohm - 1) ** 2)))
    values = _by_time_constant(np.asarray(circuit.parameters_))
    quality = "good" if error <= POOR_FIT else "poor"
    return dict(zip(names, [*values.tolist(), error, quality], strict=True))


def _start(z: NDArray[np.complex128], f: Floats, n_rc: int) -> list[float]:
    """The span of Re Z shared out evenly, time constants evenly over the measured range."""
    span = max(float(np.ptp(z.real)), LEAST_SHARE * float(np.abs(z).max()))
    resistance = span / (n_rc + 1)
    corners = np.geomspace(f[-1], f[0], n_rc + 2)[1:-1]
    arcs = [value for corner in corners for value in (resistance, 1 / (2 * np.pi * float(corner) * resistance))]
    sigma = max(-float(z.imag[0]), LEAST_SHARE * span) * float(np.sqrt(2 * np.pi * f[0]))
    return [float(z.real.min()), *arcs, sigma]


def _by_time_constant(values: Floats) -> Floats:
    arcs = values[1:-1].reshape(-1, 2)
    return np.concatenate([values[:1], arcs[np.argsort(arcs.prod(axis=1))].ravel(), values[-1:]])
