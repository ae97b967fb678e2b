"""How fast spectra are made, from ageing modes to judged impedances, and how near they are: `eishil bench impedance`.

All sides of a ratio solve the same cells at the same 60 frequencies on the same mesh, in one run; what can be built
once is built before. Times are CPU times of one thread: those of a linear algebra library would go on counting while
they wait for the next product.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from eishil.cell.ageing import AgedState, Snapshot, snapshot
from eishil.cell.impedance import Batch, ImpedanceSolver, solver
from eishil.cell.linearise import CellInputs
from eishil.cell.parameters import MODELS
from eishil.cell.reference import pybammeis, reused_simulation
from eishil.cell.static_lu import pivoted_impedance
from eishil.dataset import quality
from eishil.dataset.memory_benchmark import peak_memory
from eishil.progress import Progress
from eishil.versions import versions

PARAMETER_SET, MESH = "Chen2020", "default"
FREQUENCY_HZ = np.logspace(-3, 4, 60)
RUNS = 5
OTHERS_SPECTRA = 10  # of a side that takes 100 times as long
PIVOTED_SPECTRA = 5
STAGE = "bench"
Modes = tuple[AgedState, NDArray[np.float64], NDArray[np.float64]]


def bench_impedance(spectra: int, peer_python: Path | None, progress: Progress) -> dict[str, Any]:
    """Figures of each model, of two processes against one, and of memory, ready for JSON.

    Parameters
    ----------
    spectra
        Cells that are solved in each run.
    peer_python
        Interpreter of an environment with pybammeis, which is left out where it is None.
    """
    cells = random_cells(spectra)
    steps = len(MODELS) + 2
    models = {}
    for done, model in enumerate(MODELS):
        progress(STAGE, done, steps, model)
        with threadpool_limits(1):
            models[model] = measure(model, cells, peer_python if model == "DFN" else None)
    progress(STAGE, steps - 2, steps, "two processes")
    scaling = two_workers(cells)
    progress(STAGE, steps - 1, steps, "memory")
    memory = peak_memory()
    progress(STAGE, steps, steps)
    about = {"parameter_set": PARAMETER_SET, "mesh": MESH, "frequencies": len(FREQUENCY_HZ), "spectra": spectra}
    return {**about, "versions": versions(), "models": models, "two_workers": scaling, "memory": memory}


def random_cells(count: int, seed: int = 1) -> Modes:
    """Modes, SOC and temperature of `count` aged cells that are feasible."""
    rng = np.random.default_rng(seed)
    low, high = np.array([0.1, 0.0, 0.0, 5.0, 0.0]), np.array([0.3, 0.1, 0.2, 100.0, 3.0])
    modes = low[:, None] + (high - low)[:, None] * rng.random((5, 2 * count))
    soc, temperature_degC = rng.uniform(0.1, 0.9, 2 * count), rng.uniform(10.0, 40.0, 2 * count)
    feasible = snapshot(PARAMETER_SET, AgedState(*modes), soc, temperature_degC).reason == ""
    kept = np.flatnonzero(feasible)[:count]
    return AgedState(*modes[:, kept]), soc[kept], temperature_degC[kept]


def measure(model: str, cells: Modes, peer_python: Path | None) -> dict[str, Any]:
    """Figures of one model for `cells`, and of pybammeis in the environment of `peer_python`."""
    built = solver(PARAMETER_SET, model, MESH)
    inputs = snapshot(PARAMETER_SET, *cells).inputs
    few = inputs.take(slice(0, OTHERS_SPECTRA))
    theirs = reused_simulation(PARAMETER_SET, model, MESH, few, FREQUENCY_HZ)
    count = len(inputs)
    # In turns, so that what else the machine does falls on both alike.
    compiled = ImpedanceSolver(built.model.compiled(), built.linear)
    ours_ms, compiled_ms, theirs_ms = [], [], []
    for _ in range(RUNS):
        ours_ms.append(_cpu_ms(lambda: _end_to_end(built, cells), count))
        compiled_ms.append(_cpu_ms(lambda: _end_to_end(compiled, cells), count))
        theirs_ms.append(_cpu_ms(theirs, len(few)))
    z = built.solve(few, FREQUENCY_HZ).z_ohm
    result = {
        "states": built.model.pattern.n,
        "spectra_per_second_core": 1e3 / median(compiled_ms),
        "milliseconds": _summary(compiled_ms),
        "milliseconds_without_compiled_jacobian": _summary(ours_ms),
        "milliseconds_eissimulation": _summary(theirs_ms),
        "ratio_to_eissimulation": median(a / b for a, b in zip(theirs_ms, compiled_ms, strict=True)),
        "max_relative_deviation": _pivoted_deviation(built, inputs),
    }
    if model != "SPMe":  # where EISSimulation starts from an inconsistent state
        result["max_relative_deviation_from_eissimulation"] = _deviation(z, theirs())
    if peer_python is not None:
        result |= _peer(peer_python, model, few, z, median(compiled_ms))
    return result


def _end_to_end(built: ImpedanceSolver, cells: Modes) -> NDArray[np.str_]:
    """eSOH, impedance and gates."""
    state: Snapshot = snapshot(PARAMETER_SET, *cells)
    batch: Batch = built.solve(state.inputs, FREQUENCY_HZ)
    return quality.judge(batch.z_ohm, FREQUENCY_HZ, batch.consistency_residual, batch.solve_residual)


def _pivoted_deviation(built: ImpedanceSolver, inputs: CellInputs) -> float:
    """From SuperLU with partial pivoting on the same matrices."""
    few = inputs.take(slice(0, PIVOTED_SPECTRA))
    p = few.stacked()
    here = built.model.local(built.model.initial_state(p), p)
    omega = 2 * np.pi * FREQUENCY_HZ
    z, _ = built.linear.impedance(here.J, here.dV, omega)
    pattern = built.model.pattern
    rows = zip(here.J, here.dV, strict=True)
    return _deviation(z, np.array([[pivoted_impedance(pattern, J, dV, w)[0] for w in omega] for J, dV in rows]))


def _peer(python: Path, model: str, cells: CellInputs, z: NDArray[np.complex128], ours_ms: float) -> dict[str, Any]:
    peer = pybammeis(python, model, MESH, cells, FREQUENCY_HZ)
    theirs = np.array(peer["z_real_ohm"]) + 1j * np.array(peer["z_imag_ohm"])
    return {
        "pybammeis_version": peer["version"],
        "milliseconds_pybammeis": _summary(peer["cpu_ms"]),
        "ratio_to_pybammeis": median(peer["cpu_ms"]) / ours_ms,
        "max_relative_deviation_from_pybammeis": _deviation(z, theirs),
    }


def two_workers(cells: Modes, model: str = "DFN", rounds: int = 4, duration_s: float = 3.0) -> dict[str, float]:
    """Spectra per second of one process and of two at the same time, and the ratio.

    One and two take turns, and the best of each counts: what else the machine does can only slow them. `ratio` is of
    wall time and needs two idle cores; `processors` tells how many the two got. `cpu_ratio` is per second of processor
    time, whoever else was there: below 2 it tells what they cost each other in memory and cache.
    """
    with joblib.Parallel(n_jobs=2, backend="loky") as pool:

        def together(processes: int, seconds: float) -> NDArray[np.float64]:
            made = pool(joblib.delayed(_solve_for)(model, cells, seconds) for _ in range(processes))
            return np.asarray(np.sum(made, axis=0), float)

        together(2, 0.0)  # each builds its solver
        turns = [(together(1, duration_s), together(2, duration_s)) for _ in range(rounds)]
    one, two = np.max(turns, axis=0)
    rates = {"one_per_second": one[0], "two_per_second": two[0], "ratio": two[0] / one[0], "processors": two[2]}
    return {name: float(value) for name, value in (rates | {"cpu_ratio": two[1] / one[1]}).items()}


def _solve_for(model: str, cells: Modes, duration_s: float) -> tuple[float, float, float]:
    """Spectra per second of wall time and of CPU time, and the part of a processor that this process got."""
    built = solver(PARAMETER_SET, model, MESH)
    start, cpu_start, solved = time.monotonic(), time.process_time(), 0
    while time.monotonic() - start < duration_s or not solved:
        solved += len(_end_to_end(built, cells))
    wall_s, cpu_s = time.monotonic() - start, time.process_time() - cpu_start
    return solved / wall_s, solved / cpu_s, cpu_s / wall_s


def _cpu_ms(function: Callable[[], Any], count: int) -> float:
    start = time.process_time()
    function()
    return 1e3 * (time.process_time() - start) / count


def _summary(values: list[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values)}


def _deviation(z: NDArray[np.complex128], reference: NDArray[np.complex128]) -> float:
    return float(np.abs(z / reference - 1).max())
