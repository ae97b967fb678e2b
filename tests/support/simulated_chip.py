"""A chip behind a debug port: an emulated Cortex-M core (unicorn), RAM, flash with its controller, debug registers.

Only what a debugger needs: it runs code from RAM, which is where flash algorithms lie, until a breakpoint; firmware in
flash is said to run and is not executed. Registers are those of the ARMv7-M manual and of ST's RM0390, section 3.
"""

from __future__ import annotations

import struct

from unicorn import UC_ARCH_ARM, UC_HOOK_INTR, UC_HOOK_MEM_WRITE, UC_MODE_MCLASS, UC_MODE_THUMB, Uc
from unicorn.arm_const import (
    UC_ARM_REG_LR,
    UC_ARM_REG_MSP,
    UC_ARM_REG_PC,
    UC_ARM_REG_PSP,
    UC_ARM_REG_R0,
    UC_ARM_REG_SP,
    UC_ARM_REG_XPSR,
)

FLASH, FLASH_BYTES = 0x08000000, 0x80000
RAM, RAM_BYTES = 0x20000000, 0x20000
SECTORS = [0x4000] * 4 + [0x10000] + [0x20000] * 3
FLASH_REGISTERS = 0x40023C00
KEYR, SR, CR, OPTCR = 0x04, 0x0C, 0x10, 0x14
KEYS = [0x45670123, 0xCDEF89AB]
CR_PG, CR_SER, CR_MER, CR_STRT, CR_LOCK = 1 << 0, 1 << 1, 1 << 2, 1 << 16, 1 << 31
SR_WRPERR, SR_PGSERR = 1 << 4, 1 << 7
AIRCR, DFSR, DHCSR, DCRSR, DCRDR, DEMCR = 0xE000ED0C, 0xE000ED30, 0xE000EDF0, 0xE000EDF4, 0xE000EDF8, 0xE000EDFC
S_REGRDY, S_HALT, S_RESET_ST = 1 << 16, 1 << 17, 1 << 25
INSTRUCTION_LIMIT = 50_000_000


def component(base: int, part: int, component_class: int) -> dict[int, int]:
    """Identification registers of an Arm component, as its ROM table finds them."""
    cidr = [0x0D, component_class << 4, 0x05, 0xB1]
    pidr = [part & 0xFF, 0xB0 | part >> 8, 0x0B, 0x00]
    words = {base + 0xFF0 + 4 * i: value for i, value in enumerate(cidr)}
    return words | {base + 0xFE0 + 4 * i: value for i, value in enumerate(pidr)} | {base + 0xFD0: 0x04}


# ROM table with SCS, DWT and FPB at their places; CPUID of a Cortex-M4 r0p1; 6 breakpoints, 4 watchpoints; an FPU.
CONSTANTS = {
    0xE00FF000: 0xFFF0F003,
    0xE00FF004: 0xFFF02003,
    0xE00FF008: 0xFFF03003,
    0xE000ED00: 0x410FC241,
    0xE000EF40: 0x10110021,
    0xE0001000: 0x40000000,
    0xE0002000: 0x00000260,
    0xE0042000: 0x10006421,
    **component(0xE00FF000, 0x4C4, 0x1),
    **component(0xE000E000, 0x00C, 0xE),
    **component(0xE0001000, 0x002, 0xE),
    **component(0xE0002000, 0x003, 0xE),
}


