"""How a cell is cut into control volumes, and the error that this makes.

The errors in `convergence.csv` were measured by `python -m eishil.cell.convergence` (what, on which cells: see there).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from eishil.errors import EishilError

TABLE = Path(__file__).with_name("convergence.csv")


@dataclass(frozen=True)
class Mesh:
    """Points of the through-cell and radial meshes; a radial mesh is uniform or graded towards the surface."""

    x_n: int
    x_s: int
    x_p: int
    r: int
    radial_stretch: float | None = None


MESHES = {
    "default": Mesh(40, 10, 40, 20, 6.0),
    "pybamm": Mesh(20, 20, 20, 20, None),  # PyBaMM's own
    "fine": Mesh(80, 80, 80, 60, 6.0),
    "radial": Mesh(4, 3, 4, 60, None),  # to age SPM and SPMe on: docs/ageing.md has its error
}


@dataclass(frozen=True)
class MeshError:
    """Largest relative error of Z up to a frequency, as a model has it on a mesh with a number of states."""

    model: str
    mesh: Mesh
    states: int
    up_to_Hz: float
    error: float


def named_mesh(mesh: str | Mesh) -> Mesh:
    """A mesh by its name; one that is given as such is as good."""
    if isinstance(mesh, Mesh):
        return mesh
    if mesh not in MESHES:
        raise EishilError(f"mesh {mesh!r} is unknown; there are {', '.join(MESHES)}")
    return MESHES[mesh]


def mesh_of_accuracy(model: str, accuracy: float, up_to_Hz: float) -> Mesh:
    """The mesh with fewest states on which a model is as accurate as asked for.

    Parameters
    ----------
    accuracy
        Largest relative error of Z.
    up_to_Hz
        The highest frequency for which it has to hold.

    Raises
    ------
    EishilError
        No mesh of the table is; the sentence tells the best one's error.
    """
    rows = [row for row in measured_errors() if row.model == model and row.up_to_Hz >= up_to_Hz]
    if not rows:
        highest_Hz = max(row.up_to_Hz for row in measured_errors())
        raise EishilError(f"accuracy is known up to {highest_Hz:g} Hz, not {up_to_Hz:g}; name a mesh instead")
    good = [row for row in rows if row.error <= accuracy]
    if not good:
        best = min(row.error for row in rows)
        raise EishilError(
            f"no measured mesh gives {model} an accuracy of {accuracy:g} up to {up_to_Hz:g} Hz; the best has {best:.2g}"
        )
    return min(good, key=lambda row: row.states).mesh


def mesh_error(model: str, mesh: Mesh, up_to_Hz: float) -> MeshError | None:
    """What was measured for a mesh up to the next frequency of the table; None where nothing was."""
    rows = [row for row in measured_errors() if (row.model, row.mesh) == (model, mesh) and row.up_to_Hz >= up_to_Hz]
    return min(rows, key=lambda row: row.up_to_Hz, default=None)


@cache
def measured_errors() -> tuple[MeshError, ...]:
    """The table."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(_row(fields) for fields in csv.DictReader(file))


def _row(fields: dict[str, str]) -> MeshError:
    x_n, x_s, x_p, r = (int(fields[name]) for name in ("x_n", "x_s", "x_p", "r"))
    stretch = float(fields["radial_stretch"]) if fields["radial_stretch"] else None
    about = int(fields["states"]), float(fields["up_to_Hz"]), float(fields["error"])
    return MeshError(fields["model"], Mesh(x_n, x_s, x_p, r, stretch), *about)
