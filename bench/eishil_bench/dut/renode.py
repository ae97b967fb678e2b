"""The board's image under Renode, with the bench as the master of virtual time.

Virtual time passes only inside `read`, in slices of `emulation RunFor`, and stands still while the bench writes or
thinks. A run therefore gives the same bytes and the same counts every time, on whatever machine, and no clock of this
machine has a say in it. An instruction lasts 1 / mips microseconds of that time, whatever it does.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from eishil.errors import RecipeError, TargetError, ToolError
from eishil_bench.dut.base import DutBase, TargetSpec
from eishil_bench.dut.renode_monitor import Monitor, MonitorError, RenodeDiedError
from eishil_bench.dut.renode_process import INSTALL, OLDEST, RenodeProcess
from eishil_bench.dut.renode_uart import MonitorUart, PtyUart, Uart, monitor_path

PLATFORMS = Path(__file__).resolve().parents[2] / "emulation" / "renode"
# From reset until the device listens: clock waits that run into their bounds take most of it.
BOOT_s = 0.02
# A step of the estimator at 100 MIPS and its reply fit into the first slice; waiting for nothing takes longer ones.
SLICE_s = 0.005
LONGEST_SLICE_s = 0.08
_QUANTUM_s = 0.001
_RUN_PATIENCE_s = 300.0
_QUIT_PATIENCE_s = 2.0


def setup_commands(spec: TargetSpec, platform: Path, image: Path, uart: Uart) -> list[str]:
    """Monitor commands from an empty Renode to a loaded machine at its first instruction, in this order."""
    return [
        "using sysbus",
        f'mach create "{spec.platform}"',
        f"machine LoadPlatformDescription {monitor_path(platform)}",
        f"cpu PerformanceInMips {spec.mips}",
        f'emulation SetGlobalQuantum "{_QUANTUM_s:g}"',
        "emulation SetGlobalAdvanceImmediately true",
        *uart.commands(),
        f"sysbus LoadELF {monitor_path(image)}",
    ]


class RenodeDut(DutBase):
    """Runs the image on an emulated board; its line is the UART that leads to the ST-LINK."""

    def __init__(self, spec: TargetSpec, image: Path) -> None:
        super().__init__(spec)
        self._image = image.resolve()
        self._platform = PLATFORMS / f"{spec.platform}.repl"
        if not self._platform.is_file():
            known = ", ".join(sorted(path.stem for path in PLATFORMS.glob("*.repl")))
            raise RecipeError(f"bench/targets.toml: {spec.name}.platform is {spec.platform!r}; there are {known}")
        if 1000 % spec.mips != 0:
            raise RecipeError(f"bench/targets.toml: {spec.name}.mips is {spec.mips}; a divisor of 1000 is needed")
        self._process: RenodeProcess | None = None
        self._monitor: Monitor | None = None
        self._uart: Uart | None = None
        self._sessions = itertools.count(1)

    def new_session(self) -> int:
        """Sessions in a row: a drawn identity would be a number of instructions more or less to decode."""
        return next(self._sessions)

    @property
    def monitor(self) -> Monitor:
        """The monitor of the running Renode, for what only an emulator can do."""
        if self._monitor is None:
            raise TargetError(f"target {self.name} is not running")
        return self._monitor

    @property
    def image(self) -> Path:
        """The ELF file that it runs."""
        return self._image

    def start(self) -> None:
        if self._process is not None:
            raise TargetError(f"target {self.name} is running already")
        if not self._image.is_file():
            raise TargetError(f"target {self.name}: {self._image} is not there; `eishil build RECIPE` makes it")
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        self._process = process = RenodeProcess(f"target {self.name}")
        channel = process.open_stdin() if self.spec.monitor == "stdin" else process.open_socket()
        self._monitor = Monitor(channel, f"target {self.name}", self.spec.platform)
        uart = MonitorUart if self.spec.uart == "monitor" else PtyUart
        self._uart = uart(process.folder, self.spec.line)
        try:
            self._check_version(self._monitor.greet())
        except MonitorError as error:
            raise self._no_greeting(error) from None
        for command in self._setup(process.folder, self._uart):
            self._execute(command)
        self.run_for(BOOT_s)
        if (halted := self._execute("cpu IsHalted")) != "False":
            raise TargetError(f"target {self.name}: expected a running core after {BOOT_s:g} s, got IsHalted {halted}")

    def _setup(self, folder: Path, uart: Uart) -> list[str]:
        """Commands before time begins; `folder` goes with the process."""
        return setup_commands(self.spec, self._platform, self._image, uart)

    def stop(self) -> None:
        process, monitor, uart = self._process, self._monitor, self._uart
        self._process = self._monitor = self._uart = None
        if uart is not None:
            uart.close()
        if monitor is not None:
            monitor.quit(_QUIT_PATIENCE_s)
        if process is not None:
            process.stop()

    def write(self, data: bytes) -> None:
        monitor = self.monitor
        assert self._uart is not None
        try:
            self._uart.write(monitor, data)
        except MonitorError as error:
            raise self._died(error) from None

    def read(self, timeout_s: float) -> bytes:
        """What has arrived; runs virtual time until something does, for `timeout_s` of it at most."""
        data = self._received()
        left_ms, slice_ms = round(timeout_s * 1e3), round(SLICE_s * 1e3)
        while not data and left_ms > 0:
            step_ms = min(left_ms, slice_ms)
            self.run_for(step_ms / 1e3)
            data = self._received()
            left_ms -= step_ms
            slice_ms = min(2 * slice_ms, round(LONGEST_SLICE_s * 1e3))
        return data

    def run_for(self, duration_s: float) -> None:
        """Let that much virtual time pass; rounded to microseconds."""
        self._execute(f'emulation RunFor "{duration_s:.6f}"', _RUN_PATIENCE_s)

    def _received(self) -> bytes:
        if self._uart is None:
            raise TargetError(f"target {self.name} is not running")
        return self._uart.read()

    def _execute(self, command: str, patience_s: float | None = None) -> str:
        try:
            return self.monitor.execute(command) if patience_s is None else self.monitor.execute(command, patience_s)
        except MonitorError as error:
            raise self._died(error) from None

    def _check_version(self, version: tuple[int, int, int]) -> None:
        if version[:2] < OLDEST:
            raise ToolError(f"target {self.name}: this is Renode {'.'.join(map(str, version))}; {INSTALL}")

    def _no_greeting(self, error: MonitorError) -> TargetError:
        hint = ""
        if self.spec.monitor == "stdin":
            hint = (
                '; where its monitor does not work over standard input, monitor = "socket" in bench/targets.toml takes '
                "the telnet one, which Renode opens on every network interface"
            )
        return TargetError(f"{self._died(error)}{hint}")

    def _died(self, error: MonitorError) -> MonitorError:
        """The monitor's sentence, and how the process ended if it did."""
        assert self._process is not None
        epitaph = self._process.epitaph() if self._process.ended() else ""
        return RenodeDiedError(f"{error} ({epitaph})") if epitaph else error