class SimulatedChip:
    """`erased` sectors, `programmed` bytes and `resets` are counted; `stuck` maps flash addresses to worn-out bytes."""

    def __init__(self) -> None:
        self.core = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        self.core.mem_map(FLASH, FLASH_BYTES)
        self.core.mem_map(RAM, RAM_BYTES)
        self.core.mem_write(FLASH, b"\xff" * FLASH_BYTES)
        self.core.mmio_map(FLASH_REGISTERS & ~0xFFF, 0x1000, self._on_read, None, self._on_write, None)
        self.core.hook_add(UC_HOOK_INTR, lambda core, number, data: core.emu_stop())
        self.core.hook_add(UC_HOOK_MEM_WRITE, self._on_flash_write, begin=FLASH, end=FLASH + FLASH_BYTES - 1)
        self.erased: list[int] = []
        self.programmed = self.resets = 0
        self.stuck: dict[int, int] = {}
        self._words: dict[int, int] = {}
        self._keys: list[int] = []
        self._cr, self._sr = CR_LOCK, 0
        self.halted, self._reset_seen = False, True

    def flash(self, address: int, size: int) -> bytes:
        """What flash reads as."""
        data = bytearray(self.core.mem_read(address, size))
        for worn, value in self.stuck.items():
            if address <= worn < address + size:
                data[worn - address] = value
        return bytes(data)

    def reset(self) -> None:
        """Registers from the vector table; halted where the debugger asked for it (DEMCR.VC_CORERESET)."""
        self.resets += 1
        self._reset_seen = True
        self._cr, self._sr, self._keys = CR_LOCK, 0, []
        stack, entry = struct.unpack("<II", self.flash(FLASH, 8))
        self.core.reg_write(UC_ARM_REG_SP, stack & ~3)
        self.core.reg_write(UC_ARM_REG_PC, entry & ~1)
        self.halted = bool(self._words.get(DEMCR, 0) & 1 and self._words.get(DHCSR, 0) & 1)

    def read(self, address: int, size: int) -> int:
        """What a debugger reads at an address."""
        if FLASH <= address < FLASH + FLASH_BYTES:
            return int.from_bytes(self.flash(address, size), "little")
        if RAM <= address < RAM + RAM_BYTES:
            return int.from_bytes(self.core.mem_read(address, size), "little")
        if FLASH_REGISTERS <= address < FLASH_REGISTERS + 0x400:
            return self._register(address - FLASH_REGISTERS)
        if address == DHCSR:
            status = self._words.get(DHCSR, 0) & 0xFFFF | S_REGRDY | (S_HALT if self.halted else 0)
            status |= S_RESET_ST if self._reset_seen else 0
            self._reset_seen = False
            return status
        value = CONSTANTS.get(address & ~3, self._words.get(address & ~3, 0))
        return value >> 8 * (address & 3) & (1 << 8 * size) - 1

    def write(self, address: int, size: int, value: int) -> None:
        """What a debugger writes; flash does not take it."""
        if RAM <= address < RAM + RAM_BYTES:
            self.core.mem_write(address, value.to_bytes(size, "little"))
        elif FLASH_REGISTERS <= address < FLASH_REGISTERS + 0x400:
            self._set_register(address - FLASH_REGISTERS, value)
        elif address == DHCSR and value >> 16 == 0xA05F:
            self._words[DHCSR] = value & 0xFFFF
            self._halt_or_run(bool(value & 1), bool(value & 2))
        elif address == DCRSR:
            self._transfer_register(value & 0x7F, write=bool(value >> 16 & 1))
        elif address == AIRCR and value >> 16 == 0x05FA:
            if value & 0b101:
                self.reset()
        elif address == DFSR:
            self._words[DFSR] = self._words.get(DFSR, 0) & ~value
        elif not (FLASH <= address < FLASH + FLASH_BYTES or address in CONSTANTS):
            self._words[address] = value

    def _halt_or_run(self, debug: bool, halt: bool) -> None:
        if halt or not debug or not self.halted:
            self.halted = debug and (halt or self.halted)
            return
        pc = self.core.reg_read(UC_ARM_REG_PC)
        self.halted = False
        if RAM <= pc < RAM + RAM_BYTES:
            self.core.emu_start(pc | 1, FLASH + FLASH_BYTES, count=INSTRUCTION_LIMIT)
            self.halted = True
            self._words[DFSR] = self._words.get(DFSR, 0) | 2  # a breakpoint

    def _transfer_register(self, number: int, *, write: bool) -> None:
        names = {13: UC_ARM_REG_SP, 14: UC_ARM_REG_LR, 15: UC_ARM_REG_PC, 16: UC_ARM_REG_XPSR}
        names |= {17: UC_ARM_REG_MSP, 18: UC_ARM_REG_PSP}
        register = UC_ARM_REG_R0 + number if number < 13 else names.get(number)
        if register is None:
            self._words[DCRDR] = 0
        elif write:
            self.core.reg_write(register, self._words.get(DCRDR, 0))
        else:
            self._words[DCRDR] = self.core.reg_read(register)

    def _on_read(self, core: Uc, offset: int, size: int, data: object) -> int:
        return self._register(offset - (FLASH_REGISTERS & 0xFFF))

    def _on_write(self, core: Uc, offset: int, size: int, value: int, data: object) -> None:
        self._set_register(offset - (FLASH_REGISTERS & 0xFFF), value)

    def _register(self, offset: int) -> int:
        return {SR: self._sr, CR: self._cr, OPTCR: 0x0FFFAAED}.get(offset, 0)

    def _set_register(self, offset: int, value: int) -> None:
        if offset == KEYR:
            self._keys = [*self._keys, value][-2:]
            if self._keys == KEYS:
                self._cr &= ~CR_LOCK
        elif offset == SR:
            self._sr &= ~value
        elif offset == CR and not self._cr & CR_LOCK:
            self._cr = value & ~CR_STRT
            if value & CR_STRT:
                self._erase(range(len(SECTORS)) if value & CR_MER else [value >> 3 & 0xF])

    def _erase(self, sectors: object) -> None:
        for sector in sectors:
            self.core.mem_write(FLASH + sum(SECTORS[:sector]), b"\xff" * SECTORS[sector])
            self.erased.append(sector)

    def _on_flash_write(self, core: Uc, access: int, address: int, size: int, value: int, data: object) -> None:
        """Flash takes a write where it is unlocked, told to program, and erased; anything else sets an error flag."""
        erased = core.mem_read(address, size) == b"\xff" * size
        if self._cr & CR_LOCK or not self._cr & CR_PG or not erased:
            self._sr |= SR_WRPERR | SR_PGSERR
            core.emu_stop()
        self.programmed += size
