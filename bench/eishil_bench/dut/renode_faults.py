"""Faults that only an emulator can give: a core that loses power within a step, memory that forgets, a slow clock.

Every function wants a running target, whose virtual time stands still meanwhile.
"""

from __future__ import annotations

from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from eishil.errors import TargetError
from eishil_bench.dut.renode import RenodeDut
from eishil_bench.dut.renode_monitor import MonitorError


def reset_core(dut: RenodeDut) -> None:
    """Reset core and peripherals where they stand; RAM keeps its contents, as on a board."""
    dut.monitor.execute("machine Reset")


def flip_bit(dut: RenodeDut, address: int, bit: int) -> None:
    """Invert one bit of a byte in RAM or flash; TargetError where the memory does not take it."""
    before = read_byte(dut, address)
    wanted = before ^ (1 << bit)
    dut.monitor.execute(f"sysbus WriteByte 0x{address:08X} 0x{wanted:02X}")
    found = read_byte(dut, address)
    if found != wanted:
        raise TargetError(
            f"{dut.name}: expected {wanted:#04x} at {address:#010x} after a bit was flipped, got {found:#04x}"
        )


def read_byte(dut: RenodeDut, address: int) -> int:
    """One byte of memory."""
    return _number(dut, f"sysbus ReadByte 0x{address:08X}")


def read_word(dut: RenodeDut, address: int) -> int:
    """Four bytes of memory, or a register."""
    return _number(dut, f"sysbus ReadDoubleWord 0x{address:08X}")


def executed_instructions(dut: RenodeDut) -> int:
    """Instructions since the start, as the core counts them."""
    return _number(dut, "cpu ExecutedInstructions")


def program_counter(dut: RenodeDut) -> int:
    """Address of the next instruction."""
    return _number(dut, "cpu PC")


def set_speed(dut: RenodeDut, mips: int) -> None:
    """Let an instruction last 1 / mips microseconds. The DWT's clock stays: it counts 100 / mips per instruction."""
    dut.monitor.execute(f"cpu PerformanceInMips {mips}")


def symbol(image: Path, name: str) -> tuple[int, int]:
    """Address and size of a symbol of an ELF file; TargetError where it has none of that name."""
    with image.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        found = table.get_symbol_by_name(name) if isinstance(table, SymbolTableSection) else None
        if not found:
            raise TargetError(f"{image}: has no symbol {name}")
        return int(found[0]["st_value"]) & ~1, int(found[0]["st_size"])


def _number(dut: RenodeDut, command: str) -> int:
    answer = dut.monitor.execute(command)
    try:
        return int(answer, 0)
    except ValueError:
        raise MonitorError(f"{dut.name}: expected a number from '{command}', got {answer!r}") from None
