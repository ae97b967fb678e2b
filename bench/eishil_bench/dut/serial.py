"""A board on a serial port. Written against pyserial's documentation and pseudo terminals; not tried on hardware."""

from __future__ import annotations

import errno
import os
import subprocess
import termios
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eishil.errors import LineClosedError, TargetError
from eishil_bench.boards.locks import BoardLock
from eishil_bench.dut.base import DutBase, TargetSpec

_WRITE_TIMEOUT_s = 10.0
_RESET_TIMEOUT_s = 30.0
_RETURN_TIMEOUT_s = 10.0  # of a port that goes with the board's power
_MAX_READ_BYTES = 4096
_FAILURES = (OSError, termios.error)  # pyserial lets through what a port says whose device is gone
UDEV_RULE = 'SUBSYSTEMS=="usb", ATTRS{idVendor}=="0483", TAG+="uaccess"'
UDEV_FILE = "/etc/udev/rules.d/70-st-link.rules"


def is_candidate(spec: TargetSpec, port: Any) -> bool:
    """Whether a `serial.tools.list_ports` record may be the target's board."""
    if port.vid is None or f"{port.vid:04x}:{port.pid:04x}" not in spec.usb_ids:
        return False
    return not spec.serial_number or spec.serial_number == getattr(port, "serial_number", None)


def connected_ports() -> list[Any]:
    """`serial.tools.list_ports` records of what is connected."""
    from serial.tools import list_ports

    return list(list_ports.comports())


def find_port(spec: TargetSpec, ports: Iterable[Any]) -> str:
    """The one port among `serial.tools.list_ports` records whose USB ids and serial number are the target's.

    Raises
    ------
    TargetError
        There is none, or more than one.
    """
    found = [port for port in ports if is_candidate(spec, port)]
    if not found:
        number = f" and serial number {spec.serial_number}" if spec.serial_number else ""
        raise TargetError(
            f"target {spec.name}: no serial port with the USB ids {', '.join(spec.usb_ids)}{number}; "
            "connect the board or name its port with --port"
        )
    if len(found) > 1:
        names = ", ".join(f"{port.device} with serial number {_number(port)}" for port in found)
        raise TargetError(
            f"target {spec.name}: more than one board ({names}); choose one with --port, "
            "or by its serial_number in your targets.toml"
        )
    return str(found[0].device)


def board_key(port: str, ports: Iterable[Any]) -> str:
    """What tells a board from others, whichever way its port was named: its serial number, else its port."""
    path = os.path.realpath(port) if port.startswith("/") else port
    numbers = [_number(record) for record in ports if record.device in (port, path) and _number(record) != "unknown"]
    return numbers[0] if numbers else path


def _number(port: Any) -> str:
    return getattr(port, "serial_number", None) or "unknown"


