"""A board on a serial port. Written against pyserial's and pyOCD's documentation; not tried on hardware."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

from eishil.errors import TargetError, ToolError
from eishil_bench.dut.base import DutBase, TargetSpec

_WRITE_TIMEOUT_s = 10.0
_RESET_TIMEOUT_s = 30.0


def find_port(spec: TargetSpec, ports: Iterable[Any]) -> str:
    """The one port among `serial.tools.list_ports` records whose USB ids are the target's.

    Raises
    ------
    TargetError
        There is none, or more than one.
    """
    found = [port.device for port in ports if port.vid is not None and f"{port.vid:04x}:{port.pid:04x}" in spec.usb_ids]
    if not found:
        raise TargetError(
            f"target {spec.name}: no serial port with the USB ids {', '.join(spec.usb_ids)}; "
            "connect the board or name its port with --port"
        )
    if len(found) > 1:
        raise TargetError(f"target {spec.name}: more than one board ({', '.join(found)}); choose one with --port")
    return str(found[0])


class SerialDut(DutBase):
    """A board whose line is a serial port and whose reset is its debug probe's."""

    def __init__(self, spec: TargetSpec, port: str | None = None) -> None:
        super().__init__(spec)
        self._port = port
        self._serial: Any = None

    def start(self) -> None:
        import serial
        from serial.tools import list_ports

        port = self._port or find_port(self.spec, list_ports.comports())
        try:
            self._serial = serial.Serial(
                port, self.spec.baud, timeout=0, write_timeout=_WRITE_TIMEOUT_s, exclusive=True
            )
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise TargetError(f"target {self.name}: cannot open {port}: {error}") from None
        self._serial.reset_input_buffer()

    def stop(self) -> None:
        port, self._serial = self._serial, None
        if port is not None:
            port.close()

    def reset(self) -> None:
        """Hardware reset through the probe; the port stays open, what was on the line is thrown away."""
        if find_spec("pyocd") is None:
            raise ToolError(f"target {self.name}: a reset needs pyOCD: pip install 'eishil[firmware]'")
        command = [sys.executable, "-m", "pyocd", "reset", "--no-wait", "--target", self.spec.probe_target]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_RESET_TIMEOUT_s, check=False)
        except subprocess.TimeoutExpired:
            raise TargetError(f"target {self.name}: pyOCD took more than {_RESET_TIMEOUT_s:g} s to reset it") from None
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
            raise TargetError(f"target {self.name}: pyOCD could not reset it: {said}")
        self._line().reset_input_buffer()

    def write(self, data: bytes) -> None:
        try:
            self._line().write(data)
            self._line().flush()
        except OSError as error:
            raise self._gone(error) from None

    def read(self, timeout_s: float) -> bytes:
        line = self._line()
        try:
            line.timeout = max(timeout_s, 0.0)
            first: bytes = line.read(1)
            return first + bytes(line.read(line.in_waiting)) if first else b""
        except OSError as error:
            raise self._gone(error) from None

    def _line(self) -> Any:
        if self._serial is None:
            raise TargetError(f"target {self.name} is not open")
        return self._serial

    def _gone(self, error: OSError) -> TargetError:
        return TargetError(f"target {self.name}: the serial port failed: {error}; was the board unplugged?")
