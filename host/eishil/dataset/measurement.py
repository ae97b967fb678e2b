"""What an instrument would have read: noise on clean spectra, the same for a sample wherever it is asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eishil.dataset.recipe import MeasurementRecipe
from eishil.dataset.tables import Dataset


@dataclass(frozen=True)
class Measured:
    """Noisy readings: z_ohm (S, F), NaN where masked; voltage_V (S,); temperature_degC (S,)."""

    z_ohm: NDArray[np.complex128]
    voltage_V: NDArray[np.float64]
    temperature_degC: NDArray[np.float64]


def measure(dataset: Dataset, measurement: MeasurementRecipe, seed: int) -> Measured:
    """Add Gaussian noise.

    Real and imaginary parts get independent noise of standard deviation `z_relative_std` |Z|. The noise depends on the
    sample's name, the frequency's position and `seed`, not on which other samples are there.
    """
    n = len(dataset.frequency_Hz)
    names = dataset.samples["sample_id"]
    noise = np.array([_generator(name, seed).standard_normal(2 * n + 2) for name in names]).reshape(
        len(names), 2 * n + 2
    )
    z = dataset.z_ohm
    relative = noise[:, :n] + 1j * noise[:, n : 2 * n]
    return Measured(
        z_ohm=z + measurement.z_relative_std * np.abs(z) * relative,
        voltage_V=dataset.samples["voltage_V"].to_numpy() + measurement.voltage_std_V * noise[:, -2],
        temperature_degC=dataset.samples["temperature_degC"].to_numpy() + measurement.temperature_std_K * noise[:, -1],
    )


def _generator(sample_id: str, seed: int) -> np.random.Generator:
    words = np.frombuffer(hashlib.sha256(sample_id.encode()).digest(), np.uint32)
    return np.random.default_rng(np.random.SeedSequence([seed, *words.tolist()]))
