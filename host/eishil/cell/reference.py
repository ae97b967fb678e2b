"""PyBaMM's own answers and pybammeis' answers, for the benchmark that compares with them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pybamm
from numpy.typing import NDArray

from eishil.cell.linearise import CellInputs
from eishil.cell.mesh import named_mesh
from eishil.cell.parameters import INPUTS, simulation
from eishil.errors import ToolError

DEADLINE_S = 900.0
PEER = Path(__file__).with_name("pybammeis_peer.py")


def named_inputs(cells: CellInputs) -> list[dict[str, float]]:
    """The inputs of each cell by PyBaMM's names."""
    return [dict(zip(INPUTS.values(), row, strict=True)) for row in cells.stacked().tolist()]


def reused_simulation(
    parameter_set: str, model: str, mesh: str, cells: CellInputs, frequency_Hz: NDArray[np.float64]
) -> Callable[[], NDArray[np.complex128]]:
    """`pybamm.EISSimulation`, built once and solved for every cell: Z (S, F)."""
    built = simulation(pybamm.ParameterValues(parameter_set), model, named_mesh(mesh))
    inputs = named_inputs(cells)
    return lambda: np.array([built.solve(frequency_Hz, inputs=one).impedance for one in inputs])


def pybammeis(python: Path, model: str, mesh: str, cells: CellInputs, frequency_Hz: NDArray[np.float64]) -> Any:
    """What the package pybammeis gives, in the environment of its own that has the interpreter `python`.

    Returns
    -------
    A dict with `z_real_ohm` and `z_imag_ohm` (S, F), `cpu_ms` (S,) for each solution and `version`; Chen2020 only.

    Raises
    ------
    ToolError
        The interpreter is not there, or pybammeis is not or fails in it.
    """
    points = named_mesh(mesh)
    request = {
        "model": model,
        "points": {"x_n": points.x_n, "x_s": points.x_s, "x_p": points.x_p, "r_n": points.r, "r_p": points.r},
        "radial_stretch": points.radial_stretch,
        "frequency_Hz": frequency_Hz.tolist(),
        "cells": named_inputs(cells),
    }
    try:
        ended = subprocess.run(
            [python, PEER], input=json.dumps(request), capture_output=True, text=True, timeout=DEADLINE_S
        )
    except OSError as error:
        raise ToolError(f"{python}: cannot run pybammeis: {error.strerror}") from None
    except subprocess.SubprocessError as error:
        raise ToolError(f"{python}: cannot run pybammeis: {error}") from None
    if ended.returncode:
        reason = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        raise ToolError(f"{python}: pybammeis failed: {reason}; `pip install pybammeis==0.1.6` in its environment")
    return json.loads(ended.stdout.splitlines()[-1])
