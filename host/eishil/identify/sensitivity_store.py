"""Sensitivities along the trajectories of a data set, kept on disk: they cost a dozen spectra each.

One file per trajectory, whose name carries the hash of the model's code, the cell and the samples, so that another
recipe or code never picks it up and an interrupted run goes on where it was.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eishil.cell.ageing import LABEL_SOURCE
from eishil.cell.impedance import ImpedanceSolver, solver
from eishil.dataset import pools
from eishil.dataset.cell_recipe import CellRecipe
from eishil.dataset.states import has_porosity, solver_constants
from eishil.dataset.tables import Dataset
from eishil.errors import EishilError
from eishil.files import sha256_file, write_atomic
from eishil.identify.sensitivities import Sensitivities, sensitivities
from eishil.progress import Progress
from eishil.versions import versions

Floats = NDArray[np.float64]
SOURCES = Path(__file__).resolve().parents[1]
CODE = ("cell/*.py", "cell/*.[ch]", "cell/*.csv", "identify/sensitivities.py")


@dataclass(frozen=True)
class TrajectorySensitivities:
    """One cell: cycles (K,) of all its steps, which of them have a spectrum (K,), and the derivatives there (K)."""

    cell_id: str
    cycles: Floats
    measured: NDArray[np.bool_]
    here: Sensitivities

    def at(self, step: int) -> TrajectorySensitivities:
        """One step as a trajectory of its own."""
        only = slice(step, step + 1)
        return TrajectorySensitivities(self.cell_id, self.cycles[only], self.measured[only], self.here.take(only))


@dataclass(frozen=True)
class _Task:
    cell_id: str
    samples: pd.DataFrame
    path: Path


def trajectory_sensitivities(
    cell: CellRecipe,
    dataset: Dataset,
    frequency_Hz: Floats,
    directory: Path,
    workers: int,
    progress: Progress,
) -> list[TrajectorySensitivities]:
    """Sensitivities of every trajectory in `dataset`, from `directory` where they are there already.

    Raises
    ------
    EishilError
        There is no trajectory, or a cell is no snapshot: only those are functions of the modes.
    """
    trajectories = list(dataset.trajectories())
    if not trajectories:
        raise EishilError("the data set has no trajectory of this split: population.SPLIT.trajectories gives some")
    sources = set(dataset.samples["label_source"])
    if sources != {LABEL_SOURCE}:
        raise EishilError(f"sensitivities are those of snapshots, not of cells with labels from {', '.join(sources)}")
    key = _key(cell, frequency_Hz)
    tasks = [_Task(name, life.samples, directory / f"{name}-{_hash(key, life)}.npz") for name, life in trajectories]
    missing = [task for task in tasks if _read(task.path) is None]
    done = len(tasks) - len(missing)
    progress("identify", done, len(tasks), "trajectories")
    for _ in _solve(cell, missing, frequency_Hz, workers):
        done += 1
        progress("identify", done, len(tasks), "trajectories")
    return [_finished(task, life) for task, (_, life) in zip(tasks, trajectories, strict=True)]


def _solve(cell: CellRecipe, tasks: list[_Task], frequency_Hz: Floats, workers: int) -> Iterator[tuple[_Task, None]]:
    if not tasks:
        return iter(())
    constants = solver_constants(cell, pores_fill=any(has_porosity(task.samples) for task in tasks))
    built = solver(cell.parameter_set, cell.model, cell.points(), constants)
    return pools.local(partial(_solve_one, built, cell.parameter_set, frequency_Hz), tasks, workers)


def _solve_one(built: ImpedanceSolver, parameter_set: str, frequency_Hz: Floats, task: _Task) -> None:
    """Runs in a worker process: one trajectory, one file."""
    buffer = io.BytesIO()
    np.savez(buffer, **vars(sensitivities(built, parameter_set, task.samples, frequency_Hz)))
    write_atomic(task.path, buffer.getvalue())


def _read(path: Path) -> Sensitivities | None:
    """A file, or None where there is none or it is damaged (its arrays carry checksums): it is made again."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Sensitivities(**arrays)
    except (OSError, ValueError, TypeError, zipfile.BadZipFile):
        return None


def _finished(task: _Task, life: Dataset) -> TrajectorySensitivities:
    here = _read(task.path)
    assert here is not None, f"{task.path} has just been written"
    measured = np.isfinite(np.column_stack([life.z_ohm, here.dz.sum(axis=(1, 2))])).all(axis=1)
    return TrajectorySensitivities(task.cell_id, life.samples["cycles"].to_numpy(np.float64), measured, here)


def _key(cell: CellRecipe, frequency_Hz: Floats) -> str:
    code = {path.name: sha256_file(path) for pattern in CODE for path in sorted(SOURCES.glob(pattern))}
    return json.dumps([cell.model_dump(mode="json"), frequency_Hz.tolist(), code, versions()])


def _hash(key: str, life: Dataset) -> str:
    rows = life.samples.to_json(double_precision=15)
    return hashlib.sha256(f"{key}\0{rows}".encode()).hexdigest()[:16]
