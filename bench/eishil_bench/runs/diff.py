"""Two runs side by side: accuracy, counts, sizes, and whether a change is larger than is allowed."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eishil.errors import EishilError
from eishil.files import write_atomic
from eishil_bench.report.combined import same_bits
from eishil_bench.runs import run_table
from eishil_bench.runs.results import Results
from eishil_bench.runs.stored_run import table_path

_GATE = re.compile(r"(?P<figure>[\w.]+)=(?P<bound>\d+(\.\d*)?([eE][-+]?\d+)?)(?P<percent>%?)")
_IDENTITY = ("recipe", "target", "board", "clock", "model_id", "build_id", "wire_digest")
_NO_FIGURES = ("schema_version", "core_clock_Hz", "passed", "checks", "frequency_Hz", "worst_cells", "soh_bands")


@dataclass(frozen=True)
class Change:
    """One figure in both runs; `relative` to the first, None where that is 0 or a figure is missing."""

    figure: str
    first: float | None
    second: float | None

    @property
    def absolute(self) -> float | None:
        return None if self.first is None or self.second is None else self.second - self.first

    @property
    def relative(self) -> float | None:
        return None if self.absolute is None or not self.first else self.absolute / abs(self.first)


@dataclass(frozen=True)
class Gate:
    """The most that a figure may rise (`sign` 1) or fall (-1): relative or in the figure's own unit, inclusive."""

    figure: str
    bound: float
    relative: bool
    sign: int

    @classmethod
    def parse(cls, text: str, sign: int) -> Gate:
        """`count_per_step.median=2%` or `soh_rmse_device=0.001`; EishilError where it is neither."""
        match = _GATE.fullmatch(text)
        if match is None:
            raise EishilError(f"{text!r} should be FIGURE=2% or FIGURE=0.001, as in count_per_step.median=2%")
        percent = bool(match["percent"])
        return cls(match["figure"], float(match["bound"]) / (100 if percent else 1), percent, sign)

    def keeps(self, change: Change) -> bool:
        """A figure that is missing or not a number is not kept; one that rises from 0 has risen by more than any %."""
        moved = change.absolute if not self.relative or change.absolute == 0 else change.relative
        if moved is None and change.absolute is not None:
            moved = math.copysign(math.inf, change.absolute)
        return moved is not None and self.sign * moved <= self.bound

    def sentence(self, change: Change) -> str:
        """A missed gate in words."""
        bound = f"{100 * self.bound:g}%" if self.relative else f"{self.bound:g}"
        verb = "rise" if self.sign > 0 else "fall"
        return (
            f"{self.figure} may {verb} by {bound} at most and went from {_number(change.first)} to "
            f"{_number(change.second)}{_percent(change)}"
        )


@dataclass(frozen=True)
class Difference:
    """What two runs differ in. `same_estimates`: bit for bit, None where a table is not there."""

    identity: dict[str, tuple[str, str]]
    changes: dict[str, Change]
    same_estimates: bool | None
    missed: list[str]

    @property
    def passed(self) -> bool:
        return not self.missed

    def to_json(self) -> str:
        """For other programs."""
        figures = {
            name: {**asdict(change), "absolute": change.absolute, "relative": change.relative}
            for name, change in self.changes.items()
        }
        document = {
            "differs": self.identity,
            "same_estimates": self.same_estimates,
            "figures": figures,
            "missed": self.missed,
            "passed": self.passed,
        }
        return json.dumps(document, indent=1) + "\n"


def diff(first: Path, second: Path, gates: Sequence[Gate]) -> Difference:
    """Compare two runs, each a `results.json` or the folder of one.

    Raises
    ------
    EishilError
        A run is missing or damaged, a gate names no figure, or counts of different clocks are to be compared.
    """
    paths = [_results_path(path) for path in (first, second)]
    runs = [Results.load(path) for path in paths]
    one, other = (figures(run) for run in runs)
    changes = {name: Change(name, one.get(name), other.get(name)) for name in dict.fromkeys((*one, *other))}
    identity = {
        name: (str(getattr(runs[0], name)), str(getattr(runs[1], name)))
        for name in _IDENTITY
        if getattr(runs[0], name) != getattr(runs[1], name)
    }
    for gate in gates:
        _check_gate(gate, changes, identity)
    missed = [gate.sentence(changes[gate.figure]) for gate in gates if not gate.keeps(changes[gate.figure])]
    return Difference(identity, changes, _same_estimates(paths, runs), missed)


def save(difference: Difference, path: Path) -> None:
    """Write the comparison for other programs, whole or not at all."""
    write_atomic(path, difference.to_json())


def figures(results: Results) -> dict[str, float]:
    """Every number of a run by its dotted name in results.json; states by their names."""
    document = results.model_dump(exclude=set(_NO_FIGURES))
    document["states"] = {state["name"]: state for state in document["states"]}
    return dict(_numbers("", document))


def _numbers(prefix: str, value: object) -> list[tuple[str, float]]:
    if isinstance(value, Mapping):
        return [pair for name, inner in value.items() for pair in _numbers(f"{prefix}.{name}".lstrip("."), inner)]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [(prefix, float(value))]
    return []


def _check_gate(gate: Gate, changes: Mapping[str, Change], identity: Mapping[str, Any]) -> None:
    if gate.figure not in changes:
        near = difflib.get_close_matches(gate.figure, changes, n=3, cutoff=0.4)
        raise EishilError(f"{gate.figure} is no figure of results.json; near it are {', '.join(near) or 'none'}")
    if gate.figure.startswith("count_per_step") and "clock" in identity:
        counted = " and ".join(identity["clock"])
        raise EishilError(f"{gate.figure}: the runs count {counted}, which cannot be held against each other")


def _results_path(path: Path) -> Path:
    found = path / "results.json" if path.is_dir() else path
    if not found.is_file():
        raise EishilError(f"{found} is missing; `eishil run RECIPE` writes it")
    return found


def _same_estimates(paths: Sequence[Path], runs: Sequence[Results]) -> bool | None:
    tables = [table_path(path, run) for path, run in zip(paths, runs, strict=True)]
    if not all(table.is_file() for table in tables):
        return None
    one, other = (run_table.load(table) for table in tables)
    return len(one) == len(other) and same_bits(one, other)


def _number(value: float | None) -> str:
    return "missing" if value is None else f"{value:.6g}"


def _percent(change: Change) -> str:
    return "" if change.relative is None else f" ({change.relative:+.2%})"
