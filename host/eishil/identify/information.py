"""What one spectrum tells of the modes: Fisher information, with voltage and temperature errors marginalised.

With channels c = [modes, V, T], independent noise of variance r_i on observation i and sensitivities g_i = dz_i/dc,
each frequency adds `sum_i g_i^T g_i / r_i` over its real and its imaginary part, so that the information of any set
of frequencies is a sum. V and T are measured once per spectrum with errors of their own, common to all observations:
nuisances with prior information 1/sigma^2 that leave by a Schur complement, which equals
R = diag(r) + g_V sigma_V^2 g_V^T + g_T sigma_T^2 g_T^T (S. Kay, Fundamentals of Statistical Signal Processing:
Estimation Theory, 1993, chapters 3 and 15).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eishil.dataset.recipe import MeasurementRecipe
from eishil.identify.sensitivities import N_MODES, Sensitivities

Floats = NDArray[np.float64]


def channel_information(here: Sensitivities, measurement: MeasurementRecipe) -> Floats:
    """Information (S, F, 7, 7) that each frequency adds on the channels, context errors not yet counted."""
    z = here.z_ohm
    modulus = measurement.z_relative_std * np.abs(z)
    relative_std = np.stack([modulus / z.real, modulus / -z.imag], axis=2)  # of ln Re Z and ln(-Im Z), first order
    real, imaginary = np.split(here.dz, 2, axis=1)
    weighted = np.stack([real, imaginary], axis=2) / relative_std[..., None]
    return np.asarray(np.einsum("sfic,sfid->sfcd", weighted, weighted))


def mode_information(channels: Floats, measurement: MeasurementRecipe) -> Floats:
    """Information (..., 5, 5) on the modes from that on the channels (..., 7, 7), V and T known to their errors."""
    modes, context = slice(None, N_MODES), slice(N_MODES, None)
    variance = np.diag([measurement.voltage_std_V**2, measurement.temperature_std_K**2])
    # (M_cc + variance^-1)^-1, written so that a variance of zero is allowed.
    nuisance = variance @ np.linalg.inv(np.eye(2) + channels[..., context, context] @ variance)
    cross = channels[..., modes, context]
    return np.asarray(channels[..., modes, modes] - cross @ nuisance @ np.swapaxes(cross, -1, -2))
