"""How a cell is cut into control volumes."""

from __future__ import annotations

from dataclasses import dataclass

from eishil.errors import EishilError


@dataclass(frozen=True)
class Mesh:
    """Points of the through-cell and radial meshes; a radial mesh is uniform or graded towards the surface."""

    x_n: int
    x_s: int
    x_p: int
    r: int
    radial_stretch: float | None = None
    description: str = ""


MESHES = {
    "default": Mesh(40, 10, 40, 20, 6.0, "graded radial mesh; DFN, 10 mHz to 1 kHz: within 0.3 % of a fine mesh"),
    "pybamm": Mesh(20, 20, 20, 20, None, "PyBaMM's own, uniform; DFN, 10 mHz to 1 kHz: within 5 % of a fine mesh"),
    "fine": Mesh(80, 80, 80, 60, 6.0, "the reference that the others' errors are measured against"),
}


def named_mesh(mesh: str | Mesh) -> Mesh:
    """A mesh by its name; one that is given as such is as good."""
    if isinstance(mesh, Mesh):
        return mesh
    if mesh not in MESHES:
        raise EishilError(f"mesh {mesh!r} is unknown; there are {', '.join(MESHES)}")
    return MESHES[mesh]
