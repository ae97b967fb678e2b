"""Linear Kramers-Kronig test of many spectra at once.

A spectrum of a linear, causal, stable system is a sum of relaxations. It is fitted by a resistor, an inductor, a
capacitor and M RC elements whose time constants are fixed, evenly in the logarithm over the measured range (Schönleber,
Klotz, Ivers-Tiffée, Electrochim. Acta 131, 2014, 20, as in `impedance.validation.linKK`); what remains is the residual.

M is not searched for. Their criterion (mu < 0.85) stops at elements too few for a diffusion tail: it leaves up to 30 %
of |Z| in spectra of the DFN that have no fault. With a fixed M and no weights the fit is one projection, the same for
all spectra, and costs nothing beside solving them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ELEMENTS_PER_DECADE = 4
LEAST_DECADES = 2.5
LEAST_POINTS_PER_DECADE = 3.5
RELATIVE_RANK = 1e-9


def applies(frequency_Hz: Floats) -> bool:
    """Whether frequencies reach wide and lie close enough for the test to tell a fault from what it cannot fit."""
    if len(frequency_Hz) < 2:
        return False
    decades = np.log10(frequency_Hz.max() / frequency_Hz.min())
    return bool(decades >= LEAST_DECADES and len(frequency_Hz) >= LEAST_POINTS_PER_DECADE * decades)


def residual(z_ohm: NDArray[np.complex128], frequency_Hz: Floats) -> Floats:
    """Largest deviation from the fit over the points, relative to |Z|, for each of z_ohm (S, F): (S,)."""
    basis = _basis(frequency_Hz)
    stacked = np.concatenate([z_ohm.real, z_ohm.imag], axis=1)
    left = stacked - (stacked @ basis) @ basis.T
    n = len(frequency_Hz)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((np.hypot(left[:, :n], left[:, n:]) / np.abs(z_ohm)).max(axis=1))


def _basis(frequency_Hz: Floats) -> Floats:
    """Orthonormal basis (2 F, rank) of all that the elements can give, real parts above imaginary ones."""
    omega = 2 * np.pi * frequency_Hz
    decades = np.log10(omega.max() / omega.min())
    elements = min(len(omega), max(3, round(ELEMENTS_PER_DECADE * decades)))
    tau_s = np.geomspace(1 / omega.max(), 1 / omega.min(), elements)
    relaxations = 1 / (1 + 1j * omega[:, None] * tau_s)
    columns = np.column_stack([np.ones(len(omega)), 1j * omega / omega.max(), omega.min() / (1j * omega), relaxations])
    u, size, _ = np.linalg.svd(np.concatenate([columns.real, columns.imag]), full_matrices=False)
    return np.asarray(u[:, size > RELATIVE_RANK * size[0]])
