"""What the bench knows of a device under test: bytes in, bytes out, power."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, PositiveInt, model_validator

Kind = Literal["native", "qemu", "renode", "serial"]


class TargetSpec(BaseModel):
    """One entry of bench/targets.toml. `env` names an environment of platformio.ini."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str
    kind: Kind
    env: str
    machine: str = ""  # qemu
    platform: str = ""  # renode: a file of bench/emulation/renode, without .repl
    mips: PositiveInt = 100  # renode: million instructions per second of virtual time; a divisor of 1000
    monitor: Literal["stdin", "socket"] = "stdin"  # renode: "socket" opens a port on every network interface
    uart: Literal["monitor", "pty"] = "monitor"  # renode: how bytes reach the device
    line: str = "usart2"  # renode: what the platform calls the UART that is the line
    baud: int = 115200  # serial
    usb_ids: tuple[str, ...] = ()  # serial: vendor:product, hexadecimal
    serial_number: str = ""  # serial: of the USB device, which tells two boards of a kind apart
    port: str = ""  # serial: device name or pyserial URL, where it is not to be found by itself
    probe_target: str = ""  # serial: what pyOCD calls the chip
    window: PositiveInt = 1  # requests on their way at a time (`eishil run --window`)
    covariance_every: PositiveInt = 1  # of so many spectra one is answered with its covariance
    chaos: int | None = None  # seed of a bad line between bench and target (`eishil run --chaos`)
    reset: Literal["pyocd", "command", "none"] = "pyocd"  # serial: how a board is reset
    reset_command: tuple[str, ...] = ()  # serial: program and arguments; see docs/boards.md for its environment

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.reset == "command") != bool(self.reset_command):
            raise ValueError('reset = "command" and reset_command belong together')
        return self


class Dut(Protocol):
    """A device under test. Every method may raise TargetError; its sentence names the target."""

    @property
    def name(self) -> str:
        """The target's name in bench/targets.toml."""

    @property
    def kind(self) -> Kind:
        """How the target is reached."""

    def start(self) -> None:
        """Power on and open the line. The device may need a moment before it listens: bytes sent earlier are lost."""

    def stop(self) -> None:
        """Power off and close the line; harmless when stopped already."""

    def set_baud(self, baud_Bd: int) -> None:
        """The rate of the line, where it has one; a reset and a start give the first one back."""

    def reset(self) -> None:
        """Start over as after power-on, with an empty line."""

    def write(self, data: bytes) -> None:
        """Send all bytes."""

    def read(self, timeout_s: float) -> bytes:
        """Whatever has arrived, waiting up to `timeout_s` for the first byte; b"" when none came.

        Raises
        ------
        TargetError
            The target died; the sentence has its exit code and last words.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class DutBase(ABC):
    """The context manager that every target shares: started inside, stopped outside."""

    def __init__(self, spec: TargetSpec) -> None:
        self.spec = spec

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def kind(self) -> Kind:
        return self.spec.kind

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...

    @abstractmethod
    def write(self, data: bytes) -> None: ...

    @abstractmethod
    def read(self, timeout_s: float) -> bytes: ...

    def set_baud(self, baud_Bd: int) -> None:  # noqa: B027 - most lines have no rate
        """The rate of the line, where it has one."""

    def reset(self) -> None:
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            with contextlib.suppress(Exception):
                self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
