"""How far from `pybamm.EISSimulation` and how much faster: the figures of docs/dataset.md.

python -m eishil.cell.benchmark [--spectra 50]

Both sides keep what they built and receive the cells' parameters as inputs, on the same mesh. CPU seconds, medians of
three runs; building is not counted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import pybamm
from numpy.typing import NDArray

from eishil.cell.ageing import AgedState, snapshot
from eishil.cell.impedance import ImpedanceSolver, solver
from eishil.cell.linearise import CellInputs
from eishil.cell.mesh import MESHES
from eishil.cell.parameters import INPUTS, simulation

FREQUENCY_HZ = np.logspace(-3, 4, 60)
RUNS = 3


def random_cells(count: int, seed: int = 1) -> CellInputs:
    """Feasible aged cells of Chen2020 over SOC and temperature."""
    rng = np.random.default_rng(seed)
    low, high = np.array([0.1, 0.0, 0.0, 5.0, 0.0]), np.array([0.3, 0.1, 0.2, 100.0, 3.0])
    aged = AgedState(*(low[:, None] + (high - low)[:, None] * rng.random((5, count))))
    state = snapshot("Chen2020", aged, rng.uniform(0.1, 0.9, count), rng.uniform(10.0, 40.0, count))
    return state.inputs.take(state.reason == "")


def reused_pybamm(model: str, mesh: str, cells: CellInputs) -> Callable[[], NDArray[np.complex128]]:
    """`EISSimulation`, built once, solved for every cell."""
    built = simulation(pybamm.ParameterValues("Chen2020"), model, MESHES[mesh])
    inputs = [dict(zip(INPUTS.values(), row, strict=True)) for row in cells.stacked().tolist()]
    return lambda: np.array([built.solve(FREQUENCY_HZ, inputs=one).impedance for one in inputs])


def cpu_ms(function: Callable[[], Any], count: int) -> float:
    """Milliseconds of processor time for one of `count` spectra, median of `RUNS`."""
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return 1e3 * median(times) / count


def main() -> None:
    """Print one line for each model and mesh."""
    parser = argparse.ArgumentParser(description="eishil against a reused pybamm.EISSimulation, 60 frequencies.")
    parser.add_argument("--spectra", type=int, default=50)
    cells = random_cells(parser.parse_args().spectra)
    print("model mesh     states  pybamm_ms  eishil_ms  ratio  compiled_ms  ratio  largest_relative_deviation")
    for model, mesh in (("SPM", "pybamm"), ("DFN", "pybamm"), ("DFN", "default")):
        theirs, ours = reused_pybamm(model, mesh, cells), solver("Chen2020", model, mesh)
        compiled = ImpedanceSolver(ours.model.compiled(), ours.linear)
        deviation = np.abs(ours.solve(cells, FREQUENCY_HZ).z_ohm / theirs() - 1).max()
        slow = cpu_ms(theirs, len(cells))
        fast, faster = (cpu_ms(partial(s.solve, cells, FREQUENCY_HZ), len(cells)) for s in (ours, compiled))
        print(
            f"{model:5s} {mesh:8s} {ours.model.pattern.n:6d} {slow:10.2f} {fast:10.3f} {slow / fast:6.1f} "
            f"{faster:12.3f} {slow / faster:6.1f}  {deviation:.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
