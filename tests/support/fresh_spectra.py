"""Spectra of a fresh cell whose own constants are known offsets of ln Z."""

from __future__ import annotations

import numpy as np

from eishil.filters.ekf import Ekf
from eishil.filters.observation import Network
from eishil.filters.step import StepInput
from eishil.model import Model


def fresh_spectra(
    model: Model,
    network: Network,
    offset: np.ndarray,
    count: int,
    *,
    varies: float = 0.0,
    seed: int = 3,
) -> list[StepInput]:
    """Spectra of the model's fresh state times exp(offset), with its own noise, and offsets that vary."""
    rng, ekf, spectra = np.random.default_rng(seed), Ekf(model, network), []
    for _ in range(count):
        voltage_V, temperature_degC = rng.uniform(3.5, 3.9), rng.uniform(15.0, 35.0)
        line = ekf.linearise(np.array(model.priors[0].mean), 0.0, voltage_V, temperature_degC)
        noise = rng.multivariate_normal(np.zeros(len(line.h)), line.R) + varies * rng.standard_normal(len(line.h))
        real, minus_imaginary = np.split(np.exp(line.h + offset + noise), 2)
        z_ohm = real - 1j * minus_imaginary
        spectra.append(StepInput(0.0, voltage_V, temperature_degC, z_ohm, np.ones(len(z_ohm), bool)))
    return spectra
