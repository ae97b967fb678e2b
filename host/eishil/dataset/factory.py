"""Make a data set: design, label, solve in parallel, judge, write. An interrupted run goes on where it was.

Finished chunks lie in `work/` beside the tables until the data set is whole. They carry in their names what they were
made from, so that another recipe, version or code never picks them up, and begin with their SHA-256.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eishil.cell.ageing import LABEL_SOURCE, AgedState, Snapshot, snapshot
from eishil.cell.constants import model_constants
from eishil.cell.impedance import Batch, ImpedanceSolver, solver
from eishil.cell.linearise import CellInputs
from eishil.cell.parameters import assumed
from eishil.dataset import quality
from eishil.dataset.design import MODES, design
from eishil.dataset.labels import with_remaining_life
from eishil.dataset.recipe import Recipe
from eishil.dataset.spread import factors
from eishil.dataset.writer import write_dataset
from eishil.errors import EishilError, RecipeError
from eishil.files import sha256_file, write_atomic
from eishil.processes import tie_worker
from eishil.progress import Progress
from eishil.versions import versions

STAGE = "dataset"
SOURCES = Path(__file__).resolve().parents[1]
CHUNK_SAMPLES = 1000
COMPILE_FROM_SAMPLES = 150_000  # compiling the Jacobian takes half a minute and saves 0.15 ms a spectrum


@dataclass(frozen=True)
class _Work:
    """What is to be solved, and where finished chunks lie."""

    inputs: CellInputs
    frequency_Hz: NDArray[np.float64]
    directory: Path
    key: str
    chunk_samples: int

    def chunks(self) -> list[tuple[slice, Path]]:
        starts = range(0, len(self.inputs), self.chunk_samples)
        return [
            (slice(start, start + self.chunk_samples), self.directory / f"{self.key}-{start:07d}.chunk")
            for start in starts
        ]


def generate(
    recipe: Recipe,
    recipe_path: Path,
    out_dir: Path,
    workers: int,
    progress: Progress,
    chunk_samples: int = CHUNK_SAMPLES,
) -> dict[str, Any]:
    """Write `samples.parquet`, `spectra.parquet` and `manifest.json` to `out_dir`; give figures for the terminal.

    On one machine the bytes depend on the recipe and the versions in the manifest, not on `workers` or `chunk_samples`.
    Elsewhere the last digits may differ: the C library's exp and log do from processor to processor, and without a C
    compiler numpy solves the linear systems.
    """
    samples = design(recipe)
    if samples.empty:
        raise EishilError(f"{recipe_path}: population: there are no cells; give trajectories or snapshots")
    aged = AgedState(**{name: samples[name].to_numpy() for name in MODES})
    soc, temperature_degC = samples["soc"].to_numpy(), samples["temperature_degC"].to_numpy()
    with _told_of(recipe_path):
        state = snapshot(recipe.cell.parameter_set, aged, soc, temperature_degC, factors(samples))
        built = _solver(recipe, int((state.reason == "").sum()))
    feasible = np.flatnonzero(state.reason == "")
    frequency = np.asarray(recipe.impedance.frequency_Hz)
    work = _Work(state.inputs.take(feasible), frequency, out_dir / "work", _key(recipe, chunk_samples), chunk_samples)
    batch = _solve(built, work, workers, progress)
    z = np.full((len(samples), len(frequency)), np.nan, complex)
    z[feasible] = batch.z_ohm
    samples = _labelled(recipe, samples, state).assign(**_verdicts(state, feasible, batch, frequency))
    manifest = write_dataset(out_dir, samples, frequency, z, _manifest(recipe, samples), _backend(built))
    shutil.rmtree(work.directory, ignore_errors=True)
    return _figures(manifest)


def _key(recipe: Recipe, chunk_samples: int) -> str:
    made_from = [recipe.dataset_sha256(), json.dumps(versions()), str(chunk_samples), _code_sha256(SOURCES)]
    return hashlib.sha256("\0".join(made_from).encode()).hexdigest()[:16]


def _code_sha256(sources: Path) -> str:
    """SHA-256 of all code that shapes a chunk."""
    digest = hashlib.sha256()
    for path in sorted(path for part in ("cell/*.py", "cell/*.c", "dataset/*.py") for path in sources.glob(part)):
        digest.update(f"{path.name}\0{sha256_file(path)}\0".encode())
    return digest.hexdigest()


@contextmanager
def _told_of(recipe_path: Path) -> Iterator[None]:
    """Errors of a cell that cannot be built name the recipe and its key."""
    try:
        yield
    except EishilError as error:
        raise RecipeError(f"{recipe_path}: cell.parameter_set: {error}") from error


def _solve(built: ImpedanceSolver, work: _Work, workers: int, progress: Progress) -> Batch:
    """Solve what no whole chunk has, in `workers` processes, and put all chunks together."""
    chunks, total = work.chunks(), len(work.inputs)
    missing = [(part, path) for part, path in chunks if _read_chunk(path) is None]
    done = total - sum(len(work.inputs.take(part)) for part, _ in missing)
    compiled = "spectra" if built.linear.compiled else "without a C compiler"
    progress(STAGE, done, total, compiled if missing else "all chunks were there")
    if missing:
        work.directory.mkdir(parents=True, exist_ok=True)
        tasks = (joblib.delayed(_solve_chunk)(built, work.inputs.take(p), work.frequency_Hz, f) for p, f in missing)
        for solved in _parallel(workers, tasks):
            done += solved
            progress(STAGE, done, total, "spectra")
    return _concatenate([_finished_chunk(path) for _, path in chunks], len(work.frequency_Hz))


def _solver(recipe: Recipe, samples: int) -> ImpedanceSolver:
    constants = model_constants(set(recipe.cell.spreads()))
    built = solver(recipe.cell.parameter_set, recipe.cell.model, recipe.cell.mesh, constants)
    return ImpedanceSolver(built.model.compiled(), built.linear) if samples >= COMPILE_FROM_SAMPLES else built


def _backend(built: ImpedanceSolver) -> str:
    return "compiled" if built.linear.compiled else "numpy"


def _parallel(workers: int, tasks: Iterator[Any]) -> Iterator[int]:
    pool = joblib.Parallel(
        n_jobs=max(1, workers),
        backend="loky",
        return_as="generator_unordered",
        pre_dispatch="n_jobs",
        initializer=tie_worker,
        initargs=(os.getpid(),),
    )
    return iter(pool(tasks))


def _solve_chunk(built: ImpedanceSolver, inputs: CellInputs, frequency_Hz: NDArray[np.float64], path: Path) -> int:
    """Runs in a worker process: one chunk, one file."""
    batch = built.solve(inputs, frequency_Hz)
    buffer = io.BytesIO()
    np.savez(buffer, **vars(batch))
    content = buffer.getvalue()
    write_atomic(path, hashlib.sha256(content).digest() + content)
    return len(inputs)


def _read_chunk(path: Path) -> Batch | None:
    """A chunk, or None where there is none or it is not as it was written: it is solved again."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    size = hashlib.sha256().digest_size
    digest, content = data[:size], data[size:]
    if hashlib.sha256(content).digest() != digest:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return Batch(**arrays)


