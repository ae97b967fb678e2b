"""`features.parquet` of a data set: derived data, in the order of the samples, never mixed into the spectra.

Fitting circuits takes a tenth of a second for a spectrum: finished chunks are kept, as for the data set itself.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from eishil.dataset import circuits, features, pools
from eishil.dataset.chunks import Chunk, ChunkFolder
from eishil.dataset.schema import Column
from eishil.dataset.tables import SPECTRA, Dataset, open_pieces
from eishil.dataset.writer import TableWriter
from eishil.files import sha256_file
from eishil.progress import Progress
from eishil.versions import versions

STAGE = "features"
FEATURES = "features.parquet"
CHUNK_SPECTRA = 200
PACKAGES = ("eishil", "numpy", "scipy", "impedance", "pyarrow")


def columns(n_rc: int) -> dict[str, Column]:
    """Columns of the table; without a circuit where `n_rc` is 0."""
    return features.COLUMNS | (circuits.columns(n_rc) if n_rc else {})


def write_features(directory: Path, n_rc: int, workers: int, progress: Progress) -> Path:
    """Write the features of the data set in `directory`, with a circuit of `n_rc` RC elements; gives the file.

    Raises
    ------
    EishilError
        There is no data set, or it is damaged.
    """
    pieces = list(_pieces(directory))
    schema = _schema(directory, n_rc)
    key = hashlib.sha256(json.dumps([str(schema.metadata), str(CHUNK_SPECTRA), _code()]).encode()).hexdigest()[:16]
    folder = ChunkFolder(directory / "work_features", key)
    missing = [number for number in range(len(pieces)) if folder.read(number) is None]
    done, total = sum(map(len, pieces)) - sum(len(pieces[k]) for k in missing), sum(map(len, pieces))
    progress(STAGE, done, total, "" if missing else "all chunks were there")
    for number, data in pools.local(partial(_make_chunk, pieces, n_rc), missing, workers):
        folder.write(number, data)
        done += len(pieces[number])
        progress(STAGE, done, total, f"circuits of {n_rc} RC elements" if n_rc else "")
    table = TableWriter(directory / FEATURES, schema)
    try:
        for number in range(len(pieces)):
            table.append(folder.finished(number).tables[0].cast(schema))
        table.commit()
    finally:
        table.discard()
    shutil.rmtree(folder.directory, ignore_errors=True)
    return directory / FEATURES


def read_features(directory: Path) -> pd.DataFrame | None:
    """The features, or None where there are none of these spectra."""
    path = directory / FEATURES
    if not path.is_file():
        return None
    table = pq.read_table(path)
    made_of = (table.schema.metadata or {}).get(b"spectra_sha256", b"").decode()
    return table.to_pandas() if made_of == sha256_file(directory / SPECTRA) else None


def _pieces(directory: Path) -> list[Dataset]:
    return [
        piece.select(slice(start, start + CHUNK_SPECTRA))
        for piece in open_pieces(directory)
        for start in range(0, len(piece), CHUNK_SPECTRA)
    ]


def _schema(directory: Path, n_rc: int) -> pa.Schema:
    about = {"spectra_sha256": sha256_file(directory / SPECTRA), "rc_elements": str(n_rc)}
    about |= {f"version_{name}": version for name, version in versions(PACKAGES).items()}
    return pa.schema([one.field(name) for name, one in columns(n_rc).items()], metadata=about)


def _code() -> str:
    return "".join(sha256_file(Path(__file__).with_name(f"{name}.py")) for name in ("features", "circuits"))


def _make_chunk(pieces: list[Dataset], n_rc: int, number: int) -> bytes:
    """Runs in a worker process."""
    piece = pieces[number]
    rows: list[dict[str, Any]] = []
    for sample_id, z in zip(piece.samples["sample_id"], piece.z_ohm, strict=True):
        circuit = circuits.fit(z, piece.frequency_Hz, n_rc) if n_rc else {}
        rows.append({"sample_id": sample_id} | features.features(z, piece.frequency_Hz) | circuit)
    schema = pa.schema([one.field(name) for name, one in columns(n_rc).items()])
    filled = [{name: _null(value) for name, value in row.items()} for row in rows]
    return Chunk((pa.Table.from_pylist(filled, schema=schema),)).to_bytes()


def _null(value: Any) -> Any:
    return None if isinstance(value, float) and np.isnan(value) else value
