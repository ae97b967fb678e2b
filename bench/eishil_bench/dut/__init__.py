"""Devices under test behind one interface; bench/targets.toml is the roster."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from eishil.errors import RecipeError, TargetError
from eishil.validation import first_mistake
from eishil_bench.dut.base import Dut, TargetSpec

if TYPE_CHECKING:
    from eishil_bench.firmware.build import FirmwareImage

__all__ = ["ROSTER", "Dut", "TargetSpec", "load_targets", "open_dut", "require_target", "target_spec", "user_roster"]

ROSTER = Path(__file__).resolve().parents[2] / "targets.toml"
USER_ROSTER_VARIABLE = "EISHIL_TARGETS"


def user_roster() -> Path:
    """The user's own roster: `EISHIL_TARGETS`, else `eishil/targets.toml` where the user's settings lie."""
    settings = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(os.environ.get(USER_ROSTER_VARIABLE) or Path(settings) / "eishil" / "targets.toml")


def load_targets(path: Path = ROSTER, over: Path | None = None) -> dict[str, TargetSpec]:
    """All targets by name, those of the user's file over those of the bench.

    A table of the user's file changes the keys that it names; with `like = "<target>"` it begins as a copy of it.
    RecipeError names file and key where a roster is malformed or the file that the environment names is missing.
    """
    over = over or user_roster()
    targets, files = _tables(path), dict.fromkeys(_tables(path), path)
    if over.is_file() or USER_ROSTER_VARIABLE in os.environ:
        for name, changes in _tables(over).items():
            base = changes.pop("like", name)
            if base != name and base not in targets:
                raise RecipeError(f"{over}: {name}.like: there is no target {base!r}; known are {', '.join(targets)}")
            targets[name] = targets.get(base, {}) | changes
            files[name] = over
    return {name: _spec(files[name], name, table) for name, table in targets.items()}


def _tables(path: Path) -> dict[str, dict[str, Any]]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: the roster cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: this is not TOML: {error}") from None
    if not all(isinstance(table, dict) for table in tables.values()):
        raise RecipeError(f"{path}: every entry is a table: [name]")
    return tables


def _spec(path: Path, name: str, table: dict[str, Any]) -> TargetSpec:
    try:
        return TargetSpec.model_validate({"name": name, **table})
    except ValidationError as error:
        raise RecipeError(f"{path}: {first_mistake(error, name)}") from None


def target_spec(name: str) -> TargetSpec:
    """The target of that name.

    Raises
    ------
    TargetError
        There is none; the sentence lists the known ones.
    """
    targets = load_targets()
    if name not in targets:
        raise TargetError(
            f"unknown target {name!r}; known are {', '.join(targets)} (bench/targets.toml, {user_roster()})"
        )
    return targets[name]


def require_target(spec: TargetSpec, port: str | None = None) -> None:
    """EishilError where the emulator is not installed or the board not connected; the sentence says what to do."""
    if spec.kind == "qemu":
        from eishil_bench.dut.qemu import find_qemu

        find_qemu()
    elif spec.kind == "renode":
        from eishil_bench.dut.renode_process import find_renode

        find_renode()
    elif spec.kind == "serial" and not (port or spec.port):
        from eishil_bench.dut.serial import connected_ports, find_port

        find_port(spec, connected_ports())


def open_dut(target: str | TargetSpec, image: FirmwareImage, *, port: str | None = None) -> Dut:
    """A target that would run `image`, not started yet.

    Parameters
    ----------
    target
        By its name in the roster, or as such an entry says it.
    port
        Serial port of a board; found by its USB ids when None.
    """
    spec = target_spec(target) if isinstance(target, str) else target
    dut = _open_dut(spec, image, port)
    if spec.chaos is None:
        return dut
    from eishil_bench.link.chaos import ChaosDut

    return ChaosDut(dut, spec.chaos)


def _open_dut(spec: TargetSpec, image: FirmwareImage, port: str | None) -> Dut:
    if image.env != spec.env:
        raise TargetError(f"target {spec.name} runs images of {spec.env}, not of {image.env}")
    if spec.kind == "serial":
        from eishil_bench.dut.serial import SerialDut

        return SerialDut(spec, port)
    if port is not None:
        raise TargetError(f"target {spec.name} has no serial port; leave out --port")
    if spec.kind == "qemu":
        from eishil_bench.dut.qemu import QemuDut

        return QemuDut(spec, image.elf)
    if spec.kind == "renode":
        from eishil_bench.dut.renode import RenodeDut

        return RenodeDut(spec, image.elf)
    from eishil_bench.dut.native import NativeDut

    return NativeDut(spec, image.elf)
