"""Flashing through pyOCD onto a simulated probe: discovery, erase, program, read-back and reset really run.

The flash algorithm is pyOCD's own and runs on an emulated core against a flash controller that wants its keys, erased
cells and the programming bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from eishil.errors import TargetError, ToolError
from eishil_bench.boards.flash import flash, load_segments, program, reset_board
from eishil_bench.boards.locks import LOCK_FOLDER_VARIABLE, BoardLock
from eishil_bench.dut import target_spec
from eishil_bench.firmware.build import FirmwareImage
from support.fake_dut import FakeDevice
from support.pseudo_terminal import serial_port
from support.random_models import random_estimator
from support.simulated_chip import FLASH, FLASH_BYTES, SimulatedChip
from support.simulated_probe import SimulatedProbe

NUMBER = "066AFF555450"
BOARD = "nucleo_f446re"


@pytest.fixture(autouse=True)
def only_simulated_probes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from pyocd.probe import aggregator

    monkeypatch.setattr(aggregator, "PROBE_CLASSES", {"simulated": SimulatedProbe})
    monkeypatch.setattr(SimulatedProbe, "vanish_after", None)
    monkeypatch.setenv(LOCK_FOLDER_VARIABLE, str(tmp_path / "locks"))


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> SimulatedChip:
    chip = SimulatedChip()
    monkeypatch.setattr(SimulatedProbe, "chips", {NUMBER: chip})
    return chip


@pytest.fixture
def board(chip: SimulatedChip, qemu_image: FirmwareImage) -> Iterator[tuple[FakeDevice, str]]:
    """A serial port whose device says the build id that stands in the chip's flash, and nothing from an empty chip."""
    data = qemu_image.elf.read_bytes()
    segments = load_segments(qemu_image.elf)
    address = next(a + d.find(qemu_image.build_id) for a, d in segments if qemu_image.build_id in d)
    assert qemu_image.build_id in data
    device = FakeDevice(random_estimator(np.random.default_rng(5))[0])
    honest = device._answer

    def answer(payload: bytes) -> bytes:
        device.hello["build_id"] = list(chip.flash(address, 8))
        return honest(payload)

    device._answer = answer
    device_write = device.write
    device.write = lambda data: None if chip.flash(FLASH, 4) == b"\xff" * 4 else device_write(data)
    with serial_port(device) as port:
        yield device, port


def holds(chip: SimulatedChip, elf: Path) -> bool:
    return all(chip.flash(address, len(data)) == data for address, data in load_segments(elf))


@pytest.mark.parametrize("probe_target", ["stm32f446re", "stm32f411re"])
def test_erase_program_verify_reset(chip: SimulatedChip, qemu_image: FirmwareImage, probe_target: str) -> None:
    chip.core.mem_write(FLASH, bytes(range(256)) * 256)
    programmed = program(target_spec(BOARD).model_copy(update={"probe_target": probe_target}), qemu_image.elf)
    segments = load_segments(qemu_image.elf)
    assert programmed == sum(len(data) for _, data in segments)
    assert holds(chip, qemu_image.elf)
    assert chip.erased and chip.programmed >= programmed
    assert not chip.halted and chip.resets >= 2, "reset once to halt and once to run"
    untouched = FLASH + 0x20000
    assert chip.flash(untouched, 64) == b"\xff" * 64 and max(chip.erased) < 5


def test_board_is_flashed_once_and_then_left_alone(board, chip: SimulatedChip, qemu_image: FirmwareImage) -> None:
    _, port = board
    first = flash(target_spec(BOARD), qemu_image, qemu_image.elf, port)
    assert first.programmed_bytes > 10_000 and first.identity.build_id == qemu_image.build_id
    erased, resets = list(chip.erased), chip.resets
    second = flash(target_spec(BOARD), qemu_image, qemu_image.elf, port)
    assert second.programmed_bytes == 0 and second.identity == first.identity
    assert (chip.erased, chip.resets) == (erased, resets)


