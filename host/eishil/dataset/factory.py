"""Make a data set: solve block by block, in parallel, keep what is finished, and put it together at the end.

An interrupted run goes on where it was: finished chunks lie in `work/` beside the tables until the data set is whole.
No process ever holds more than some blocks, whatever the number of samples.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from eishil.cell.ageing_error import known_errors
from eishil.cell.mesh import mesh_error, named_mesh
from eishil.cell.parameters import assumed
from eishil.dataset import pools, quality
from eishil.dataset.audit import audit
from eishil.dataset.card import write_card
from eishil.dataset.chunks import Chunk, ChunkFolder
from eishil.dataset.design import Block, blocks
from eishil.dataset.export import write_csv
from eishil.dataset.recipe import Recipe
from eishil.dataset.schema import Precision
from eishil.dataset.snapshots import solve_block, solver_for
from eishil.dataset.tables import SAMPLES
from eishil.dataset.writer import DatasetWriter, sample_rows, spectra_rows
from eishil.errors import EishilError, RecipeError
from eishil.files import sha256_file
from eishil.progress import Progress
from eishil.versions import versions

STAGE = "dataset"
SOURCES = Path(__file__).resolve().parents[1]
CHUNK_SAMPLES = 1000


@dataclass(frozen=True)
class Options:
    """How a data set is made. Only `precision` changes its bytes.

    Attributes
    ----------
    workers
        Processes of this machine; not used with a `scheduler`.
    scheduler
        Address of a Dask scheduler, for instance tcp://host:8786.
    precision
        How impedances are stored; labels are float64 always.
    csv
        Whether to write the tables as text, too.
    chunk_samples
        What one task makes, and what a kill can lose for each worker.
    """

    workers: int = 1
    scheduler: str | None = None
    precision: Precision = "float64"
    csv: bool = False
    chunk_samples: int = CHUNK_SAMPLES


def generate(recipe: Recipe, recipe_path: Path, out_dir: Path, options: Options, progress: Progress) -> dict[str, Any]:
    """Write tables, manifest, quality report and data card to `out_dir`; give figures for the terminal.

    On one machine the bytes depend on the recipe, the precision and the versions in the manifest alone. Elsewhere the
    last digits may differ: the C library's exp and log do from processor to processor, and without a C compiler numpy
    solves the linear systems.

    Raises
    ------
    EishilError
        The recipe cannot be made into a data set, or a file or the cluster refuses.
    """
    design = blocks(recipe, options.chunk_samples)
    if not design:
        raise EishilError(f"{recipe_path}: population: there are no cells; give trajectories or snapshots")
    _check_cell(recipe, recipe_path)
    folder = ChunkFolder(out_dir / "work", _key(recipe, options.chunk_samples, options.precision))
    _make_missing(recipe, design, folder, options, progress)
    manifest = _put_together(recipe, recipe_path, len(design), folder, out_dir, options)
    describe(out_dir, manifest)
    if options.csv:
        write_csv(out_dir)
    shutil.rmtree(folder.directory, ignore_errors=True)
    return _figures(manifest)


def _key(recipe: Recipe, chunk_samples: int, precision: Precision) -> str:
    own = [recipe.dataset_sha256(), json.dumps(versions()), str(chunk_samples), precision, _own_code(SOURCES)]
    return hashlib.sha256("\0".join(own).encode()).hexdigest()[:16]


@cache
def _own_code(sources: Path) -> str:
    """Hashed once: what this process has loaded stays the same when a file is edited under it."""
    return _code_sha256(sources)


def _code_sha256(sources: Path) -> str:
    """SHA-256 of all code that shapes a chunk."""
    digest = hashlib.sha256()
    for path in sorted(
        path for part in ("cell/*.py", "cell/*.[ch]", "cell/*.csv", "dataset/*.py") for path in sources.glob(part)
    ):
        digest.update(f"{path.name}\0{sha256_file(path)}\0".encode())
    return digest.hexdigest()


def _check_cell(recipe: Recipe, recipe_path: Path) -> None:
    """Build here first what workers need: what is wrong with the cell is told with the recipe's key."""
    try:
        if recipe.population.count("trajectories", "snapshots"):
            solver_for(recipe)
        if recipe.population.count("simulated"):
            from eishil.dataset.trajectories import check_parameters

            check_parameters(recipe)
    except EishilError as error:
        raise RecipeError(f"{recipe_path}: cell.parameter_set: {error}") from error


def make_chunk(recipe: Recipe, chunk_samples: int, precision: Precision, key: str, number: int) -> bytes:
    """One chunk's bytes; runs in a worker process, here or on another machine.

    Raises
    ------
    EishilError
        This process has other code or other versions than the one that asked.
    """
    if _key(recipe, chunk_samples, precision) != key:
        raise EishilError("a worker has other versions of eishil or of what it stands on; install the same everywhere")
    block = blocks(recipe, chunk_samples)[number]
    samples, z_ohm, backend = (
        _simulated(recipe, block) if block.population == "simulated" else solve_block(recipe, block)
    )
    spectra = spectra_rows(samples, z_ohm, recipe.impedance.frequency_Hz, precision, backend)
    return Chunk((sample_rows(samples), spectra)).to_bytes()


