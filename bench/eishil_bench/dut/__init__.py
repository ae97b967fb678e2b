"""Devices under test behind one interface; bench/targets.toml is the roster."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from eishil.errors import RecipeError, TargetError
from eishil_bench.dut.base import Dut, TargetSpec

if TYPE_CHECKING:
    from eishil_bench.build import FirmwareImage

__all__ = ["ROSTER", "Dut", "TargetSpec", "load_targets", "open_dut", "require_emulator", "target_spec"]

ROSTER = Path(__file__).resolve().parents[2] / "targets.toml"


def load_targets(path: Path = ROSTER) -> dict[str, TargetSpec]:
    """All targets by name; RecipeError names file and key where the roster is malformed."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{path}: {error}") from None
    try:
        return {name: TargetSpec.model_validate({"name": name, **table}) for name, table in tables.items()}
    except (ValidationError, TypeError) as error:
        raise RecipeError(f"{path}: {_first_problem(error)}") from None


def _first_problem(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "every entry is a table: [name]"
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def target_spec(name: str) -> TargetSpec:
    """The target of that name.

    Raises
    ------
    TargetError
        There is none; the sentence lists the known ones.
    """
    targets = load_targets()
    if name not in targets:
        raise TargetError(f"unknown target {name!r}; known are {', '.join(targets)} (bench/targets.toml)")
    return targets[name]


def require_emulator(spec: TargetSpec) -> None:
    """ToolError where the program that a target runs in is not installed; the sentence says how to get it."""
    if spec.kind == "qemu":
        from eishil_bench.dut.qemu import find_qemu

        find_qemu()
    elif spec.kind == "renode":
        from eishil_bench.dut.renode_process import find_renode

        find_renode()


def open_dut(target: str, image: FirmwareImage, *, port: str | None = None) -> Dut:
    """A target that would run `image`, not started yet.

    Parameters
    ----------
    port
        Serial port of a board; found by its USB ids when None.
    """
    spec = target_spec(target)
    if image.env != spec.env:
        raise TargetError(f"target {target} runs images of {spec.env}, not of {image.env}")
    if spec.kind == "serial":
        from eishil_bench.dut.serial import SerialDut

        return SerialDut(spec, port)
    if port is not None:
        raise TargetError(f"target {target} has no serial port; leave out --port")
    if spec.kind == "qemu":
        from eishil_bench.dut.qemu import QemuDut

        return QemuDut(spec, image.elf)
    if spec.kind == "renode":
        from eishil_bench.dut.renode import RenodeDut

        return RenodeDut(spec, image.elf)
    from eishil_bench.dut.native import NativeDut

    return NativeDut(spec, image.elf)
