"""Regressions on measured cells: a table of spectra of cells whose capacity was measured.

A CSV file (or gzip of one) with a row for each point and the columns `COLUMNS`. A cell is left out whole, or all cells
of one level of SOH: spectra of one cell on both sides of a split would be recognised, not understood, and `random
folds` shows by how much that flatters. Settings come from leaving cells out among the training cells (ridge), from the
training cells' own likelihood (Gaussian process), or are fixed beforehand (forest).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import KFold, LeaveOneGroupOut

from eishil.errors import RecipeError
from eishil.filters.scores import rms
from eishil.progress import Progress
from eishil.regression.candidates import MEAN, Candidate, quiet_fit

Floats = NDArray[np.float64]
COLUMNS = ("spec", "cell", "T_C", "soc_pct", "soh_actual_pct", "freq_hz", "re_ohm", "im_ohm")
HIGHEST_Hz = 1001.0  # above, the fixture's inductance and not the cell
EVERY = 3  # of 51 points up to 1 kHz
LEVEL = 0.05  # of SOH
ALL, ONE = "all spectra", "one spectrum"


@dataclass(frozen=True)
class MeasuredSpectra:
    """S spectra: x (S, n), what they were measured at (S, 2), SOH (S,) and cell (S,)."""

    x: Floats
    context: Floats
    soh: Floats
    cell: NDArray[np.int64]

    @property
    def cells(self) -> NDArray[np.int64]:
        """Cells, each once."""
        return np.unique(self.cell)


@dataclass(frozen=True)
class Regression:
    """One row's regression: `build` gives an estimator for training rows of these cells (N,); `inputs` is ALL or ONE
    of a cell's spectra.
    """

    name: str
    inputs: str
    build: Callable[[], Any]


@dataclass(frozen=True)
class MeasuredRow:
    """RMS error of SOH, cell by cell, of one regression under one way of leaving cells out."""

    regression: str
    inputs: str
    left_out: str
    rmse: float
    errors: dict[int, float]


def load(path: Path) -> MeasuredSpectra:
    """Read the table.

    Raises
    ------
    RecipeError
        The file is missing, has other columns or something else than numbers in them, its spectra have different
        frequencies, or its cells different numbers of spectra.
    """
    try:
        table = pd.read_csv(path)
    except FileNotFoundError:
        raise RecipeError(f"{path}: there is no such table of measured spectra") from None
    except (ValueError, OSError, EOFError) as error:
        raise RecipeError(f"{path}: this is no CSV table: {str(error).strip()}") from None
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise RecipeError(f"{path}: column {missing[0]} is missing; a table of measured spectra has {COLUMNS}")
    _require_numbers(path, table)
    table = table[table["freq_hz"] <= HIGHEST_Hz].sort_values(["spec", "freq_hz"])
    _require_cells(path, table)
    frequency = table.groupby("spec")["freq_hz"].apply(tuple)
    if frequency.nunique() != 1:
        raise RecipeError(f"{path}: spectra have different frequencies up to {HIGHEST_Hz:g} Hz")
    spectra, n = table.groupby("spec").first(), len(frequency.iloc[0])
    parts = [table[name].to_numpy().reshape(-1, n)[:, ::EVERY] for name in ("re_ohm", "im_ohm")]
    return MeasuredSpectra(
        x=np.concatenate(parts, axis=1),
        context=spectra[["T_C", "soc_pct"]].to_numpy(np.float64),
        soh=spectra["soh_actual_pct"].to_numpy() / 100,
        cell=spectra["cell"].to_numpy(),
    )


def _require_numbers(path: Path, table: pd.DataFrame) -> None:
    for name in COLUMNS:
        wrong = ~np.isfinite(pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64))
        if wrong.any():
            row = int(wrong.argmax())
            value = table[name].iloc[row]
            raise RecipeError(f"{path}: {name} in line {row + 2} is no finite number: {value!r}")  # line 1: header


def _require_cells(path: Path, table: pd.DataFrame) -> None:
    if table.empty:
        raise RecipeError(f"{path}: there is no point up to {HIGHEST_Hz:g} Hz")
    spectra = table.groupby("cell")["spec"].nunique()
    if len(spectra) < 2:
        raise RecipeError(f"{path}: these are spectra of one cell only; two or more are needed to leave one out")
    if spectra.nunique() != 1:
        few, many = spectra.idxmin(), spectra.idxmax()
        found = f"cell {few} has {spectra[few]}, cell {many} has {spectra[many]}"
        raise RecipeError(f"{path}: as many spectra of each cell are needed; {found}")


def stacked(spectra: MeasuredSpectra) -> MeasuredSpectra:
    """One row for each cell with all of its spectra side by side, in the order of temperature and state of charge."""
    order = np.lexsort((spectra.context[:, 1], spectra.context[:, 0], spectra.cell))
    cells = spectra.cells
    each = len(spectra.soh) // len(cells)
    first = order[::each]
    return MeasuredSpectra(
        spectra.x[order].reshape(len(cells), -1), np.empty((len(cells), 0)), spectra.soh[first], spectra.cell[first]
    )


def study(
    spectra: MeasuredSpectra, progress: Progress, regressions: Sequence[Regression] | None = None
) -> list[MeasuredRow]:
    """Every regression under every split; None is all of `REGRESSIONS`."""
    wanted = REGRESSIONS if regressions is None else regressions
    rows = []
    for done, regression in enumerate(wanted):
        progress("measured", done, len(wanted), f"{regression.name}, {regression.inputs}")
        data = spectra if regression.inputs == ONE else stacked(spectra)
        groups = {"one cell": data.cell, "one level of SOH": np.round(data.soh / LEVEL).astype(np.int64)}
        for left_out, group in groups.items():
            rows.append(_row(regression, left_out, data, LeaveOneGroupOut().split(data.x, groups=group)))
        if regression.inputs == ONE:
            folds = KFold(len(data.cells), shuffle=True, random_state=0).split(data.x)
            rows.append(_row(regression, "random folds (leaks)", data, folds))
    progress("measured", len(wanted), len(wanted))
    return rows


def _row(regression: Regression, left_out: str, data: MeasuredSpectra, folds: Any) -> MeasuredRow:
    x = np.concatenate([data.x, data.context], axis=1)
    predicted = np.full(len(data.soh), np.nan)
    with quiet_fit():
        for train, test in folds:
            fitted = regression.build().fit(x[train], data.soh[train])
            predicted[test] = fitted.predict(x[test])
    error = pd.Series(predicted - data.soh)
    by_cell = error.groupby(data.cell).mean()  # a cell's estimate is the mean of those from its spectra
    errors = {int(cell): float(one) for cell, one in by_cell.items()}
    return MeasuredRow(regression.name, regression.inputs, left_out, rms(by_cell.to_numpy()), errors)


def _ridge() -> Any:
    return Candidate("ridge", {}).regressor(0)


def _process() -> Any:
    return Candidate("gaussian_process", {"nu": float("inf")}).regressor(0)


def _forest() -> Any:
    return Candidate("random_forest", {"max_features": 0.33, "min_samples_leaf": 1}).regressor(0)


def _mean() -> Any:
    return Candidate(MEAN, {}).regressor(0)


REGRESSIONS = (
    Regression("mean of the training cells", ALL, _mean),
    Regression("ridge", ALL, _ridge),
    Regression("Gaussian process", ALL, _process),
    Regression("random forest", ALL, _forest),
    Regression("Gaussian process", ONE, _process),
    Regression("random forest", ONE, _forest),
)