def _simulated(recipe: Recipe, block: Block) -> tuple[pd.DataFrame, NDArray[np.complex128], str]:
    """Rows of the one cell that a block of simulated ones has; PyBaMM's solvers are imported for it alone."""
    from eishil.dataset.trajectories import simulate, simulated_cell

    return simulate(recipe, simulated_cell(recipe, block.split, block.first))


def _make_missing(
    recipe: Recipe, design: list[Block], folder: ChunkFolder, options: Options, progress: Progress
) -> None:
    """Make the chunks that are not there, and keep each as soon as it is."""
    tally = _Tally(sum(len(block) for block in design), progress)
    missing = []
    for number in range(len(design)):
        chunk = folder.read(number)
        if chunk is None:
            missing.append(number)
        else:
            tally.found(len(design[number]), chunk)
    tally.tell("all chunks were there" if not missing else "")
    task = partial(make_chunk, recipe, options.chunk_samples, options.precision, folder.key)
    made: Iterator[tuple[int, bytes]] = iter(())
    if missing and options.scheduler:
        made = pools.cluster(task, missing, options.scheduler)
    elif missing:
        made = pools.local(task, missing, options.workers)
    for number, data in made:
        folder.write(number, data)
        tally.made(len(design[number]), data)


class _Tally:
    """Counts samples for the progress line: how fast, how many masked, how long still."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total = total
        self._done = self._made = self._masked = 0
        self._progress, self._start_s = progress, time.monotonic()

    def found(self, samples: int, chunk: Chunk) -> None:
        self._done += samples
        self._masked += chunk.tables[1]["z_real_ohm"].null_count

    def made(self, samples: int, data: bytes) -> None:
        chunk = Chunk.from_bytes(data)
        assert chunk is not None
        self.found(samples, chunk)
        self._made += samples
        rate = self._made / max(time.monotonic() - self._start_s, 1e-9)
        left_s = (self._total - self._done) / rate
        self.tell(f"{rate:.0f}/s, {self._masked} masked, {left_s:.0f} s left")

    def tell(self, note: str) -> None:
        self._progress(STAGE, self._done, self._total, note)


def _put_together(
    recipe: Recipe, recipe_path: Path, chunks: int, folder: ChunkFolder, out_dir: Path, options: Options
) -> dict[str, Any]:
    for leftover in out_dir.glob(".*.tmp"):  # of a run that was killed
        leftover.unlink()
    census = quality.Census()
    columns = folder.finished(0).tables[0].column_names
    with DatasetWriter(out_dir, columns, recipe.impedance.frequency_Hz, options.precision) as writer:
        for number in range(chunks):
            samples, spectra = folder.finished(number).tables
            writer.append_tables(samples, spectra)
            census.add(samples.to_pandas())
        if mistake := census.nothing_solved():
            raise RecipeError(f"{recipe_path}: {'ageing' if recipe.ageing else 'simulation'}: {mistake}")
        return writer.finish(_manifest(recipe, options, census))


def _manifest(recipe: Recipe, options: Options, census: quality.Census) -> dict[str, Any]:
    filled_in, simulation = assumed(recipe.cell.parameter_set), recipe.simulation
    shortcuts = {"ageing_error": known_errors(simulation.shortcuts(recipe.cell.points()))} if simulation else {}
    return (
        {
            "name": recipe.name,
            "recipe": {"name": recipe.name, "description": recipe.description} | recipe.dataset_sections(),
            "recipe_sha256": recipe.dataset_sha256(),
            "seed": recipe.seed,
            "versions": versions(),
            "mesh": _mesh(recipe),
            "precision": options.precision,
            "counts": census.counts(),
            "largest": census.largest(),
        }
        | shortcuts
        | ({"assumed_parameters": filled_in} if filled_in else {})
    )


def _mesh(recipe: Recipe) -> dict[str, Any]:
    """Points of the mesh, and its error where it was measured."""
    mesh, highest_Hz = named_mesh(recipe.cell.points()), max(recipe.impedance.frequency_Hz)
    found = mesh_error(recipe.cell.model, mesh, highest_Hz)
    known = found and {"relative_error": found.error, "up_to_Hz": found.up_to_Hz, "measured_on": "Chen2020"}
    return asdict(mesh) | (known or {"relative_error": None})


def describe(directory: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Write the quality report and the data card; give the report."""
    report = audit(directory)
    write_card(directory, pq.read_schema(directory / SAMPLES).names, manifest, report)
    return report


def _figures(manifest: dict[str, Any]) -> dict[str, Any]:
    counts = manifest["counts"].values()
    return {
        "cells": sum(count["cells"] for count in counts),
        "spectra": sum(count["spectra"] for count in counts),
        "masked_spectra": sum(count["masked"] for count in counts),
        "frequencies": len(manifest["frequency_Hz"]),
        **{f"largest_{name}": value for name, value in manifest["largest"].items()},
    }
