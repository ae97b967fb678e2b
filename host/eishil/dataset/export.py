"""A data set for other tools: long tables, CSV, xarray."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from eishil.dataset.schema import column, spectra_columns
from eishil.dataset.tables import Dataset, open_pieces
from eishil.files import AtomicFile

if TYPE_CHECKING:
    import xarray

SAMPLES_CSV, SPECTRA_CSV = "samples.csv", "spectra.csv"


def points(dataset: Dataset) -> pd.DataFrame:
    """One row per spectrum and frequency; masked spectra have none.

    Columns: sample_id, frequency_Hz, z_real_ohm, z_imag_ohm, z_magnitude_ohm, z_phase_deg.
    """
    whole = np.isfinite(dataset.z_ohm).all(axis=1)
    z, n = dataset.z_ohm[whole].ravel(), len(dataset.frequency_Hz)
    return pd.DataFrame(
        {
            "sample_id": np.repeat(dataset.samples["sample_id"].to_numpy()[whole], n),
            "frequency_Hz": np.tile(dataset.frequency_Hz, int(whole.sum())),
            "z_real_ohm": z.real,
            "z_imag_ohm": z.imag,
            "z_magnitude_ohm": np.abs(z),
            "z_phase_deg": np.degrees(np.angle(z)),
        }
    )


def write_csv(directory: Path) -> None:
    """Write `samples.csv` and `spectra.csv` (the rows of `points`) beside the tables, piece by piece."""
    files = {name: AtomicFile(directory / name) for name in (SAMPLES_CSV, SPECTRA_CSV)}
    try:
        for k, piece in enumerate(open_pieces(directory)):
            for name, frame in ((SAMPLES_CSV, piece.samples), (SPECTRA_CSV, points(piece))):
                frame.to_csv(files[name].file, index=False, header=k == 0, lineterminator="\n")
        for file in files.values():
            file.commit()
    finally:
        for file in files.values():
            file.discard()


def to_xarray(dataset: Dataset) -> xarray.Dataset:
    """The data set with dimensions `sample` and `frequency`, units as attributes; needs xarray.

    `z_ohm` (sample, frequency) is complex; every column of the samples is a variable (sample,).
    """
    import xarray

    def described(values: Any, name: str) -> tuple[str, Any, dict[str, str]]:
        known = column(name)
        return ("sample", values, {"units": known.unit, "long_name": known.meaning} if known else {})

    samples = dataset.samples
    variables: dict[str, Any] = {
        str(name): described(samples[name].to_numpy(), str(name)) for name in samples if name != "sample_id"
    }
    variables["z_ohm"] = (("sample", "frequency"), dataset.z_ohm, {"units": "Ohm"})
    frequency = spectra_columns(1)["frequency_Hz"]
    coordinates = {
        "sample": samples["sample_id"].to_numpy(),
        "frequency": ("frequency", dataset.frequency_Hz, {"units": frequency.unit}),
    }
    return xarray.Dataset(variables, coordinates)
