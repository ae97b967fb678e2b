"""What the bench relies on in Renode, looked at one by one: what was expected and what was found.

The first run on a Renode of another version, or of another package, then tells precisely what differs there.
docs/renode.md says for each of these where it is known from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from eishil.errors import EishilError
from eishil.model import Model
from eishil_bench.dut.base import TargetSpec
from eishil_bench.dut.renode import BOOT_s, RenodeDut
from eishil_bench.dut.renode_faults import (
    executed_instructions,
    flip_bit,
    program_counter,
    read_word,
    reset_core,
    symbol,
)
from eishil_bench.dut.renode_monitor import MonitorError
from eishil_bench.dut.renode_uart import Uart, monitor_path
from eishil_bench.firmware.build import FirmwareImage
from eishil_bench.link.session import Session

DWT_CYCCNT = 0xE0001004
_QUESTION, _QUESTIONS = "cpu IsHalted", 220  # 3 kB
_LOG_LINES = 5
_SLICE_s = 0.01
_QUIET_s = 0.1


@dataclass(frozen=True)
class Assumption:
    """One thing that the bench takes for granted."""

    what: str
    expected: str
    found: str
    holds: bool


class _ObservedDut(RenodeDut):
    """Notes each command of the start with its answer, and keeps Renode's log."""

    def __init__(self, spec: TargetSpec, image: FirmwareImage) -> None:
        super().__init__(spec, image.elf)
        self.seen: list[Assumption] = []
        self._log: Path | None = None
        self._starts = False

    def start(self) -> None:
        self._starts = True
        super().start()
        self._starts = False

    def _setup(self, folder: Path, uart: Uart) -> list[str]:
        self._log = folder / "renode.log"
        return [f"logFile {monitor_path(self._log)} true", *super()._setup(folder, uart)]

    def _execute(self, command: str, patience_s: float | None = None) -> str:
        try:
            answer = super()._execute(command, patience_s)
        except MonitorError as error:
            if self._starts:
                self.seen.append(Assumption(command, "is accepted", str(error), holds=False))
            if command.startswith("logFile"):  # a run does without
                return ""
            raise
        if self._starts:
            self.seen.append(Assumption(command, "is accepted", answer or "is accepted", holds=True))
        return answer

    def stop(self) -> None:
        if self._log is not None and self._log.is_file():
            errors = [line for line in self._log.read_text("utf-8", "replace").splitlines() if "[ERROR]" in line]
            found = " / ".join(dict.fromkeys(errors[:_LOG_LINES])) or "none"
            self.seen.append(Assumption("Renode's log", "no errors", found, holds=not errors))
        self._log = None
        super().stop()


def examine(spec: TargetSpec, image: FirmwareImage, model: Model) -> list[Assumption]:
    """All that can be looked at, in the order in which a run comes by; what fails ends the start, not the rest.

    Parameters
    ----------
    spec
        A target of kind renode.
    image, model
        What runs there, and the model that it carries.
    """
    dut = _ObservedDut(spec, image)
    try:
        with dut:
            dut.seen += [_look(what, check, dut, model) for what, check in _checks(image)]
    except EishilError as error:
        if str(error) not in (each.found for each in dut.seen):
            dut.seen.append(Assumption("start", "a running core", str(error), holds=False))
    return dut.seen


Check = Callable[[RenodeDut, Model], tuple[str, str, bool]]


def _checks(image: FirmwareImage) -> list[tuple[str, Check]]:
    """In an order in which none spoils the next; the memory is as it was when a bit has been flipped twice."""
    return [
        ("the monitor's way of talking", _manner),
        ("a mistake is told as text", _mistake),
        ("a long line is read", _long_line),
        ("the core runs the image", _inside_the_image),
        ("instructions take virtual time", _instructions),
        ("a second start is the same", lambda dut, _: _repeats(dut, image)),
        ("the DWT counts virtual time", _counter),
        ("a bit in flash can be flipped", lambda dut, _: _memory(dut, "vectors")),
        ("a bit in RAM can be flipped", lambda dut, _: _memory(dut, "stack_limit")),
        ("the device answers", lambda dut, model: _hello(dut, model, image)),
        ("a reset starts the image again", lambda dut, model: _reset(dut, model, image)),
    ]


