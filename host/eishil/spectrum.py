"""The noun that every part of eishil shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Spectrum:
    """Impedance of one cell at rest.

    Parameters
    ----------
    frequency_Hz
        Shape (F,), positive, in the caller's order.
    z_ohm
        Shape (F,), complex; capacitive means a negative imaginary part.
    temperature_degC
        Of the whole cell (isothermal).
    voltage_V
        At rest, before the excitation.
    soc
        0..1 of the cell's present capacity.
    """

    frequency_Hz: NDArray[np.float64]
    z_ohm: NDArray[np.complex128]
    temperature_degC: float
    voltage_V: float
    soc: float
