"""A few held-out trajectories of a data set as a small data set of the same format, for tests of the whole chain.

What is committed in `datasets/sample` is remade with

    eishil dataset datasets/recipes/first_light.toml
    python -m eishil.dataset.sample build/first_light/dataset datasets/sample
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from eishil.dataset import quality
from eishil.dataset.tables import SAMPLES, SPECTRA, Dataset
from eishil.dataset.writer import DatasetWriter
from eishil.errors import EishilError

CELLS = 4


def extract(source: Path, out_dir: Path, cells: int = CELLS) -> dict[str, Any]:
    """Write the first `cells` test trajectories of the data set in `source`; gives the manifest.

    Raises
    ------
    EishilError
        There are fewer test trajectories.
    """
    dataset = Dataset.open(source)
    names = [cell for cell, _ in dataset.split("test").trajectories()][:cells]
    if len(names) < cells:
        raise EishilError(f"{source}: has {len(names)} test trajectories; a sample needs {cells}")
    part = dataset.samples["cell_id"].isin(names).to_numpy()
    census = quality.Census()
    census.add(dataset.samples[part])
    manifest = {key: value for key, value in dataset.manifest.items() if key not in ("tables_sha256", "frequency_Hz")}
    own = {"counts": census.counts(), "sample_of_tables_sha256": dataset.manifest["tables_sha256"]}
    samples, spectra = (pq.read_table(source / name).filter(part) for name in (SAMPLES, SPECTRA))
    precision = manifest.get("precision", "float64")
    with DatasetWriter(out_dir, samples.column_names, dataset.frequency_Hz.tolist(), precision) as writer:
        writer.append_tables(samples, spectra)
        return writer.finish(manifest | own)


def main() -> None:
    """`python -m eishil.dataset.sample SOURCE OUT`."""
    parser = argparse.ArgumentParser(description="The first test trajectories of a data set, as a small one.")
    parser.add_argument("source", type=Path, help="folder of a data set")
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--cells", type=int, default=CELLS)
    arguments = parser.parse_args()
    try:
        extract(arguments.source, arguments.out_dir, arguments.cells)
    except EishilError as error:
        parser.exit(error.exit_code, f"{error}\n")


if __name__ == "__main__":
    main()
