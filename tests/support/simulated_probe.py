"""A debug probe for pyOCD that is wired to a `SimulatedChip`: debug port, one MEM-AP, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pyocd.core import exceptions
from pyocd.probe.debug_probe import DebugProbe

from support.simulated_chip import SimulatedChip

CSW, TAR, DRW, BASE, IDR = 0x00, 0x04, 0x0C, 0xF8, 0xFC
AHB_AP_IDR, ROM_TABLE = 0x24770011, 0xE00FF003


class SimulatedProbe(DebugProbe):
    """`chips` are what is connected, by serial number. `vanish_after` transfers the probe is gone."""

    chips: ClassVar[dict[str, SimulatedChip]] = {}
    vanish_after: ClassVar[int | None] = None

    @classmethod
    def get_all_connected_probes(cls, unique_id: str | None = None, is_explicit: bool = False) -> list[DebugProbe]:
        return [cls(number) for number in cls.chips]

    @classmethod
    def get_probe_with_id(cls, unique_id: str, is_explicit: bool = False) -> DebugProbe | None:
        return cls(unique_id) if unique_id in cls.chips else None

    def __init__(self, serial_number: str) -> None:
        super().__init__()
        self._serial_number = serial_number
        self._chip = self.chips[serial_number]
        self._open = False
        self._protocol: DebugProbe.Protocol | None = None
        self._dp = {0x0: 0x2BA01477}
        self._csw, self._tar = 0x23000042, 0
        self._transfers = 0

    vendor_name = "eishil"
    product_name = "simulated probe"
    supported_wire_protocols = (DebugProbe.Protocol.DEFAULT, DebugProbe.Protocol.SWD)
    capabilities = frozenset({DebugProbe.Capability.MANAGED_AP_SELECTION, DebugProbe.Capability.MANAGED_DPBANKSEL})

    @property
    def unique_id(self) -> str:
        return self._serial_number

    @property
    def wire_protocol(self) -> DebugProbe.Protocol | None:
        return self._protocol

    @property
    def is_open(self) -> bool:
        return self._open

    def open(self) -> None:
        self._open = True

    def close(self) -> None:
        self._open = False

    def connect(self, protocol: DebugProbe.Protocol | None = None) -> None:
        self._protocol = DebugProbe.Protocol.SWD

    def disconnect(self) -> None:
        self._protocol = None

    def set_clock(self, frequency: float) -> None: ...

    def reset(self) -> None:
        self._chip.reset()

    def assert_reset(self, asserted: bool) -> None:
        if asserted:
            self._chip.reset()

    def is_reset_asserted(self) -> bool:
        return False

    def read_dp(self, addr: int, now: bool = True) -> int | Callable[[], int]:
        self._transfer()
        # CTRL/STAT acknowledges every request for power at once.
        value = self._dp.get(addr, 0)
        return self._answer(value | (value & 0x50000000) << 1 if addr == 0x4 else value, now)

    def write_dp(self, addr: int, data: int) -> None:
        self._transfer()
        if addr != 0x0:
            self._dp[addr] = data

    def read_ap(self, addr: int, now: bool = True) -> int | Callable[[], int]:
        self._transfer()
        return self._answer(self._read_register(addr), now)

    def write_ap(self, addr: int, data: int) -> None:
        self._transfer()
        register = addr & 0xFF
        if addr >> 24:
            return
        if register == CSW:
            self._csw = data | 0x40
        elif register == TAR:
            self._tar = data
        elif register == DRW:
            size = 1 << (self._csw & 3)
            self._chip.write(self._tar, size, data >> 8 * (self._tar & 3) & (1 << 8 * size) - 1)
            self._advance(size)

    def read_ap_multiple(self, addr: int, count: int = 1, now: bool = True) -> Any:
        values = [self.read_ap(addr) for _ in range(count)]
        return values if now else lambda: values

    def write_ap_multiple(self, addr: int, values: Any) -> None:
        for value in values:
            self.write_ap(addr, value)

    def _read_register(self, addr: int) -> int:
        if addr >> 24:
            return 0
        register = addr & 0xFF
        if register != DRW:
            return {CSW: self._csw, TAR: self._tar, BASE: ROM_TABLE, IDR: AHB_AP_IDR}.get(register, 0)
        size = 1 << (self._csw & 3)
        value = self._chip.read(self._tar, size) << 8 * (self._tar & 3)
        self._advance(size)
        return value

    def _advance(self, size: int) -> None:
        """Auto-increment, which wraps within 4 kB as on a Cortex-M4."""
        if self._csw >> 4 & 3:
            self._tar = self._tar & ~0xFFF | (self._tar + size) & 0xFFF

    def _transfer(self) -> None:
        self._transfers += 1
        if self.vanish_after is not None and self._transfers > self.vanish_after:
            raise exceptions.ProbeDisconnected("no such device (it may have been disconnected)")

    @staticmethod
    def _answer(value: int, now: bool) -> int | Callable[[], int]:
        return value if now else lambda: value
