"""Instruction counts and estimated cycles of an emulated image, by stage of the program.

QEMU runs the unchanged image with a plugin of our own (bench/emulation/qemu_plugin) that counts every instruction in
the stage that it belongs to; `cortex_m4` makes cycles of the counts. Stages are functions of the image: what a function
calls belongs to it, but for further stages.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from eishil.errors import ToolError
from eishil_bench.dut.base import TargetSpec
from eishil_bench.dut.qemu import QemuDut
from eishil_bench.firmware.build import INTERRUPTS
from eishil_bench.firmware.cortex_m4 import Execution, Image, estimate_cycles

PLUGIN_SOURCES = Path(__file__).resolve().parents[2] / "emulation" / "qemu_plugin"
# Cycles are estimated for these only: the model is a Cortex-M4's.
CORTEX_M4_MACHINES = ("netduinoplus2",)
_EXIT_TIMEOUT_s = 30.0


@dataclass(frozen=True)
class Count:
    """What a stage took. `calls` is how often it was entered; least and most are of one call, all inside included."""

    calls: int
    instructions: int
    cycles_0ws: int
    cycles_5ws: int
    least: int = 0
    most: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.calls + other.calls,
            self.instructions + other.instructions,
            self.cycles_0ws + other.cycles_0ws,
            self.cycles_5ws + other.cycles_5ws,
        )

    def per_call(self, calls: int | None = None) -> Count:
        """The mean of one call (of `calls` calls of something that contains it), rounded."""
        n = calls or self.calls
        return Count(
            calls=round(self.calls / n),
            instructions=round(self.instructions / n),
            cycles_0ws=round(self.cycles_0ws / n),
            cycles_5ws=round(self.cycles_5ws / n),
            least=self.least,
            most=self.most,
        )


class CountingQemu(QemuDut):
    """An emulated board whose instructions are counted from power-on to `finish`.

    Parameters
    ----------
    stages
        Functions of the image, each a stage of its own. Those that the image does not have are left out.
    """

    def __init__(self, spec: TargetSpec, image: Path, stages: tuple[str, ...], extra: tuple[str, ...] = ()) -> None:
        addresses = function_addresses(image)
        self._stages = tuple(name for name in stages if name in addresses)
        self._scratch = tempfile.TemporaryDirectory(prefix="eishil-counts-")
        self._counts = Path(self._scratch.name) / "counts"
        arguments = [str(build_plugin()), f"out={self._counts}"]
        arguments += [f"stage={addresses[name]:#x}" for name in self._stages]
        arguments += [f"handler={addresses[name]:#x}" for name in INTERRUPTS if name in addresses]
        super().__init__(spec, image, ["-plugin", ",".join(arguments), *extra])

    def finish(self) -> dict[str, Count]:
        """Stop the board and read what was counted; the stage "" is everything outside of all others."""
        if self._process is None:
            raise ToolError(f"target {self.name} is not running: nothing was counted")
        # QEMU lets its plugins write at an orderly exit.
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> dict[str, Count]:
        """Like `finish` for a program that ends by itself."""
        assert self._process is not None
        try:
            self._process.wait(_EXIT_TIMEOUT_s)
        except subprocess.TimeoutExpired:
            raise ToolError(f"target {self.name} did not end within {_EXIT_TIMEOUT_s:g} s") from None
        image = code_of(self._image) if self.spec.machine in CORTEX_M4_MACHINES else None
        counts = read_counts(self._counts, image, ("", *self._stages))
        self._scratch.cleanup()
        return counts


def build_plugin(cache: Path | None = None) -> Path:
    """The plugin as a shared library; built where its sources, named by their hash, have not been built before."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise ToolError("cc is not installed: sudo apt-get install gcc")
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(PLUGIN_SOURCES.glob("*.[ch]")))).hexdigest()
    folder = cache or PLUGIN_SOURCES.parents[2] / "build" / "qemu_plugin"
    library = folder / f"stage_counts-{digest[:12]}.so"
    if not library.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = library.with_suffix(f".{os.getpid()}")
        options = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden"]
        command = [compiler, *options, "-o", str(unfinished), str(PLUGIN_SOURCES / "stage_counts.c")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise ToolError(f"building QEMU's plugin failed: {done.stderr.strip().splitlines()[-1]}")
        unfinished.replace(library)
    return library


def read_counts(path: Path, image: Image | None, stages: tuple[str, ...]) -> dict[str, Count]:
    """What the plugin wrote, without cycles where there is no image; ToolError where it did not come to its end."""
    lines = path.read_text(encoding="ascii").splitlines() if path.is_file() else []
    if lines[-1:] != ["end"]:
        raise ToolError("QEMU's plugin wrote no counts; a QEMU with plugins is needed, as Debian's 7.2 is")
    records = [line.split() for line in lines[:-1]]
    executions: dict[int, list[Execution]] = {k: [] for k in range(len(stages))}
    for _, stage, address, executed, left in (record for record in records if record[0] == "insn"):
        executions[int(stage)].append(Execution(int(address, 16), int(executed), int(left)))
    added = {
        kind: {int(stage): int(cycles) for _, stage, cycles in (record for record in records if record[0] == kind)}
        for kind in ("flash", "split")
    }
    calls = {int(record[1]): tuple(map(int, record[2:])) for record in records if record[0] == "calls"}
    counts = {}
    for k, name in enumerate(stages):
        cycles = estimate_cycles(image, executions[k]) + added["split"][k] if image is not None else 0
        instructions = sum(execution.executed for execution in executions[k])
        entries, least, most = calls[k]
        counts[name] = Count(entries, instructions, cycles, cycles + added["flash"][k], least, most)
    return counts


def code_of(elf: Path) -> Image:
    """The code of an ELF file by address."""
    with elf.open("rb") as stream:
        segments = ELFFile(stream).iter_segments("PT_LOAD")
        return Image({int(segment["p_paddr"]): bytes(segment.data()) for segment in segments})


def function_addresses(elf: Path) -> Mapping[str, int]:
    """Functions of an ELF file by name, without Thumb's lowest bit."""
    with elf.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        if not isinstance(table, SymbolTableSection):
            raise ToolError(f"{elf}: has no symbols")
        functions = (symbol for symbol in table.iter_symbols() if symbol["st_info"]["type"] == "STT_FUNC")
        return {symbol.name: symbol["st_value"] & ~1 for symbol in functions}
