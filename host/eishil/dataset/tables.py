"""The data set on disk: two Parquet tables and a manifest.

`samples.parquet` has one row per spectrum: identity, operating point, modes, labels, verdict. `spectra.parquet` has the
same rows in the same order: sample_id and two lists of F values, null where the spectrum is masked. The frequencies
stand in the manifest and in the schema of the spectra. Column units stand in the fields' metadata.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eishil.cell.constants import SPREAD_PREFIX
from eishil.dataset.quality import check_identities
from eishil.errors import EishilError, RecipeError
from eishil.files import sha256_file, write_atomic
from eishil.validation import first_mistake

SAMPLES, SPECTRA, MANIFEST = "samples.parquet", "spectra.parquet", "manifest.json"
TEXT, INTEGER, REAL, TRUTH = pa.string(), pa.int32(), pa.float64(), pa.bool_()
NULLABLE = {TRUTH: pd.BooleanDtype()}  # the same type in pandas whether or not some are null

# Column -> type, unit, meaning.
COLUMNS: dict[str, tuple[pa.DataType, str, str]] = {
    "sample_id": (TEXT, "", "unique"),
    "cell_id": (TEXT, "", "one cell is in one split"),
    "split": (TEXT, "", "train, validation or test"),
    "population": (TEXT, "", "trajectory or snapshot"),
    "step": (INTEGER, "1", "number within the trajectory"),
    "cycles": (REAL, "equivalent full cycles", "since the cell was new; null for snapshots"),
    "soc": (REAL, "1", "of the present capacity"),
    "temperature_degC": (REAL, "degC", "of the whole cell"),
    "voltage_V": (REAL, "V", "at rest"),
    "lli": (REAL, "1", "loss of lithium inventory"),
    "lam_ne": (REAL, "1", "loss of active material, negative electrode"),
    "lam_pe": (REAL, "1", "loss of active material, positive electrode"),
    "sei_thickness_nm": (REAL, "nm", "film on the negative particles"),
    "contact_resistance_mOhm": (REAL, "mOhm", "in series with the cell"),
    "capacity_Ah": (REAL, "Ah", "between the voltage limits, at equilibrium"),
    "soh": (REAL, "1", "capacity over that of the fresh cell"),
    "rul_cycles": (REAL, "equivalent full cycles", "left until SOH 0.8; at least that many where rul_censored"),
    "rul_censored": (TRUTH, "", "the trajectory stops before SOH 0.8; null for snapshots"),
    "theta_n": (REAL, "1", "stoichiometry of the negative electrode"),
    "theta_p": (REAL, "1", "stoichiometry of the positive electrode"),
    "label_source": (TEXT, "", "how the labels were made"),
    "solver_status": (TEXT, "", "static, pivoted, failed or not_solved"),
    "reason": (TEXT, "", "why the spectrum is masked; empty where it is not"),
    "consistency_residual": (REAL, "1", "largest |F(y0)| in PyBaMM's scaled units"),
    "solve_residual": (REAL, "1", "largest componentwise backward error of the linear systems"),
}


def sample_schema(names: Iterable[str]) -> pa.Schema:
    """Schema of a table of samples: `COLUMNS`, and after them what a recipe spreads from cell to cell."""
    spread = [name for name in names if name.startswith(SPREAD_PREFIX)]
    columns = COLUMNS | {name: (REAL, "1", "factor on this constant of the parameter set") for name in spread}
    return pa.schema(
        [pa.field(name, kind, metadata={"unit": unit, "meaning": text}) for name, (kind, unit, text) in columns.items()]
    )


class _TablesSha256(BaseModel):
    samples: Annotated[str, Field(alias=SAMPLES)]
    spectra: Annotated[str, Field(alias=SPECTRA)]


class _Manifest(BaseModel):
    """What reading a data set needs of its manifest; the rest is for people."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    frequency_Hz: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    tables_sha256: _TablesSha256


@dataclass(frozen=True)
class Dataset:
    """A data set or a part of one.

    Attributes
    ----------
    samples
        (S rows), columns as in `COLUMNS`; a missing number is NaN.
    frequency_Hz
        (F,), rising.
    z_ohm
        (S, F); NaN where the spectrum is masked.
    manifest
        The whole data set's.
    """

    samples: pd.DataFrame
    frequency_Hz: NDArray[np.float64]
    z_ohm: NDArray[np.complex128]
    manifest: dict[str, Any]

    @classmethod
    def open(cls, directory: Path) -> Dataset:
        """Read a data set and check it against its manifest.

        Raises
        ------
        EishilError
            A file is missing, malformed or changed, or a cell is in two splits.
        """
        manifest = _read_manifest(directory)
        samples = pq.read_table(directory / SAMPLES).to_pandas(types_mapper=NULLABLE.get)
        spectra = pq.read_table(directory / SPECTRA)
        if spectra["sample_id"].to_pylist() != samples["sample_id"].tolist():
            raise EishilError(f"{directory}: {SPECTRA} and {SAMPLES} are not of the same samples; make both again")
        _check_frequencies(directory, manifest, spectra)
        check_identities(samples)
        frequency = np.asarray(manifest["frequency_Hz"], float)
        z = _matrix(spectra["z_real_ohm"], len(frequency)) + 1j * _matrix(spectra["z_imag_ohm"], len(frequency))
        return cls(samples, frequency, z, manifest)

    def __len__(self) -> int:
        return len(self.samples)

    def select(self, rows: Any) -> Dataset:
        """The rows that a boolean mask or an index array names."""
        positions = np.arange(len(self))[rows]
        samples = self.samples.iloc[positions].reset_index(drop=True)
        return Dataset(samples, self.frequency_Hz, self.z_ohm[positions], self.manifest)

    def split(self, name: str) -> Dataset:
        """One of "train", "validation" and "test"."""
        return self.select((self.samples["split"] == name).to_numpy())

    def trajectories(self) -> Iterator[tuple[str, Dataset]]:
        """Cells that are trajectories, each ordered by step, masked steps included."""
        rows = self.samples[self.samples["population"] == "trajectory"]
        for cell, group in rows.groupby("cell_id", sort=False):
            yield str(cell), self.select(group.sort_values("step").index.to_numpy())


