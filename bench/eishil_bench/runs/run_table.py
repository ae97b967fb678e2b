"""The run's table, one row per spectrum: label, what was sent, what reference, prior and device made of it.

Columns: `cell_id`, `step`, `cycles`, `soc`, `soh` (label), `voltage_V`, `temperature_degC`; lists `z_real_ohm`,
`z_imag_ohm` (F, as sent, NaN where masked) and `fit_real_ohm`, `fit_imag_ohm` (F, the float network at the reference's
estimate); for `reference_` and `device_`: `soh`, `soh_sigma`, `nis`, `n_used`, `status`, lists `x` (n) and `P` (n n,
by rows); `prior_soh`, `prior_soh_sigma`; lists `modes` (label), `device_modes`, `device_modes_sigma` (n_modes);
`device_rul_median`, `device_rul_low`, `device_rul_high` in cycles, inf where the forecast sees no end
(`eishil.filters.forecast`); `count`, in units of the results' clock, and the `interrupts` that fell into it;
`round_trip_us` and `interval_us` of the reply (`eishil_bench.link.interface.Timing`).

Where cells were commissioned also, the same in all rows of a cell: `fresh_spectra`, lists `reference_offset`,
`device_offset`, `reference_offset_variance`, `device_offset_variance` (m); and `uncommissioned_soh`, the reference's
estimate without the fresh spectra.

A brief reply has no covariance: `device_P` has its diagonal alone, `device_modes_sigma` and `device_rul_` are NaN.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eishil.errors import EishilError
from eishil.files import sha256_file, write_atomic
from eishil.filters.forecast import RemainingLife
from eishil.filters.step import StepOutput
from eishil_bench.link.session import DeviceStep
from eishil_bench.runs.device_run import DeviceLife
from eishil_bench.runs.stimulus import HeldOutSpectrum, ReferenceLife, ReferenceStep, Trajectory

SOH = 0  # position among the readouts


@dataclass(frozen=True)
class Says:
    """What the device's estimate says besides SOH: the life that is left, and the modes (p,) with covariance (p, p)."""

    life: RemainingLife
    modes: np.ndarray
    covariance: np.ndarray


def row(
    cell_id: str, spectrum: HeldOutSpectrum, reference: ReferenceStep, device: DeviceStep, says: Says
) -> dict[str, Any]:
    """One row of the table."""
    measured = spectrum.measured
    z_ohm = np.where(measured.valid, measured.z_ohm, np.nan)
    before = reference.uncommissioned
    return {
        "cell_id": cell_id,
        "step": spectrum.step,
        "cycles": spectrum.cycles,
        "soc": spectrum.soc,
        "soh": spectrum.soh,
        "voltage_V": measured.voltage_V,
        "temperature_degC": measured.temperature_degC,
        "z_real_ohm": z_ohm.real.tolist(),
        "z_imag_ohm": z_ohm.imag.tolist(),
        "fit_real_ohm": reference.z_fit_ohm.real.tolist(),
        "fit_imag_ohm": reference.z_fit_ohm.imag.tolist(),
        **_estimate("reference", reference.output),
        **_estimate("device", device.output),
        "prior_soh": float(reference.prior.readout[SOH]),
        "prior_soh_sigma": float(reference.prior.readout_sigma[SOH]),
        "device_rul_median": says.life.median,
        "device_rul_low": says.life.low,
        "device_rul_high": says.life.high,
        "modes": spectrum.modes.tolist(),
        "device_modes": says.modes.tolist(),
        "device_modes_sigma": np.sqrt(np.diag(says.covariance)).tolist(),
        "count": device.count,
        "interrupts": device.interrupts,
        "round_trip_us": device.timing.round_trip_us,
        "interval_us": device.timing.interval_us,
        **({} if before is None else {"uncommissioned_soh": float(before.readout[SOH])}),
    }


def commissioned(trajectory: Trajectory, reference: ReferenceLife, device: DeviceLife) -> dict[str, Any]:
    """What all rows of a commissioned cell have besides; empty where nobody was commissioned."""
    columns: dict[str, Any] = {}
    for who, learned in (("reference", reference.commissioning), ("device", device.commissioning)):
        if learned is not None:
            columns |= {f"{who}_offset": learned.offset.tolist(), f"{who}_offset_variance": learned.variance.tolist()}
    return {"fresh_spectra": len(trajectory.fresh), **columns} if columns else {}


def save(table: pd.DataFrame, path: Path) -> str:
    """Write the table whole or not at all; its SHA-256."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, buffer.getvalue())
    return sha256_file(path)


def load(path: Path) -> pd.DataFrame:
    """EishilError where the table is missing or damaged."""
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise EishilError(f"{path} is missing; `eishil run RECIPE` writes it") from None
    except (OSError, ValueError) as error:
        raise EishilError(f"{path} is damaged ({error}); `eishil run RECIPE` writes a new one") from None


def matrix(table: pd.DataFrame, column: str) -> np.ndarray:
    """A column of lists as an array (rows, length)."""
    return np.array(table[column].tolist(), np.float64)


def with_covariance(table: pd.DataFrame) -> pd.DataFrame:
    """Rows whose reply was not a brief one."""
    return table[[not np.isnan(P).any() for P in table["device_P"]]]


def _estimate(who: str, output: StepOutput) -> dict[str, Any]:
    return {
        f"{who}_soh": float(output.readout[SOH]),
        f"{who}_soh_sigma": float(output.readout_sigma[SOH]),
        f"{who}_nis": float(output.nis),
        f"{who}_n_used": output.n_used,
        f"{who}_status": output.status,
        f"{who}_x": output.x.astype(np.float64).tolist(),
        f"{who}_P": output.P.astype(np.float64).ravel().tolist(),
    }