def _look(what: str, check: Check, dut: RenodeDut, model: Model) -> Assumption:
    try:
        return Assumption(what, *check(dut, model))
    except EishilError as error:
        return Assumption(what, "no complaint", str(error), holds=False)


def _manner(dut: RenodeDut, _: Model) -> tuple[str, str, bool]:
    found = f"{'an' if dut.monitor.echoes else 'no'} echo, {'a' if dut.monitor.prompts else 'no'} prompt"
    return "an echo, a prompt; without them it is only slower", found, True


def _mistake(dut: RenodeDut, _: Model) -> tuple[str, str, bool]:
    wanted = "No such command or device"
    try:
        return wanted, dut.monitor.execute("nonsense") or "nothing", False
    except MonitorError as error:
        return wanted, str(error), wanted in str(error)


def _long_line(dut: RenodeDut, _: Model) -> tuple[str, str, bool]:
    """Requests take lines as long as this one."""
    answers = dut.monitor.execute("; ".join([_QUESTION] * _QUESTIONS)).splitlines()
    return f"{_QUESTIONS} answers", f"{len(answers)}", len(answers) == _QUESTIONS


def _inside_the_image(dut: RenodeDut, _: Model) -> tuple[str, str, bool]:
    with dut.image.open("rb") as stream:
        places = [range(s["p_vaddr"], s["p_vaddr"] + s["p_filesz"]) for s in ELFFile(stream).iter_segments("PT_LOAD")]
    counter = program_counter(dut)
    wanted = " or ".join(f"{place.start:#x} to {place.stop:#x}" for place in places)
    return f"PC in {wanted}", f"PC {counter:#x}", any(counter in place for place in places)


def _instructions(dut: RenodeDut, _: Model) -> tuple[str, str, bool]:
    most, found = round(BOOT_s * dut.spec.mips * 1e6), executed_instructions(dut)
    return f"1 to {most:,} in {BOOT_s * 1e3:g} ms", f"{found:,}", 0 < found <= most


def _repeats(dut: RenodeDut, image: FirmwareImage) -> tuple[str, str, bool]:
    with RenodeDut(dut.spec, image.elf) as other:
        wanted, found = executed_instructions(dut), executed_instructions(other)
    return f"{wanted:,} instructions", f"{found:,}", wanted == found


def _counter(dut: RenodeDut, _: Model) -> tuple[str, str, bool]:
    before = read_word(dut, DWT_CYCCNT)
    dut.run_for(_SLICE_s)
    wanted, found = round(_SLICE_s * dut.spec.mips * 1e6), (read_word(dut, DWT_CYCCNT) - before) % (1 << 32)
    return f"{wanted:,} counts in {_SLICE_s * 1e3:g} ms", f"{found:,}", found == wanted


def _memory(dut: RenodeDut, name: str) -> tuple[str, str, bool]:
    address, _ = symbol(dut.image, name)
    flip_bit(dut, address, 0)
    flip_bit(dut, address, 0)
    return f"{address:#x} takes it", "and gives it back", True


def _hello(dut: RenodeDut, model: Model, image: FirmwareImage) -> tuple[str, str, bool]:
    identity = Session(dut, model).hello()
    found = f"{identity.board}, build {identity.build_id.hex()}, counts by {identity.counter}"
    wanted = f"{image.env}, build {image.build_id.hex()}, counts by DWT"
    return wanted, f"{found}, core clock {identity.core_clock_Hz / 1e6:g} MHz", found == wanted


def _reset(dut: RenodeDut, model: Model, image: FirmwareImage) -> tuple[str, str, bool]:
    reset_core(dut)
    if rest := dut.read(_QUIET_s):
        return "silence", f"{len(rest)} bytes", False
    return _hello(dut, model, image)
