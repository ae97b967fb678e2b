"""Gates: a spectrum that fails one is masked with the reason and counted. Nothing is repaired or imputed."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eishil.cell.reasons import REASONS as CELL_REASONS
from eishil.dataset import kramers_kronig
from eishil.errors import EishilError

# Reasons in the order in which they are looked for, and what each means.
REASONS = {
    **CELL_REASONS,
    "consistency_residual": "the linearisation point is not at rest in equilibrium: |F(y0)| above its limit",
    "solve_residual": "the linear systems were not solved, not even with pivoting",
    "not_finite": "an impedance is not a finite number",
    "active": "Re Z <= 0 at some frequency: a cell at rest is passive",
    "inductive": "Im Z >= 0 at some frequency: these models store no magnetic energy",
    "not_relaxing": "Re Z rises with frequency: relaxation cannot do that",
    "kramers_kronig": "no linear, causal, stable system has such a spectrum, where the frequencies allow to tell",
}
CONSISTENCY_LIMIT = 1e-6  # in PyBaMM's scaled units; DFN and SPM at rest give 1e-11, growing SEI would give 6e-5
SOLVE_LIMIT = 1e-9  # componentwise backward error; the static elimination gives 1e-15
RISE_LIMIT = 1e-9  # relative
KRAMERS_KRONIG_LIMIT = 0.03  # relative; `first_light` has 0.0025 at most


def judge(
    z_ohm: NDArray[np.complex128],
    frequency_Hz: NDArray[np.float64],
    consistency_residual: NDArray[np.float64],
    solve_residual: NDArray[np.float64],
) -> NDArray[np.str_]:
    """First reason (S,) against each spectrum of z_ohm (S, F), "" where there is none."""
    order = np.argsort(frequency_Hz)
    z, f = z_ohm[:, order], frequency_Hz[order]
    with np.errstate(invalid="ignore"):
        failed = {
            "consistency_residual": ~(consistency_residual <= CONSISTENCY_LIMIT),
            "solve_residual": ~(solve_residual <= SOLVE_LIMIT),
            "not_finite": ~np.isfinite(z).all(axis=1),
            "active": ~(z.real > 0).all(axis=1),
            "inductive": ~(z.imag < 0).all(axis=1),
            "not_relaxing": ~(np.diff(z.real, axis=1) <= RISE_LIMIT * np.abs(z[:, :-1])).all(axis=1),
        }
        if kramers_kronig.applies(f):
            failed["kramers_kronig"] = ~(kramers_kronig.residual(z, f) <= KRAMERS_KRONIG_LIMIT)
    return np.select(list(failed.values()), list(failed), default="")


def solver_status(pivoted: NDArray[np.bool_], solve_residual: NDArray[np.float64]) -> NDArray[np.str_]:
    """How each sample (S,) was solved: "static", "pivoted" or "failed"."""
    return np.where(~(solve_residual <= SOLVE_LIMIT), "failed", np.where(pivoted, "pivoted", "static"))


def check_identities(samples: pd.DataFrame) -> None:
    """Every sample is there once and every cell in one split.

    Raises
    ------
    EishilError
        Naming the sample or cell: an estimator judged on such data would look better than it is.
    """
    twice = samples["sample_id"][samples["sample_id"].duplicated()]
    if len(twice):
        raise EishilError(f"sample {twice.iloc[0]} is there more than once; a sample may be there once")
    splits = samples.groupby("cell_id", sort=False)["split"].nunique()
    leaking = splits.index[splits > 1]
    if len(leaking):
        raise EishilError(
            f"cell {leaking[0]} is in more than one split; a cell may be in one of train, validation, test"
        )


class Census:
    """Counts the samples of a data set that comes in pieces; a cell is in one piece as a whole."""

    def __init__(self) -> None:
        self._cells: Counter[str] = Counter()
        self._reasons: dict[str, Counter[str]] = {}
        self._largest = dict.fromkeys(("consistency_residual", "solve_residual"), math.nan)

    def add(self, samples: pd.DataFrame) -> None:
        """One more piece."""
        for split, rows in samples.groupby("split", sort=False):
            self._cells[str(split)] += int(rows["cell_id"].nunique())
            self._reasons.setdefault(str(split), Counter()).update(rows["reason"])
        for name, before in self._largest.items():
            self._largest[name] = float(np.fmax(before, samples[name].max()))

    def counts(self) -> dict[str, dict[str, Any]]:
        """Cells, spectra and masked spectra of each split; reasons that masked none are left out."""
        return {split: {"cells": self._cells[split]} | _counts(found) for split, found in self._reasons.items()}

    def nothing_solved(self) -> str:
        """What is wrong with a data set without a single spectrum; empty where there is one."""
        reasons = sum(self._reasons.values(), Counter())
        if reasons[""]:
            return ""
        (reason, count), *_ = reasons.most_common(1)
        meaning = REASONS.get(reason, "no such state can be solved")
        return f"none of {reasons.total()} samples has a spectrum; {count} are masked as {reason} ({meaning})"

    def largest(self) -> dict[str, float | None]:
        """Largest residuals; None where nothing was solved."""
        return {name: None if math.isnan(value) else value for name, value in self._largest.items()}


def _counts(reasons: Counter[str]) -> dict[str, Any]:
    return {
        "spectra": reasons.total(),
        "masked": reasons.total() - reasons[""],
        "masked_by_reason": {reason: reasons[reason] for reason in REASONS if reasons[reason]},
    }
