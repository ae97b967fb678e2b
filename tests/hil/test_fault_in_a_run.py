"""A fault of the emulated board within a trajectory, seen through the bench: it ends the run there, by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from eishil.dataset.recipe import Recipe
from eishil.dataset.tables import Dataset
from eishil.errors import TargetError
from eishil.filters.ekf import Ekf
from eishil.network.onnx_files import load_float_network
from eishil_bench.dut import target_spec
from eishil_bench.dut.qemu import QemuDut
from eishil_bench.runs.measure import measure
from eishil_bench.runs.stimulus import held_out_trajectories
from support.gdb import PC, Debugger

DATASETS = Path(__file__).resolve().parents[2] / "datasets"
NOWHERE = 0xF0000000  # execution there faults


class FaultingBoard(QemuDut):
    """Runs into nowhere before each write from a request on, greetings not counted, as often as told."""

    def __init__(self, image: Path, gdb: Path, first: int, times: int) -> None:
        super().__init__(target_spec("qemu"), image, ["-gdb", f"unix:{gdb},server=on,wait=off"])
        self._gdb, self._requests_left, self._times = gdb, first, times

    def write(self, data: bytes) -> None:
        self._requests_left -= not data.startswith(b"\0")  # as greetings do
        if self._requests_left <= 0 < self._times:
            self._times -= 1
            with Debugger(self._gdb) as debugger:
                debugger.write_register(PC, NOWHERE)
        super().write(data)


@pytest.mark.target("qemu")
@pytest.mark.parametrize("times", [1, 3])
def test_fault_within_a_trajectory_is_named_at_once(times, qemu_image, first_light_model, tmp_path):
    sample, recipe = Dataset.open(DATASETS / "sample"), Recipe.load(DATASETS / "recipes" / "first_light.toml")
    trajectories = held_out_trajectories(sample, recipe, first_light_model)
    ekf = Ekf(first_light_model, load_float_network(DATASETS / "models" / "first_light" / "network_float.onnx"))
    told: list[int] = []
    with (
        FaultingBoard(qemu_image.elf, tmp_path / "gdb", first=8, times=times) as board,
        pytest.raises(TargetError, match=r"HARD_FAULT at 0xf0000000"),
    ):
        measure(
            board,
            first_light_model,
            qemu_image,
            ekf,
            trajectories,
            lambda stage, done, total, note="": told.append(done),
        )
    assert told == [], "the first trajectory is not taken for measured"