def write_dataset(directory: Path, samples: pd.DataFrame, dataset_frequency_Hz: NDArray[np.float64],
                  z_ohm: NDArray[np.complex128], manifest: dict[str, Any]) -> dict[str, Any]:  # fmt: skip
    """Write the two tables and, last, the manifest with their SHA-256; gives the manifest.

    The same samples give the same bytes. Rows with a reason are written with null values.
    """
    check_identities(samples)
    masked = (samples["reason"] != "").to_numpy()
    frequency = [float(f) for f in dataset_frequency_Hz]
    tables = {
        SAMPLES: pa.Table.from_pandas(samples, schema=sample_schema(samples), preserve_index=False),
        SPECTRA: _spectra_table(samples["sample_id"], frequency, z_ohm, masked),
    }
    for name, table in tables.items():
        write_atomic(directory / name, _parquet(table))
    digests = {name: sha256_file(directory / name) for name in tables}
    whole = manifest | {"frequency_Hz": frequency, "tables_sha256": digests}
    write_atomic(directory / MANIFEST, json.dumps(whole, indent=1) + "\n")
    return whole


def _spectra_table(sample_id: Any, frequency_Hz: list[float], z: NDArray[np.complex128], masked: Any) -> pa.Table:
    kind = pa.list_(REAL, len(frequency_Hz))
    schema = pa.schema(
        [
            pa.field("sample_id", TEXT),
            pa.field("z_real_ohm", kind, metadata={"unit": "Ohm"}),
            pa.field("z_imag_ohm", kind, metadata={"unit": "Ohm", "meaning": "capacitive is negative"}),
        ],
        metadata={"frequency_Hz": json.dumps(frequency_Hz)},
    )
    values = (
        pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), type=kind, mask=pa.array(masked))
        for part in (z.real, z.imag)
    )
    return pa.Table.from_arrays([pa.array(sample_id, TEXT), *values], schema=schema)


def _parquet(table: pa.Table) -> bytes:
    # The schema is that of the table alone: pandas' own metadata would carry its version.
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(_own_metadata(table)), buffer, compression="zstd")
    return buffer.getvalue()


def _own_metadata(table: pa.Table) -> dict[bytes, bytes]:
    return {key: value for key, value in (table.schema.metadata or {}).items() if key != b"pandas"}


def _read_manifest(directory: Path) -> dict[str, Any]:
    path = directory / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        checked = _Manifest.model_validate(manifest)
        named = {SAMPLES: checked.tables_sha256.samples, SPECTRA: checked.tables_sha256.spectra}
        digests = {name: sha256_file(directory / name) for name in named}
    except FileNotFoundError as error:
        raise EishilError(f"{error.filename}: there is no data set; `eishil dataset RECIPE` makes one") from None
    except OSError as error:
        raise EishilError(f"{error.filename}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise RecipeError(f"{path}: {first_mistake(error)}; make the data set again") from None
    except (ValueError, RecursionError) as error:  # JSON, or the text under it
        raise RecipeError(f"{path}: this is not JSON ({error}); make the data set again") from None
    for name, digest in digests.items():
        if named[name] != digest:
            raise EishilError(f"{directory / name}: differs from what {MANIFEST} names; make the data set again")
    return dict(manifest)


def _check_frequencies(directory: Path, manifest: dict[str, Any], spectra: pa.Table) -> None:
    own = json.loads((spectra.schema.metadata or {}).get(b"frequency_Hz", b"null"))
    if own != manifest["frequency_Hz"]:
        raise RecipeError(
            f"{directory / MANIFEST}: frequency_Hz: differs from the frequencies of {SPECTRA}; make the data set again"
        )


def _matrix(column: pa.ChunkedArray, width: int) -> NDArray[np.float64]:
    """(S, F) from a column of lists, NaN where a list is null."""
    array = column.combine_chunks()
    values = np.full((len(array), width), np.nan)
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    values[valid] = array.drop_null().flatten().to_numpy().reshape(-1, width)
    return values
