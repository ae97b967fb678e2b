"""Measure how far each model is, on each mesh, from a fine one: remakes `convergence.csv`.

python -m eishil.cell.convergence        some minutes

The error is the largest relative deviation of Z from the finest mesh, over 1 mHz to `up_to_Hz` and over eight random
aged cells of Chen2020 between -20 and 60 degC and SOC 0.05 and 0.95. The finest mesh's own error is of the size of the
last step towards it and not in the figures.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import astuple

import numpy as np
from numpy.typing import NDArray

from eishil.cell.ageing import AgedState, snapshot
from eishil.cell.impedance import planned
from eishil.cell.linearise import CellInputs, differentiate
from eishil.cell.mesh import MESHES, TABLE, Mesh
from eishil.cell.parameters import INPUTS, discretised
from eishil.files import write_atomic

PARAMETER_SET = "Chen2020"
UP_TO_HZ = (1.0, 10.0, 100.0, 1e3, 1e4)
FREQUENCY_HZ = np.logspace(-3, 4, 29)  # four a decade, and 0 and 1 of each
STRETCH = 6.0
THROUGH = ((10, 5, 10), (20, 10, 20), (30, 10, 30), (40, 10, 40), (60, 20, 60))
RADIAL = (10, 15, 20, 30)
FINEST = {
    "SPM": Mesh(3, 3, 3, 120, STRETCH),
    "SPMe": Mesh(120, 60, 120, 120, STRETCH),
    "DFN": Mesh(100, 50, 100, 60, STRETCH),
}


def candidates(model: str) -> list[Mesh]:
    """Meshes that are measured; SPM has nothing through the cell to resolve."""
    through = ((3, 3, 3),) if model == "SPM" else THROUGH
    return [*(Mesh(*x, r, STRETCH) for x in through for r in RADIAL), MESHES["default"], MESHES["pybamm"]]


def cells(count: int = 8, seed: int = 1) -> CellInputs:
    """Feasible aged cells over the range of operating points."""
    rng = np.random.default_rng(seed)
    low, high = np.array([0.1, 0.0, 0.0, 5.0, 0.0]), np.array([0.3, 0.1, 0.2, 100.0, 3.0])
    aged = AgedState(*(low[:, None] + (high - low)[:, None] * rng.random((5, 3 * count))))
    state = snapshot(PARAMETER_SET, aged, rng.uniform(0.05, 0.95, 3 * count), rng.uniform(-20.0, 60.0, 3 * count))
    return state.inputs.take(np.flatnonzero(state.reason == "")[:count])


def measure(model: str, meshes: list[Mesh], finest: Mesh, inputs: CellInputs) -> Iterator[tuple[object, ...]]:
    """Rows of the table."""
    reference, _ = _impedance(model, finest, inputs)
    for mesh in dict.fromkeys(meshes):
        z, states = _impedance(model, mesh, inputs)
        error = np.abs(z / reference - 1).max(axis=0)
        for limit_Hz in UP_TO_HZ:
            worst = error[limit_Hz * 1.001 >= FREQUENCY_HZ].max()
            yield (model, *astuple(mesh), states, f"{limit_Hz:g}", f"{worst:.3e}")


def _impedance(model: str, mesh: Mesh, inputs: CellInputs) -> tuple[NDArray[np.complex128], int]:
    # Not through `solver`, which keeps what it builds.
    built = planned(differentiate(discretised(PARAMETER_SET, model, mesh), tuple(INPUTS.values())))
    return built.solve(inputs, FREQUENCY_HZ).z_ohm, built.model.pattern.n


def main() -> None:
    """Write the table."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("model", "x_n", "x_s", "x_p", "r", "radial_stretch", "states", "up_to_Hz", "error"))
    inputs = cells()
    for model, finest in FINEST.items():
        for row in measure(model, candidates(model), finest, inputs):
            writer.writerow(row)
            print(*row, flush=True)
    write_atomic(TABLE, text.getvalue())


if __name__ == "__main__":
    main()
