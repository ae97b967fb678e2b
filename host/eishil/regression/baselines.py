"""Classical baselines on a recipe's data set: chosen on validation cells, judged once on held-out cells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.inspection import permutation_importance
from sklearn.metrics import mean_absolute_error, r2_score

from eishil.dataset.design import SPLITS
from eishil.dataset.recipe import Recipe
from eishil.dataset.tables import Dataset
from eishil.errors import EishilError
from eishil.files import write_atomic
from eishil.filters.scores import rms
from eishil.progress import Progress
from eishil.regression.candidates import BACKENDS, MEAN, MOST_ROWS, Candidate, candidates, quiet_fit
from eishil.regression.inputs import Table, features, spectra

Floats = NDArray[np.float64]
LABELS = ("soh", "rul_cycles")
INPUTS = {"one spectrum": spectra, "its features": features}
IMPORTANCE_REPEATS, IMPORTANCE_ROWS = 3, 300


@dataclass(frozen=True)
class Fitted:
    """A backend with the settings that validation chose, fitted on training cells."""

    candidate: Candidate
    regressor: Any


@dataclass(frozen=True)
class Baselines:
    """`metrics`, `predictions` and `importance`, the tables that are written."""

    metrics: pd.DataFrame
    predictions: pd.DataFrame
    importance: pd.DataFrame

    def save(self, directory: Path) -> None:
        """Write `metrics.csv`, `predictions.csv` and `importance.csv`."""
        for name, table in vars(self).items():
            write_atomic(directory / f"{name}.csv", table.to_csv(index=False, float_format="%.7g"))


def baselines(recipe: Recipe, dataset: Dataset, progress: Progress) -> Baselines:
    """Every backend for every label and kind of input.

    Raises
    ------
    EishilError
        A split has no spectrum with that label.
    """
    parts = []
    wanted = [(label, inputs, backend) for label in LABELS for inputs in INPUTS for backend in (MEAN, *BACKENDS)]
    source = str(dataset.samples["label_source"].iloc[0])
    tables: dict[str, Table] = {}
    for done, (label, inputs, backend) in enumerate(wanted):
        progress("baselines", done, len(wanted), f"{backend} for {label} from {inputs}")
        if backend == MEAN:
            tables = {split: _table(recipe, dataset, split, label, inputs) for split in SPLITS}
        fitted = choose(backend, tables["train"], tables["validation"], recipe.seed % 2**32)
        common = {"label": label, "inputs": inputs, "backend": backend}
        parts.append(_judged(fitted, tables, common, source, recipe.seed % 2**32))
    progress("baselines", len(wanted), len(wanted))
    return Baselines(*(pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True)))


def choose(backend: str, train: Table, validation: Table, seed: int) -> Fitted:
    """The candidate with the smallest rms error on validation cells."""
    train = train.thinned(MOST_ROWS.get(backend, len(train.y)))
    fitted = []
    with quiet_fit():
        for candidate in candidates(backend):
            regressor = candidate.regressor(seed).fit(train.x, train.y)
            fitted.append((rms(regressor.predict(validation.x) - validation.y), Fitted(candidate, regressor)))
    return min(fitted, key=lambda one: one[0])[1]


def metrics(truth: Floats, prediction: Floats) -> dict[str, float]:
    """MAE, RMSE and the coefficient of determination."""
    return {
        "mae": float(mean_absolute_error(truth, prediction)),
        "rmse": rms(prediction - truth),
        "r2": float(r2_score(truth, prediction)),
    }


def _table(recipe: Recipe, dataset: Dataset, split: str, label: str, inputs: str) -> Table:
    table = INPUTS[inputs](dataset, split, label, recipe.measurement, recipe.seed)
    if len(table.y) < 2:
        raise EishilError(f"{split}: fewer than two spectra of trajectories have a label {label} that is not censored")
    return table


def _judged(
    fitted: Fitted, tables: dict[str, Table], common: dict[str, str], source: str, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    rows, predictions = [], pd.DataFrame()
    for split, table in tables.items():
        predicted = fitted.regressor.predict(table.x)
        about = {"split": split, "label_source": source, "cells": table.rows["cell_id"].nunique()}
        scores = metrics(table.y, predicted)
        rows.append(common | about | {"spectra": len(table.y), "settings": str(fitted.candidate)} | scores)
        if split == "test":
            truth = {"truth": table.y, "prediction": predicted, "error": predicted - table.y}
            predictions = table.rows.assign(**common, **truth)
    return pd.DataFrame(rows), predictions, _importance(fitted, tables["validation"], common, seed)


def _importance(fitted: Fitted, table: Table, common: dict[str, str], seed: int) -> pd.DataFrame:
    """How much the rms error on validation cells grows when one input is shuffled."""
    some = table.thinned(IMPORTANCE_ROWS)
    with quiet_fit():
        found = permutation_importance(
            fitted.regressor, some.x, some.y, scoring="neg_root_mean_squared_error",
            n_repeats=IMPORTANCE_REPEATS, random_state=seed,
        )  # fmt: skip
    increase = {"rmse_increase": found.importances_mean, "std": found.importances_std}
    return pd.DataFrame({"input": some.names, **increase}).assign(**common)
