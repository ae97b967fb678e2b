"""What goes into one estimator step and what comes out: the same for the float64 reference, the C core and a device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StepInput:
    """One measured spectrum at the model's frequencies.

    Parameters
    ----------
    elapsed_cycles
        Equivalent full cycles since the last spectrum; 0 for the first.
    voltage_V, temperature_degC
        Measured at rest.
    z_ohm
        Complex impedance, shape (n_frequencies,); capacitive means a negative imaginary part.
    valid
        Shape (n_frequencies,); False where the point was not measured.
    """

    elapsed_cycles: float
    voltage_V: float
    temperature_degC: float
    z_ohm: NDArray[np.complex128]
    valid: NDArray[np.bool_]


@dataclass(frozen=True)
class StepOutput:
    """Estimate after one step.

    `status` has the values of `wire.ENUMS["status"]`. With a rejected step the rest is the estimate before it, and NIS
    and n_used are 0.
    `x` (n_states,), `P` (n_states, n_states), `readout` and `readout_sigma` (n_readouts,), SOH first.
    """

    status: int
    n_used: int
    nis: float
    x: NDArray[np.floating]
    P: NDArray[np.floating]
    readout: NDArray[np.floating]
    readout_sigma: NDArray[np.floating]
