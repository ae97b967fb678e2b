"""A run as it lies on disk: believed only where results and table belong together, and judged anew."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from eishil.errors import EishilError
from eishil.files import sha256_file
from eishil_bench.runs import compare, run_table
from eishil_bench.runs.limits import Limit
from eishil_bench.runs.measure import limit_figures, verdict
from eishil_bench.runs.results import Comparison, Results

_RELATIVE = 1e-9  # what another version of numpy may sum differently
_REMEDY = "`eishil run RECIPE` writes both anew"


def load(path: Path, bounds: dict[str, Limit]) -> tuple[Results, pd.DataFrame]:
    """A `results.json` with its table. Checks and verdict are those that table and `bounds` give now.

    Raises
    ------
    EishilError
        A file is missing or damaged, the table is another one than was measured, or a figure does not follow from it.
    """
    results = load_results(path)
    found = table_path(path, results)
    if not found.is_file():
        raise EishilError(f"{found} is missing; {_REMEDY}")
    if sha256_file(found) != results.run_table_sha256:
        raise EishilError(f"{found} is not the table that {path} was made from; {_REMEDY}")
    table = run_table.load(found)
    try:
        names = [state.name for state in results.states]
        modes = [mode.name for mode in results.modes]
        comparison = compare.compare(table, names, modes, counted=results.clock != "none")
    except (KeyError, IndexError, ValueError, TypeError):
        raise EishilError(f"{found} is no table of a run; {_REMEDY}") from None
    stored, computed = _plain(results), _plain(comparison)
    for figure in Comparison.model_fields:
        if not _same(stored[figure], computed[figure]):
            raise EishilError(f"{path}: {figure} does not follow from {found}; {_REMEDY}")
    figures = limit_figures(comparison, results.masked_spectra, results.link.lost)
    return results.model_copy(update=verdict(figures, bounds)), table


def load_results(path: Path) -> Results:
    """EishilError where the file is missing or malformed."""
    if not path.is_file():
        raise EishilError(f"{path} is missing; `eishil run RECIPE` writes it")
    return Results.load(path)


def table_path(path: Path, results: Results) -> Path:
    """Where the table of a results file lies; EishilError where that is not in or below the file's folder."""
    found = path.parent / results.run_table
    if not found.resolve().is_relative_to(path.parent.resolve()):
        raise EishilError(f"{path}: run_table {results.run_table!r} is outside of its folder; {_REMEDY}")
    return found


def _plain(figures: Comparison) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(figures.model_dump_json(include=set(Comparison.model_fields)))
    return plain


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_RELATIVE, abs_tol=1e-15)
    return bool(one == other)
