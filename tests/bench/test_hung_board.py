"""A board on a serial port that hangs within a trajectory: named, power-cycled as its roster says, tried once more."""

from __future__ import annotations

import time

import numpy as np
import pytest

from eishil.errors import TargetError
from eishil_bench.boards.locks import LOCK_FOLDER_VARIABLE
from eishil_bench.dut import target_spec
from eishil_bench.dut.serial import SerialDut
from eishil_bench.link.exchange import Link
from eishil_bench.runs.device_run import DeviceRun
from support.fake_dut import BUILD_ID, FakeDevice
from support.pseudo_terminal import serial_port
from support.random_models import random_estimator
from support.simulated_cells import simulated_cells

DEADLINE_s = 0.6
STEPS = 5


class HangingBoard(FakeDevice):
    """Takes no request any more after so many steps, until its power was off: `switch` is there then."""

    def __init__(self, model, switch, after):
        self.switch, self.after, self.cycles = switch, list(after), 0
        super().__init__(model)

    def write(self, data):
        if self.switch.exists():
            self.switch.unlink()
            self.reset()
            self.cycles += 1
            del self.after[:1]
        if not self.after or self.applied < self.after[0]:
            super().write(data)


@pytest.fixture(scope="module")
def estimator():
    return random_estimator(np.random.default_rng(5))


@pytest.fixture
def run(estimator, tmp_path, monkeypatch):
    """Three cells on a board that hangs after these steps: the board and what came of the run."""
    monkeypatch.setenv(LOCK_FOLDER_VARIABLE, str(tmp_path / "locks"))
    model, network = estimator
    cells = simulated_cells(model, network, cells=3, steps=STEPS, seed=2)
    switch = tmp_path / "power"
    roster = {"reset": "command", "reset_command": ("touch", str(switch)), "name": "left_bench"}

    def run(after, **changes):
        board = HangingBoard(model, switch, after)
        spec = target_spec("nucleo_f446re").model_copy(update=roster | changes)
        with serial_port(board) as port, SerialDut(spec, port) as dut:
            waits_s = (DEADLINE_s / 2, DEADLINE_s / 2)
            link = Link(dut, model.dimensions(), waits_s=waits_s, hello_waits_s=waits_s)
            device_run = DeviceRun(dut, model, BUILD_ID, link=link)
            return board, device_run, [life.steps for _, life in device_run.answers(cells)]

    return run


def test_board_that_hangs_is_power_cycled_and_its_cell_run_again(run):
    # The run resets the board before it begins, which takes the first of these.
    started_s = time.monotonic()
    board, device_run, answers = run([10**6, STEPS + 2])
    assert time.monotonic() - started_s > DEADLINE_s
    (remark,) = device_run.remarks
    assert remark.startswith("left_bench did not answer step within 0.6 s (2 attempts)")
    assert remark.endswith("it was reset and cell cell_01 run again")
    assert board.cycles == 2
    _, _, quiet = run([])
    for steps, expected in zip(answers, quiet, strict=True):
        assert [step.output.x.tobytes() for step in steps] == [step.output.x.tobytes() for step in expected]


def test_board_that_hangs_again_is_given_up(run):
    with pytest.raises(TargetError, match=r"left_bench did not answer step .*\(it had been reset once in this run"):
        run([10**6, STEPS + 2, 2 * STEPS + 1])


def test_board_that_no_reset_wakes_is_given_up(run):
    with pytest.raises(TargetError, match=r"did not answer hello .* \(after it was reset: .* did not answer step"):
        run([10**6, STEPS + 2, 0])


def test_board_whose_power_command_fails_is_given_up(run):
    with pytest.raises(TargetError, match=r"left_bench did not answer hello .*; resetting it failed: .* `false` "):
        run([0], reset_command=("false",))
