"""A data set made of an equivalent circuit instead of a cell, in a moment: for tests of training and quantising.

A resistance, one arc that the film and the anode widen, a Warburg tail that lithium and cathode steepen.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from eishil.dataset.schema import COLUMNS, TEXT
from support.whole_dataset import write_dataset

FREQUENCY_HZ = np.array([0.1, 1.0, 10.0, 1000.0])
STEPS = 8


def circuit(samples: pd.DataFrame, frequency_Hz: np.ndarray = FREQUENCY_HZ) -> np.ndarray:
    """Impedance (S, F) in ohm."""
    omega = 2 * np.pi * frequency_Hz
    warm = np.exp(0.03 * (25.0 - samples["temperature_degC"].to_numpy()))
    film = np.log10(samples["sei_thickness_nm"].to_numpy() / 5.0)
    arc = warm * (0.006 + 0.006 * film + 0.03 * samples["lam_ne"].to_numpy())
    depth = (samples["voltage_V"].to_numpy() - 3.7) ** 2
    tail = 0.02 * (1 + 2 * samples["lli"].to_numpy() + depth) / (1 - samples["lam_pe"].to_numpy())
    z = 0.01 + arc[:, None] / (1 + 0.02j * omega) + tail[:, None] / np.sqrt(1j * omega)
    return z + 1e-3 * samples["contact_resistance_mOhm"].to_numpy()[:, None]


def write_circuit_dataset(directory: Path, *, seed: int = 0, snapshots: int = 600, training_lives: int = 12) -> None:
    rng = np.random.default_rng(seed)
    parts = [_snapshots(rng, snapshots)]
    for split, cells in (("train", training_lives), ("validation", 4), ("test", 4)):
        parts += [_trajectory(rng, split, f"{split}-{i}") for i in range(cells)]
    samples = pd.concat(parts, ignore_index=True)
    loss = samples["lli"] + 0.5 * samples["lam_ne"] + samples["lam_pe"] ** 2
    samples = samples.assign(soh=1.0 - loss, reason="")
    samples.loc[[3, len(samples) - 2], "reason"] = "test"
    for name, one in COLUMNS.items():
        if name not in samples and not one.optional:
            samples[name] = "" if one.kind == TEXT else 0
    write_dataset(directory, samples, FREQUENCY_HZ, circuit(samples), {})


def _snapshots(rng: np.random.Generator, n: int) -> pd.DataFrame:
    names = [f"s{i}" for i in range(n)]
    modes = rng.uniform([0, 0, 0, 0, 0], [0.35, 0.25, 0.25, 1.2, 3.0], (n, 5))
    return _frame(rng, modes).assign(sample_id=names, cell_id=names, split="train", population="snapshot", step=0)


def _trajectory(rng: np.random.Generator, split: str, cell: str) -> pd.DataFrame:
    share = np.linspace(0.0, 1.0, STEPS)[:, None]
    modes = 0.005 + share ** rng.uniform(0.7, 1.3) * rng.uniform(
        [0.1, 0.05, 0.05, 0.5, 0.5], [0.25, 0.15, 0.15, 1.0, 2.0]
    )
    identity = {"sample_id": [f"{cell}-{i}" for i in range(STEPS)], "cell_id": cell, "split": split}
    frame = _frame(rng, modes).assign(**identity, population="trajectory")
    return frame.assign(step=np.arange(STEPS), cycles=100.0 * np.arange(STEPS))


def _frame(rng: np.random.Generator, modes: np.ndarray) -> pd.DataFrame:
    n = len(modes)
    return pd.DataFrame(
        {
            "lli": modes[:, 0],
            "lam_ne": modes[:, 1],
            "lam_pe": modes[:, 2],
            "sei_thickness_nm": 5.0 * 10 ** modes[:, 3],
            "contact_resistance_mOhm": modes[:, 4],
            "voltage_V": rng.uniform(3.5, 3.9, n),
            "temperature_degC": rng.uniform(15.0, 35.0, n),
        }
    )
