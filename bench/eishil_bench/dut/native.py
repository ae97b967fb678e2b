"""The firmware as a process of this machine: bit for bit what the board computes, without a count."""

from __future__ import annotations

from pathlib import Path

from eishil.errors import TargetError
from eishil_bench.dut.base import TargetSpec
from eishil_bench.dut.process import ProcessDut


class NativeDut(ProcessDut):
    """Runs the image; its line is standard input and output."""

    def __init__(self, spec: TargetSpec, program: Path) -> None:
        super().__init__(spec)
        self._program = program.resolve()

    def _command(self, line: int) -> list[str]:
        if not self._program.is_file():
            raise TargetError(f"target {self.name}: {self._program} is not there; `eishil build RECIPE` makes it")
        return [str(self._program)]

    def _on_standard_streams(self) -> bool:
        return True