def _finished_chunk(path: Path) -> Batch:
    batch = _read_chunk(path)
    if batch is None:
        raise EishilError(f"{path}: this chunk was removed or changed while others were solved; start again")
    return batch


def _concatenate(batches: list[Batch], n_frequencies: int) -> Batch:
    if not batches:
        nothing = np.empty(0)
        return Batch(np.empty((0, n_frequencies), complex), nothing, nothing, nothing, np.empty(0, bool))
    return Batch(*(np.concatenate(parts) for parts in zip(*(vars(b).values() for b in batches), strict=True)))


def _labelled(recipe: Recipe, samples: pd.DataFrame, state: Snapshot) -> pd.DataFrame:
    labelled = samples.assign(
        capacity_Ah=state.capacity_Ah,
        soh=state.soh,
        theta_n=state.theta_n,
        theta_p=state.theta_p,
        model=recipe.cell.model,
        parameter_set=Path(recipe.cell.parameter_set).name,
        label_source=LABEL_SOURCE,
    )
    return with_remaining_life(labelled)


def _verdicts(
    state: Snapshot, feasible: NDArray[np.intp], batch: Batch, frequency_Hz: NDArray[np.float64]
) -> dict[str, Any]:
    """Columns of all samples from what was solved for the feasible ones."""
    size = len(state.reason)
    verdict = quality.judge(batch.z_ohm, frequency_Hz, batch.consistency_residual, batch.solve_residual)
    status = quality.solver_status(batch.pivoted, batch.solve_residual)
    return {
        "voltage_V": _spread(size, feasible, batch.voltage_V, np.nan),
        "reason": np.where(state.reason != "", state.reason, _spread(size, feasible, verdict, "")),
        "solver_status": _spread(size, feasible, status, "not_solved"),
        "consistency_residual": _spread(size, feasible, batch.consistency_residual, np.nan),
        "solve_residual": _spread(size, feasible, batch.solve_residual, np.nan),
    }


def _spread(size: int, positions: NDArray[np.intp], values: NDArray[Any], otherwise: Any) -> NDArray[Any]:
    column = np.full(size, otherwise, dtype=object if isinstance(otherwise, str) else float)
    column[positions] = values
    return column


def _manifest(recipe: Recipe, samples: pd.DataFrame) -> dict[str, Any]:
    worst = {name: float(samples[name].max()) for name in ("consistency_residual", "solve_residual")}
    filled_in = assumed(recipe.cell.parameter_set)
    return {
        "name": recipe.name,
        "recipe": {"name": recipe.name, "description": recipe.description} | recipe.dataset_sections(),
        "recipe_sha256": recipe.dataset_sha256(),
        "seed": recipe.seed,
        "versions": versions(),
        "counts": quality.count(samples),
        "largest": worst,
    } | ({"assumed_parameters": filled_in} if filled_in else {})


def _figures(manifest: dict[str, Any]) -> dict[str, Any]:
    counts = manifest["counts"].values()
    return {
        "cells": sum(count["cells"] for count in counts),
        "spectra": sum(count["spectra"] for count in counts),
        "masked_spectra": sum(count["masked"] for count in counts),
        "frequencies": len(manifest["frequency_Hz"]),
        **{f"largest_{name}": value for name, value in manifest["largest"].items()},
    }
