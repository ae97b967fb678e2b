"""Chips that pyOCD has no built-in support for, where it ships a flash algorithm for the same flash controller.

STM32F411xE (RM0383) and STM32F446xE (RM0390) have the flash interface of the STM32F412xE (RM0402): registers at
0x40023C00, keys, sectors of 4 x 16, 64 and 3 x 128 kB. STM32L476xG is in one reference manual (RM0351) with the
STM32L475xG. None of them was tried on hardware. Others come as CMSIS packs, which are a download.
"""

from __future__ import annotations

from typing import Any

from pyocd.core.memory_map import FlashRegion, MemoryMap, RamRegion
from pyocd.target import TARGET
from pyocd.target.builtin.target_STM32F412xx import FLASH_ALGO, STM32F412xE
from pyocd.target.builtin.target_STM32L475xx import STM32L475xG


def _f4_flash(start: int, length: int, sector_bytes: int) -> FlashRegion:
    boot = start == 0x08000000
    return FlashRegion(
        start=start, length=length, sector_size=sector_bytes, page_size=0x1000, is_boot_memory=boot, algo=FLASH_ALGO
    )


class STM32F446xE(STM32F412xE):  # type: ignore[misc]  # pyOCD has no types
    """512 kB of flash, 128 kB of RAM; as well an STM32F411xE."""

    MEMORY_MAP = MemoryMap(
        _f4_flash(0x08000000, 0x10000, 0x4000),
        _f4_flash(0x08010000, 0x10000, 0x10000),
        _f4_flash(0x08020000, 0x60000, 0x20000),
        RamRegion(start=0x20000000, length=0x20000),
    )


TARGETS: dict[str, Any] = {"stm32f446re": STM32F446xE, "stm32f411re": STM32F446xE, "stm32l476rg": STM32L475xG}


def register() -> None:
    """Make these chips known to pyOCD; what it knows already, from a pack for one, is left as it is."""
    for name, target in TARGETS.items():
        TARGET.setdefault(name, target)
