"""Rows of a data set as the network sees them: physical inputs and ln ohm targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from eishil.dataset.tables import Dataset
from eishil.errors import RecipeError
from eishil.model import INVERSE_TEMPERATURE_INPUT, VOLTAGE_INPUT, Mode
from eishil.network.mlp import Array
from eishil.units import ZERO_CELSIUS_K

FRESH_SEI_NM = 5.0
OHM_PER_MILLIOHM = 1e-3
MODE_UNITS = {
    "lli": "1",
    "lam_ne": "1",
    "lam_pe": "1",
    "log10_sei_thickness": "log10(L_SEI / 5 nm)",
    "contact_resistance": "mOhm",
}
SERIES_MODE = "contact_resistance"
NETWORK_MODES = tuple(name for name in MODE_UNITS if name != SERIES_MODE)
NETWORK_INPUTS = (*NETWORK_MODES, VOLTAGE_INPUT, INVERSE_TEMPERATURE_INPUT)


@dataclass(frozen=True)
class NetworkSamples:
    """Inputs v (S, n_inputs) in `NETWORK_INPUTS` order; targets (S, 2 F) in ln ohm, without contact resistance."""

    v: Array
    ln_ohm: Array


def modes_of(dataset: Dataset) -> Array:
    """Modes (S, 5) of every row, in `MODE_UNITS` order and units."""
    return physical_modes(dataset.samples)


def physical_modes(columns: Any) -> Array:
    """The same from the columns of a table, or from a mapping with their names."""
    return np.column_stack(
        [
            columns["lli"],
            columns["lam_ne"],
            columns["lam_pe"],
            np.log10(columns["sei_thickness_nm"] / FRESH_SEI_NM),
            columns["contact_resistance_mOhm"],
        ]
    ).astype(np.float64)


def network_inputs(columns: Any) -> Array:
    """Physical inputs (S, n_inputs) in `NETWORK_INPUTS` order from the columns of a table."""
    inverse_temperature = 1000.0 / (np.asarray(columns["temperature_degC"], np.float64) + ZERO_CELSIUS_K)
    modes = physical_modes(columns)[:, : len(NETWORK_MODES)]
    return np.column_stack([modes, columns["voltage_V"], inverse_temperature]).astype(np.float64)


def describe_modes(modes: Array) -> list[Mode]:
    """Names, units and the bounds that `modes` (S, 5) span."""
    bounds = zip(MODE_UNITS.items(), modes.min(axis=0), modes.max(axis=0), strict=True)
    return [Mode(name=name, unit=unit, minimum=float(low), maximum=float(high)) for (name, unit), low, high in bounds]


def frequency_columns(
    available_Hz: ArrayLike, wanted_Hz: ArrayLike, wanted_by: str = "network.frequency_Hz"
) -> list[int]:
    """Where the wanted frequencies stand among those of the data set; `wanted_by` is who is told of a missing one."""
    available = np.asarray(available_Hz, np.float64)
    columns = []
    for frequency in np.asarray(wanted_Hz, np.float64):
        column = int(np.argmin(np.abs(np.log(available / frequency))))
        if not np.isclose(available[column], frequency, rtol=1e-9, atol=0.0):
            raise RecipeError(
                f"{wanted_by}: {frequency:g} Hz is not in the data set; "
                f"impedance.frequency_Hz has {', '.join(f'{f:g}' for f in available)}"
            )
        columns.append(column)
    return columns


def network_samples(dataset: Dataset, frequency_Hz: ArrayLike) -> NetworkSamples:
    """All rows whose spectrum is whole at `frequency_Hz`, in the data set's order."""
    samples = dataset.samples
    z = dataset.z_ohm[:, frequency_columns(dataset.frequency_Hz, frequency_Hz)]
    modes = modes_of(dataset)
    real = z.real - OHM_PER_MILLIOHM * modes[:, [list(MODE_UNITS).index(SERIES_MODE)]]
    whole = (np.isfinite(z) & (real > 0) & (z.imag < 0)).all(axis=1)
    if not whole.any():
        raise RecipeError("the data set has no whole spectrum at network.frequency_Hz: make it again")
    return NetworkSamples(network_inputs(samples)[whole], np.log(np.concatenate([real, -z.imag], axis=1)[whole]))
