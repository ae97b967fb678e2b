"""Faults of the emulated board, provoked in the unchanged image by a debugger, and what it tells afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from eishil import wire
from eishil.model import Model
from eishil_bench.dut import target_spec
from eishil_bench.dut.qemu import QemuDut
from eishil_bench.firmware.build import FirmwareImage
from support.gdb import PC, SP, Debugger
from support.line import Line

FAULT = wire.ENUMS["fault"]
NOWHERE = 0xF0000000  # execution there faults (Armv7-M: vendor system space is never executable)


@pytest.fixture
def board(qemu_image: FirmwareImage, first_light_model: Model, tmp_path: Path) -> Iterator[tuple[Line, Debugger]]:
    """A board that has answered hello, and a debugger to attach to it."""
    path = tmp_path / "gdb"
    with QemuDut(target_spec("qemu"), qemu_image.elf, ["-gdb", f"unix:{path},server=on,wait=off"]) as dut:
        line = Line(dut, first_light_model)
        line.hello()
        yield line, Debugger(path)


def symbol(image: FirmwareImage, name: str) -> int:
    with image.elf.open("rb") as stream:
        symbols = ELFFile(stream).get_section_by_name(".symtab").get_symbol_by_name(name)
        return int(symbols[0]["st_value"])


def test_a_fresh_board_has_no_past(board: tuple[Line, Debugger]) -> None:
    line, _ = board
    assert line.hello()["boot_count"] == 0
    status = line.status(1)
    assert (status["fault"], status["fault_count"], status["fault_address"]) == (FAULT["NONE"], 0, 0)


def test_hard_fault_is_recorded_and_survives_the_reset(board: tuple[Line, Debugger]) -> None:
    line, debugger = board
    line.exchange(line.request("init", 1))
    with debugger:
        debugger.write_register(PC, NOWHERE)
    assert line.hello()["boot_count"] == 1
    status = line.status(1)
    assert (status["fault"], status["fault_count"]) == (FAULT["HARD_FAULT"], 1)
    assert status["fault_address"] == NOWHERE
    assert line.exchange(line.step(2))["status"] == wire.ENUMS["status"]["NOT_INITIALISED"]
    line.dut.reset()
    assert line.hello()["boot_count"] == 0
    assert line.status(1)["fault"] == FAULT["NONE"]


def test_stack_overflow_is_recorded_by_name(board: tuple[Line, Debugger], qemu_image: FirmwareImage) -> None:
    line, debugger = board
    with debugger:
        debugger.write_register(SP, symbol(qemu_image, "stack_limit") + 8)
    assert line.hello()["boot_count"] == 1
    status = line.status(1)
    assert (status["fault"], status["fault_count"]) == (FAULT["STACK_OVERFLOW"], 1)


def test_two_faults_are_two(board: tuple[Line, Debugger]) -> None:
    line, debugger = board
    for _ in range(2):
        with debugger:
            debugger.write_register(PC, NOWHERE)
        line.hello()
    assert line.hello()["boot_count"] == 2
    assert line.status(1)["fault_count"] == 2


def test_stack_stays_below_its_static_bound(board: tuple[Line, Debugger], qemu_image: FirmwareImage) -> None:
    """GCC's call graph bounds what painting measures; both fit the stack's room."""
    line, _ = board
    line.exchange(line.request("init", 1))
    for sequence in range(2, 8):
        line.exchange(line.step(sequence, elapsed_cycles=10.0))
    line.exchange(line.request("network", 8, input=1.0))
    status = line.status(9)
    assert qemu_image.stack_bytes is not None
    assert 256 < status["stack_used_bytes"] <= qemu_image.stack_bytes <= status["stack_size_bytes"]
