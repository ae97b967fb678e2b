"""What shortcuts in an ageing simulation cost, as it was measured.

`ageing_error.csv` was made by `python -m eishil.cell.ageing_convergence` (what, on which cell: see there).
"""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("ageing_error.csv")


@dataclass(frozen=True)
class KnownError:
    """How far SOH is from the reference's after `cycles`, with one setting of `study` (a field of `Shortcuts`)."""

    study: str
    setting: str
    reference: str
    measured_on: str
    cycles: int
    soh: float
    soh_error: float


@dataclass(frozen=True)
class Shortcuts:
    """What a simulation saves time by: settings as the table names them; None where there is no such thing."""

    rate_scaling: str
    mesh: str
    model: str
    averaging_s: str | None = None


def known_errors(shortcuts: Shortcuts) -> dict[str, Any]:
    """Study -> setting and what was measured of it; `soh_error` is None for a setting that was not measured."""
    found: dict[str, Any] = {}
    for study, setting in asdict(shortcuts).items():
        if setting is not None:
            rows = [row for row in measured_errors() if (row.study, row.setting) == (study, setting)]
            found[study] = _told(rows[0]) if rows else {"setting": setting, "soh_error": None}
    return found


def _told(row: KnownError) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name not in ("study", "soh")}


@cache
def measured_errors() -> tuple[KnownError, ...]:
    """The table."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(_row(fields) for fields in csv.DictReader(file))


def _row(fields: dict[str, str]) -> KnownError:
    numbers = int(fields["cycles"]), float(fields["soh"]), float(fields["soh_error"])
    return KnownError(fields["study"], fields["setting"], fields["reference"], fields["measured_on"], *numbers)