def test_worn_out_byte_fails_the_read_back(chip: SimulatedChip, qemu_image: FirmwareImage) -> None:
    address, data = load_segments(qemu_image.elf)[0]
    chip.stuck[address + 100] = data[100] ^ 0x10
    sentence = rf"{BOARD}: flash differs from the image at {address + 100:#010x}: {data[100] ^ 0x10:#04x} instead of"
    with pytest.raises(TargetError, match=sentence):
        program(target_spec(BOARD), qemu_image.elf)


@pytest.mark.parametrize("transfers", [3, 100, 2000, 10_000])
def test_probe_that_vanishes(chip: SimulatedChip, qemu_image: FirmwareImage, monkeypatch, transfers: int) -> None:
    monkeypatch.setattr(SimulatedProbe, "vanish_after", transfers)
    with pytest.raises(TargetError, match=rf"target {BOARD}: the debug probe failed: .*; was it unplugged\?"):
        program(target_spec(BOARD), qemu_image.elf)


def test_no_probe_and_two_probes(qemu_image: FirmwareImage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedProbe, "chips", {})
    with pytest.raises(TargetError, match="no debug probe is connected"):
        program(target_spec(BOARD), qemu_image.elf)
    chips = {"A1": SimulatedChip(), "B2": SimulatedChip()}
    monkeypatch.setattr(SimulatedProbe, "chips", chips)
    with pytest.raises(TargetError, match=r"more than one debug probe \(A1, B2\); give the target its serial_number"):
        program(target_spec(BOARD), qemu_image.elf)
    chosen = target_spec(BOARD).model_copy(update={"serial_number": "B2"})
    reset_board(chosen)
    assert (chips["A1"].resets, chips["B2"].resets > 0) == (0, True)


def test_chip_that_pyocd_does_not_know(chip: SimulatedChip, qemu_image: FirmwareImage) -> None:
    stranger = target_spec(BOARD).model_copy(update={"probe_target": "stm32g474retx"})
    with pytest.raises(
        ToolError, match=r"no flash algorithm for stm32g474retx yet; `pyocd pack install stm32g474retx`"
    ):
        program(stranger, qemu_image.elf)
    assert chip.erased == []


def test_held_board_is_not_touched(board, chip: SimulatedChip, qemu_image: FirmwareImage) -> None:
    _, port = board
    lock = BoardLock("other", port)
    lock.acquire()
    try:
        with pytest.raises(TargetError, match=rf"target {BOARD}: the board is held by process \d+ of \S+ since 20"):
            flash(target_spec(BOARD), qemu_image, qemu_image.elf, port)
    finally:
        lock.release()
    assert (chip.erased, chip.resets) == ([], 0)


def test_probe_of_another_board(board, chip: SimulatedChip, qemu_image: FirmwareImage) -> None:
    """Flash is right, but who answers on the port is another build."""
    device, port = board
    honest = device._on_hello
    device._on_hello = lambda request: honest(request) | {"build_id": [7] * 8}
    with pytest.raises(TargetError, match="flashed and verified, but answers as build 0707070707070707 instead of"):
        flash(target_spec(BOARD), qemu_image, qemu_image.elf, port)


def test_emulated_target_is_no_board(qemu_image: FirmwareImage) -> None:
    with pytest.raises(TargetError, match="target qemu is no board"):
        flash(target_spec("qemu"), qemu_image, qemu_image.elf)


def test_flash_of_the_simulated_chip_is_flash(chip: SimulatedChip) -> None:
    """The simulation itself: without keys nothing is erased, and a debugger's write does not change flash."""
    chip.write(0x40023C10, 4, 1 << 16 | 1 << 2)
    chip.write(FLASH, 4, 0)
    assert chip.erased == [] and chip.flash(FLASH, FLASH_BYTES) == b"\xff" * FLASH_BYTES