class SerialDut(DutBase):
    """A board whose line is a serial port or a pyserial URL, held by a lock from start to stop."""

    def __init__(self, spec: TargetSpec, port: str | None = None) -> None:
        super().__init__(spec)
        self._port = port or spec.port
        self._serial: Any = None
        self._lock: BoardLock | None = None

    @property
    def serial_number(self) -> str:
        """Of the USB device that the port belongs to, which is the debug probe's as well; empty where unknown."""
        numbers = [_number(port) for port in connected_ports() if port.device == os.path.realpath(self._port)]
        return next((number for number in numbers if number != "unknown"), self.spec.serial_number)

    def start(self) -> None:
        ports = connected_ports()
        port = self._port or find_port(self.spec, ports)
        lock = BoardLock(self.name, board_key(port, ports))
        lock.acquire()
        self._lock = lock
        self._port = port
        self._serial = self._open()
        self.discard_input()

    def stop(self) -> None:
        line, self._serial = self._serial, None
        lock, self._lock = self._lock, None
        if line is not None:
            line.close()
        if lock is not None:
            lock.release()

    def reset(self) -> None:
        """Start over as the roster says; what was on the line is thrown away.

        With `reset = "none"` the line alone: the device then goes on as it is.
        """
        self._line()
        if self.spec.reset == "pyocd":
            from eishil_bench.boards.flash import reset_board

            reset_board(self.spec, self.serial_number)
        elif self.spec.reset == "command":
            self._power_cycle()
        self.set_baud(self.spec.baud)
        self.discard_input()

    def set_baud(self, baud_Bd: int) -> None:
        """The rate of the port; what is still to be sent goes at the old one."""
        try:
            self._line().flush()
            self._line().baudrate = baud_Bd
        except (*_FAILURES, ValueError) as error:
            raise LineClosedError(f"target {self.name}: the port refuses {baud_Bd} baud: {error}") from None

    def discard_input(self) -> None:
        """Throw away what has arrived and was not read."""
        try:
            self._line().reset_input_buffer()
        except _FAILURES as error:
            raise self._gone(error) from None

    def write(self, data: bytes) -> None:
        try:
            self._line().write(data)
            self._line().flush()
        except _FAILURES as error:
            raise self._gone(error) from None

    def read(self, timeout_s: float) -> bytes:
        line = self._line()
        try:
            line.timeout = max(timeout_s, 0.0)
            data = bytearray(line.read(1))
            # A pyserial URL tells whether something waits and not how much.
            while data and (waiting := line.in_waiting) and len(data) < _MAX_READ_BYTES:
                data += line.read(waiting)
            return bytes(data)
        except _FAILURES as error:
            raise self._gone(error) from None

    def _open(self) -> Any:
        import serial

        try:
            line = serial.serial_for_url(
                self._port, self.spec.baud, timeout=0, write_timeout=_WRITE_TIMEOUT_s, do_not_open=True
            )
            if "://" not in self._port:
                line.exclusive = True
            line.open()
            return line
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise TargetError(f"target {self.name}: {_why(self._port, error)}") from None

    def _power_cycle(self) -> None:
        """The user's command; the port may go with the power and come back under the same name."""
        self._line().close()
        environment = os.environ | {
            "EISHIL_TARGET": self.name,
            "EISHIL_PORT": self._port,
            "EISHIL_SERIAL_NUMBER": self.spec.serial_number,
        }
        command = " ".join(self.spec.reset_command)
        try:
            done = subprocess.run(
                self.spec.reset_command,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_RESET_TIMEOUT_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TargetError(f"target {self.name}: `{command}` took more than {_RESET_TIMEOUT_s:g} s") from None
        except OSError as error:
            raise TargetError(f"target {self.name}: `{command}` cannot be run: {error.strerror}") from None
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip() or b"nothing").decode(errors="replace").splitlines()[-1]
            raise TargetError(f"target {self.name}: `{command}` failed with status {done.returncode}: {said}")
        self._serial = self._reopen()

    def _reopen(self) -> Any:
        deadline = time.monotonic() + _RETURN_TIMEOUT_s
        while True:
            try:
                return self._open()
            except TargetError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _line(self) -> Any:
        if self._serial is None:
            raise TargetError(f"target {self.name} is not open")
        return self._serial

    def _gone(self, error: Exception) -> LineClosedError:
        return LineClosedError(f"target {self.name}: the serial port failed: {error}; was the board unplugged?")


def _why(port: str, error: Exception) -> str:
    """Why a port cannot be opened, and what to do about it."""
    number = getattr(error, "errno", None)
    if number in (errno.EACCES, errno.EPERM):
        return (
            f"no permission to open {port}; write the line {UDEV_RULE} into {UDEV_FILE}, "
            "run `sudo udevadm control --reload` and plug the board in again"
        )
    if number in (errno.EBUSY, errno.EAGAIN):
        return f"cannot open {port}: another program has it open (a terminal?); close it"
    if number == errno.ENOENT and "://" not in port and not Path(port).exists():
        return f"cannot open {port}: there is no such port; `eishil boards` lists what is connected"
    return f"cannot open {port}: {error}"
