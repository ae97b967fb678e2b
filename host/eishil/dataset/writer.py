"""Writes a data set piece by piece: memory holds one row group, whatever the number of samples.

The same rows give the same bytes, however they were cut into pieces. A table is there as a whole or not at all, and the
manifest, which names the tables' SHA-256, comes last.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from eishil.dataset.quality import check_identities
from eishil.dataset.schema import COLUMNS, REAL, SCHEMA_VERSION, TEXT, Precision, column, sample_schema, spectra_schema
from eishil.dataset.tables import MANIFEST, SAMPLES, SPECTRA
from eishil.errors import EishilError
from eishil.files import AtomicFile, sha256_file, write_atomic

ROW_GROUP = 10_000
IDENTITY = ["sample_id", "cell_id", "split"]


class TableWriter:
    """One Parquet table in row groups of `ROW_GROUP`, under its final name after `commit` only."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.schema = schema
        self._file = AtomicFile(path)
        # Only what repeats is worth a dictionary.
        repeating = [f.name for f in schema if f.type == pa.string() and f.name != "sample_id"]
        repeating += ["frequency_Hz.list.element"] if "frequency_Hz" in schema.names else []
        self._parquet = pq.ParquetWriter(self._file.file, schema, compression="zstd", use_dictionary=repeating)
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def append(self, table: pa.Table) -> None:
        """Add rows."""
        self._waiting.append(table)
        self._rows += len(table)
        if self._rows >= ROW_GROUP:
            self._write(self._rows - self._rows % ROW_GROUP)

    def commit(self) -> None:
        """Write what is left and put the table into place."""
        self._write(self._rows)
        self._parquet.close()
        self._file.commit()

    def discard(self) -> None:
        """Leave nothing behind; after `commit` it does nothing."""
        with contextlib.suppress(OSError):  # it ends the table, and the disk may be full
            self._parquet.close()
        self._file.discard()

    def _write(self, rows: int) -> None:
        if rows:
            table = pa.concat_tables(self._waiting).combine_chunks()
            self._parquet.write_table(table.slice(0, rows), row_group_size=ROW_GROUP)
            self._waiting = [table.slice(rows)]
            self._rows -= rows


class DatasetWriter:
    """`with DatasetWriter(...) as writer:` append pieces, then `finish`; without `finish` nothing is left behind.

    Parameters
    ----------
    columns
        Of the samples that will be appended; an optional column of `schema.COLUMNS` may be left out and is null.
    frequency_Hz
        (F,), rising.
    precision
        How impedances are stored; labels are float64 always.
    """

    def __init__(
        self, directory: Path, columns: Sequence[str], frequency_Hz: Sequence[float], precision: Precision = "float64"
    ) -> None:
        self._directory = directory
        self._frequency_Hz = [float(f) for f in frequency_Hz]
        self._precision: Precision = precision
        self._samples = TableWriter(directory / SAMPLES, sample_schema(columns))
        self._spectra = TableWriter(directory / SPECTRA, spectra_schema(self._frequency_Hz, precision))
        self._identities: list[pa.Table] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._samples.discard()
        self._spectra.discard()

    def append(self, samples: pd.DataFrame, z_ohm: NDArray[np.complex128], backend: str | None = None) -> None:
        """Add samples (S rows) and their spectra (S, F); those with a reason are written as null."""
        self.append_tables(
            sample_rows(samples), spectra_rows(samples, z_ohm, self._frequency_Hz, self._precision, backend)
        )

    def append_tables(self, samples: pa.Table, spectra: pa.Table) -> None:
        """Add what `sample_rows` and `spectra_rows` made."""
        self._identities.append(samples.select(IDENTITY))
        self._samples.append(samples)
        self._spectra.append(spectra)

    def finish(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Check identities, put the tables into place and write the manifest; gives it.

        Raises
        ------
        EishilError
            A sample is there twice, or a cell in two splits; nothing is written.
        """
        check_identities(pa.concat_tables(self._identities).to_pandas())
        (self._directory / MANIFEST).unlink(missing_ok=True)
        self._samples.commit()
        self._spectra.commit()
        digests = {name: sha256_file(self._directory / name) for name in (SAMPLES, SPECTRA)}
        own = {"schema_version": SCHEMA_VERSION, "frequency_Hz": self._frequency_Hz, "tables_sha256": digests}
        whole = manifest | own
        write_atomic(self._directory / MANIFEST, json.dumps(whole, indent=1) + "\n")
        return whole


def sample_rows(samples: pd.DataFrame) -> pa.Table:
    """Rows of `samples` in its schema; an optional column that is not there is null.

    Raises
    ------
    EishilError
        A column is unknown or missing.
    """
    _check_columns(list(samples.columns))
    schema = sample_schema(list(samples.columns))
    return pa.Table.from_pandas(samples.reindex(columns=schema.names), schema=schema, preserve_index=False).cast(schema)


def spectra_rows(
    samples: pd.DataFrame,
    z_ohm: NDArray[np.complex128],
    frequency_Hz: Sequence[float],
    precision: Precision,
    backend: str | None,
) -> pa.Table:
    """Rows of `spectra` for those of `samples`; a spectrum with a reason is null."""
    schema = spectra_schema(frequency_Hz, precision)
    masked = pa.array((samples["reason"] != "").to_numpy(bool))
    kind = schema.field("z_real_ohm").type
    parts = (z_ohm.real, z_ohm.imag, np.abs(z_ohm), np.degrees(np.angle(z_ohm)))
    values = (
        pa.FixedSizeListArray.from_arrays(pa.array(p.ravel(), REAL).cast(kind.value_type), type=kind, mask=masked)
        for p in parts
    )
    frequency = pa.array(np.tile(np.asarray(frequency_Hz, float), len(samples)), REAL)
    solved = samples["solver_status"] != "not_solved"
    columns = [
        pa.array(samples["sample_id"], TEXT),
        pa.FixedSizeListArray.from_arrays(frequency, type=schema.field("frequency_Hz").type),
        *values,
        pa.array([backend if one else None for one in solved], TEXT),
        pa.array(samples["solver_status"], TEXT),
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _check_columns(names: Sequence[str]) -> None:
    unknown = [name for name in names if column(name) is None]
    missing = [name for name, one in COLUMNS.items() if not one.optional and name not in names]
    if unknown or missing:
        what = f"column {unknown[0]} is unknown" if unknown else f"column {missing[0]} is missing"
        raise EishilError(f"samples: {what}; eishil.dataset.schema.COLUMNS says which there are")
