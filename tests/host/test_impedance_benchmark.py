"""The benchmark of the impedance solver: its figures are there, and say that both sides got the same answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eishil.cell.ageing import snapshot
from eishil.cell.reference import pybammeis
from eishil.dataset import impedance_benchmark, memory_benchmark
from eishil.errors import ToolError


def test_both_sides_agree_and_one_is_faster() -> None:
    figures = impedance_benchmark.measure("SPM", impedance_benchmark.random_cells(20), None)
    promised = {"spectra_per_second_core", "ratio_to_eissimulation", "max_relative_deviation", "milliseconds"}
    assert promised <= set(figures)
    assert figures["max_relative_deviation"] < 1e-9
    assert figures["max_relative_deviation_from_eissimulation"] < 1e-9
    assert figures["ratio_to_eissimulation"] > 1
    times = figures["milliseconds"]
    assert 0 < times["min"] <= times["median"] <= times["max"]
    assert figures["spectra_per_second_core"] == pytest.approx(1e3 / times["median"])


def test_two_processes_are_counted_together() -> None:
    rates = impedance_benchmark.two_workers(impedance_benchmark.random_cells(10), "SPM", 1, 0.1)
    assert rates["ratio"] == rates["two_per_second"] / rates["one_per_second"]
    assert 0 < rates["processors"] <= 2.1 and rates["cpu_ratio"] > 0


@pytest.mark.slow
def test_memory_is_of_a_data_set_that_was_made() -> None:
    memory = memory_benchmark.peak_memory((20, 40))
    small_MB, large_MB = memory["peak_MB"]
    assert 50 < small_MB < 2000
    assert memory["million_samples_MB"] == pytest.approx(small_MB + (large_MB - small_MB) / 20 * (1e6 - 20))


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
