"""The board's image under QEMU, in instruction time.

With `-icount shift=0` an instruction lasts one nanosecond of virtual time; `sleep=off` lets idle time pass at once.
TIM2 then counts executed instructions. A reset is a new QEMU: RAM and counters start as after power-on.

The line goes through QEMU's multiplexer, which has nothing to multiplex, but holds 32 bytes that the emulated UART
takes without waking QEMU's main loop for each. A step then costs QEMU half the processor time.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from eishil.errors import TargetError, ToolError
from eishil_bench.dut.base import TargetSpec
from eishil_bench.dut.process import ProcessDut

PROGRAM = "qemu-system-arm"
# QEMU's multiplexer takes one byte value for its own commands: here one that no byte has.
_NO_ESCAPE = ("-echr", "0x100")


def find_qemu() -> str:
    """The program; ToolError where it is not installed."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise ToolError(f"{PROGRAM} is not installed: sudo apt-get install qemu-system-arm")
    return program


class QemuDut(ProcessDut):
    """Runs the image on an emulated machine; its line is the second serial port, USART2.

    Parameters
    ----------
    extra
        Further arguments of QEMU, for instance a debugger's socket.
    """

    def __init__(self, spec: TargetSpec, image: Path, extra: Sequence[str] = ()) -> None:
        super().__init__(spec)
        self._image = image.resolve()
        self._extra = list(extra)

    def _command(self, line: int) -> list[str]:
        program = find_qemu()
        if not self._image.is_file():
            raise TargetError(f"target {self.name}: {self._image} is not there; `eishil build RECIPE` makes it")
        machine = ["-machine", self.spec.machine, "-kernel", str(self._image), "-icount", "shift=0,sleep=off"]
        no_screen = ["-display", "none", "-monitor", "none", "-parallel", "none"]
        serial = ["-chardev", f"socket,id=line,fd={line},mux=on", "-serial", "null", "-serial", "chardev:line"]
        return [program, *machine, *no_screen, *serial, *_NO_ESCAPE, *self._extra]
