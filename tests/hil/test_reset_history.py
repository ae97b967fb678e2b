"""What survives a reset, and why the core started: history.c and each family's reset flags on memory of our own.

No emulator here resets by a watchdog, so that the logic is what can be tested: the port's own files, compiled for this
machine, with an array in the place of the registers. Bits are those of the reference manuals' chapters "Reset and clock
control": RCC_CSR of RM0390 and RM0383 (F4), RM0351 (L4), RM0440 (G4), RCC_RSR of RM0433 (H7).
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import cffi
import pytest

from eishil import wire

PORT = Path(__file__).resolve().parents[2] / "firmware" / "port"
FAULT = wire.ENUMS["fault"]
# Address of the flags, and the bits: software reset, power-on or brown-out, watchdog, and "remove these flags".
FAMILIES = {
    "f4": (0x40023874, 28, (25, 27), 29, 24),
    "l4": (0x40021094, 28, (27,), 29, 23),
    "g4": (0x40021094, 28, (27,), 29, 23),
    "h7": (0x580244D0, 24, (21, 23), 26, 16),
}
# Registers by their lowest bits: none that these files touch collide.
FAKE = r"""
#include <stdint.h>
extern uint32_t fake_memory[4096];
#define REGISTER(address) (*(volatile uint32_t *)&fake_memory[(address) / 4 % 4096])
"""
INTERFACE = """
typedef struct { uint32_t boot_count, fault, fault_count, fault_address; } port_history_t;
extern uint32_t fake_memory[4096];
void history_init(void);
port_history_t port_history(void);
void fake_fault(uint32_t fault, uint32_t address);
"""
# history_fail resets the core and does not return; here it jumps back.
HARNESS = r"""
#include <setjmp.h>
#include "history.h"
uint32_t fake_memory[4096];
static jmp_buf back;
void fake_reset(void);
void fake_reset(void) { longjmp(back, 1); }
void fake_fault(uint32_t fault, uint32_t address);
void fake_fault(uint32_t fault, uint32_t address)
{
    if (setjmp(back) == 0) {
        history_fail((port_fault_kind_t)fault, address);
    }
}
"""


class Board:
    """The history of one board; its RAM is kept until the library is unloaded."""

    def __init__(self, library: Path, ffi: cffi.FFI, family: str) -> None:
        self.lib = ffi.dlopen(str(library))
        address, self.software, self.power_on, self.watchdog, self.remove = FAMILIES[family]
        self.flags = address // 4 % 4096

    def start(self, *bits: int) -> tuple[int, str, int, int]:
        """Start with these reset flags; boot count, last fault, its count and address."""
        self.lib.fake_memory[self.flags] = sum(1 << bit for bit in bits)
        self.lib.history_init()
        assert self.lib.fake_memory[self.flags] >> self.remove & 1, "the flags are cleared for the next start"
        history = self.lib.port_history()
        name = next(name for name, value in FAULT.items() if value == history.fault)
        return history.boot_count, name, history.fault_count, history.fault_address


@pytest.fixture(params=FAMILIES)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Board:
    (tmp_path / "fake.h").write_text(FAKE)
    (tmp_path / "harness.c").write_text(HARNESS)
    source = (PORT / "cortex_m" / "history.c").read_text()
    # The two instructions of an Arm core, and the endless loop that waits for the reset.
    source = source.replace('__asm volatile("dsb" ::: "memory");', "").replace("for (;;) {\n    }", "fake_reset();")
    source = source.replace('#include "history.h"', '#include "history.h"\n_Noreturn void fake_reset(void);')
    (tmp_path / "history.c").write_text(source)
    compiler = shutil.which("cc")
    assert compiler, "cc is not installed: apt-get install gcc"
    folders = ("cortex_m", "stm32/common", f"stm32/{request.param}")
    includes = [f"-I{PORT}", *(f"-I{PORT / folder}" for folder in folders), "-include", str(tmp_path / "fake.h")]
    sources = [tmp_path / "history.c", tmp_path / "harness.c", PORT / "stm32" / "common" / "reset_cause.c"]
    library = tmp_path / "history.so"
    flags = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-overflow", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, *includes, *map(str, sources), "-o", str(library)], check=True, timeout=60)
    ffi = cffi.FFI()
    ffi.cdef(INTERFACE)
    return Board(library, ffi, request.param)


def test_power_on_starts_a_new_history(board: Board) -> None:
    for bit in board.power_on:
        assert board.start(bit) == (0, "NONE", 0, 0)
    board.lib.fake_fault(FAULT["HARD_FAULT"], 0x08001234)
    for bit in board.power_on:
        assert board.start(bit, board.watchdog) == (0, "NONE", 0, 0)


def test_a_watchdog_reset_is_named_and_counted(board: Board) -> None:
    board.start(*board.power_on)
    assert board.start(board.watchdog) == (1, "WATCHDOG", 1, 0)
    assert board.start(board.watchdog) == (2, "WATCHDOG", 2, 0)
    assert board.start(board.software) == (3, "WATCHDOG", 2, 0)


def test_a_fault_is_kept_over_its_reset(board: Board) -> None:
    board.start(*board.power_on)
    board.lib.fake_fault(FAULT["HARD_FAULT"], 0x08001234)
    assert board.start(board.software) == (1, "HARD_FAULT", 1, 0x08001234)
    board.lib.fake_fault(FAULT["STACK_OVERFLOW"], 0)
    assert board.start(board.software) == (2, "STACK_OVERFLOW", 2, 0)


def test_ram_that_holds_no_record_starts_a_new_history(board: Board) -> None:
    """As after a power-on that the flags do not tell: zeros are no record."""
    assert board.start(board.software) == (0, "NONE", 0, 0)
    assert board.start(board.software) == (1, "NONE", 0, 0)
