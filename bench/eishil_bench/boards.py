"""Boards: which of the roster's are connected."""

from __future__ import annotations

from collections.abc import Sequence

from eishil.errors import TargetError
from eishil_bench.dut import TargetSpec, target_spec


def chosen_targets(names: Sequence[str], port: str | None = None) -> list[TargetSpec]:
    """The targets of a run, in order."""
    specs = [target_spec(name) for name in dict.fromkeys(names)]
    if port is not None and len(specs) > 1:
        raise TargetError("--port names one board's port; leave it out with several targets")
    return specs
