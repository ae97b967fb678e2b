"""The data set on disk: two Parquet tables and a manifest.

`samples.parquet` has one row per spectrum: identity, operating point, modes, labels, verdict. `spectra.parquet` has the
same rows in the same order: the spectrum as lists of F values, null where it is masked, and what solved it. The
frequencies stand in the manifest as well. Columns, their units and meanings are in `schema`, `writer` writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eishil.dataset.quality import check_identities
from eishil.dataset.schema import FLAG, Column, column, sample_schema, spectra_columns
from eishil.errors import EishilError, RecipeError
from eishil.files import sha256_file
from eishil.validation import first_mistake

if TYPE_CHECKING:
    import xarray

SAMPLES, SPECTRA, MANIFEST = "samples.parquet", "spectra.parquet", "manifest.json"


class _TablesSha256(BaseModel):
    samples: Annotated[str, Field(alias=SAMPLES)]
    spectra: Annotated[str, Field(alias=SPECTRA)]


class _Manifest(BaseModel):
    """What reading a data set needs of its manifest; the rest is for people."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    frequency_Hz: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    tables_sha256: _TablesSha256
    schema_version: Literal[2]
    precision: Literal["float64", "float32"] = "float64"


@dataclass(frozen=True)
class Dataset:
    """A data set or a part of one.

    Attributes
    ----------
    samples
        (S rows), columns as in `schema.COLUMNS`; a missing number is NaN.
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
    def open(cls, directory: Path | str) -> Dataset:
        """Read a data set and check it against its manifest.

        Raises
        ------
        EishilError
            A file is missing, malformed or changed, or a cell is in two splits.
        """
        pieces = list(open_pieces(directory))
        samples = pd.concat([piece.samples for piece in pieces], ignore_index=True)
        check_identities(samples)
        z = np.concatenate([piece.z_ohm for piece in pieces])
        return cls(samples, pieces[0].frequency_Hz, z, pieces[0].manifest)

    def __len__(self) -> int:
        return len(self.samples)

    def points(self) -> pd.DataFrame:
        """One row per spectrum and frequency (`export.points`)."""
        from eishil.dataset import export

        return export.points(self)

    def to_xarray(self) -> xarray.Dataset:
        """Dimensions sample and frequency (`export.to_xarray`); needs the package xarray."""
        from eishil.dataset import export

        return export.to_xarray(self)

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


def open_pieces(directory: Path | str) -> Iterator[Dataset]:
    """Read a data set row group by row group, for one that does not fit into memory.

    Raises
    ------
    EishilError
        As `Dataset.open`, but a cell in two splits is not seen.
    """
    directory = Path(directory)
    manifest = _read_manifest(directory)
    frequency = np.asarray(manifest["frequency_Hz"], float)
    samples, spectra = _samples_file(directory / SAMPLES), _spectra_file(directory / SPECTRA, manifest)
    if samples.num_row_groups != spectra.num_row_groups:
        raise EishilError(f"{directory}: {SPECTRA} and {SAMPLES} are not of the same samples; make both again")
    for k in range(samples.num_row_groups):
        rows = samples.read_row_group(k).to_pandas(types_mapper={FLAG: pd.BooleanDtype()}.get)
        table = spectra.read_row_group(k, columns=["sample_id", "z_real_ohm", "z_imag_ohm"])
        if table["sample_id"].to_pylist() != rows["sample_id"].tolist():
            raise EishilError(f"{directory}: {SPECTRA} and {SAMPLES} are not of the same samples; make both again")
        z = _matrix(table["z_real_ohm"], len(frequency)) + 1j * _matrix(table["z_imag_ohm"], len(frequency))
        yield Dataset(rows, frequency, z, manifest)


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


def _samples_file(path: Path) -> pq.ParquetFile:
    file = _parquet_file(path)
    names = file.schema_arrow.names
    _check(path, file.schema_arrow, {name: one for name in names if (one := column(name)) is not None})
    for name in sample_schema(names).names:
        _require(path, name in names, f"column {name} is missing")
    _require(path, file.num_row_groups > 0, "it has no rows")
    return file


def _spectra_file(path: Path, manifest: dict[str, Any]) -> pq.ParquetFile:
    file = _parquet_file(path)
    metadata, frequency = file.schema_arrow.metadata or {}, manifest["frequency_Hz"]
    if json.loads(metadata.get(b"frequency_Hz", b"null")) != frequency:
        raise RecipeError(
            f"{path.parent / MANIFEST}: frequency_Hz: differs from the frequencies of {SPECTRA}; "
            "make the data set again"
        )
    _check(path, file.schema_arrow, spectra_columns(len(frequency), manifest.get("precision", "float64")))
    return file


def _parquet_file(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except pa.ArrowException as error:
        raise EishilError(f"{path}: this is not a Parquet table: {error}; make the data set again") from None


def _check(path: Path, schema: pa.Schema, columns: dict[str, Column]) -> None:
    """Every column is known, of its type and in its unit: a table in mV must not be read as one in V."""
    for field in schema:
        known = columns.get(field.name)
        _require(path, known is not None, f"column {field.name} is unknown")
        assert known is not None
        _require(path, field.type == known.kind, f"column {field.name} is {field.type}, not {known.kind}")
        unit = (field.metadata or {}).get(b"unit", b"").decode()
        _require(path, unit == known.unit, f"column {field.name} is in {unit!r}, not in {known.unit!r}")


def _require(path: Path, condition: bool, what: str) -> None:
    if not condition:
        raise EishilError(f"{path}: {what}; make the data set again")


def _matrix(column: pa.ChunkedArray, width: int) -> NDArray[np.float64]:
    """(S, F) from a column of lists, NaN where a list is null."""
    array = column.combine_chunks()
    values = np.full((len(array), width), np.nan)
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    values[valid] = array.drop_null().flatten().to_numpy().reshape(-1, width)
    return values


def open_dataset(directory: Path | str) -> Dataset:
    """Read a data set and check it against its manifest (`Dataset.open`).

    >>> samples = eishil.open_dataset("build/first_light/dataset").samples
    """
    return Dataset.open(directory)
