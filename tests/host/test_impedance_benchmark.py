"""The benchmark of the impedance solver: its figures are there, and say that both sides got the same answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eishil.cell.ageing import snapshot
from eishil.cell.reference import pybammeis
from eishil.dataset import impedance_benchmark
from eishil.errors import ToolError


def test_both_sides_agree_and_one_is_faster() -> None:
    figures = impedance_benchmark.measure("SPM", impedance_benchmark.random_cells(20), None)
    assert figures["max_relative_deviation"] < 1e-9
    assert figures["max_relative_deviation_from_eissimulation"] < 1e-9
    assert figures["ratio_to_eissimulation"] > 1
    times = figures["milliseconds"]
    assert 0 < times["min"] <= times["median"] <= times["max"]
    assert figures["spectra_per_second_core"] == pytest.approx(1e3 / times["median"])


def test_cells_are_feasible_and_as_many_as_asked_for() -> None:
    modes, soc, temperature_degC = impedance_benchmark.random_cells(50)
    state = snapshot("Chen2020", modes, soc, temperature_degC)
    assert len(soc) == 50
    assert (state.reason == "").all()
    assert np.ptp(state.soh) > 0.05


@pytest.mark.parametrize("interpreter", ["/no/such/python", "/bin/false"])
def test_an_environment_without_pybammeis_is_told(interpreter: str) -> None:
    inputs = snapshot("Chen2020", *impedance_benchmark.random_cells(10)).inputs
    with pytest.raises(ToolError, match=interpreter):
        pybammeis(Path(interpreter), "DFN", "default", inputs, np.array([1.0]))
