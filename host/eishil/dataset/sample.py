"""A few held-out trajectories of a data set as a small data set of the same format, for tests of the whole chain.

What is committed in `datasets/sample` is remade with

    eishil dataset datasets/recipes/first_light.toml
    python -m eishil.dataset.sample build/first_light/dataset datasets/sample
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from eishil.dataset import quality
from eishil.dataset.tables import Dataset
from eishil.dataset.writer import write_dataset
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
    part = dataset.select(dataset.samples["cell_id"].isin(names).to_numpy())
    manifest = {key: value for key, value in part.manifest.items() if key not in ("tables_sha256", "frequency_Hz")}
    census = quality.Census()
    census.add(part.samples)
    own = {"counts": census.counts(), "sample_of_tables_sha256": dataset.manifest["tables_sha256"]}
    return write_dataset(out_dir, part.samples, part.frequency_Hz, part.z_ohm, manifest | own)


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
