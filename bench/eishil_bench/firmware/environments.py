"""Environments of platformio.ini: which builds there are."""

from __future__ import annotations

import configparser

from eishil_bench.firmware import toolchain


def builds_of(board_env: str) -> dict[str, str]:
    """Environments by what their name adds to the board's: "" is the int8 build."""
    prefix = f"{board_env}_"
    found = {name.removeprefix(prefix): name for name in environments() if name.startswith(prefix)}
    return {"int8": board_env, **found}


def boards() -> list[str]:
    """Environments of platformio.ini that make an image for a board."""
    return [name for name in environments() if not name.startswith("native")]


def definitions_of(env: str) -> list[str]:
    """What an environment of platformio.ini defines for the preprocessor beyond the one that it extends."""
    flags = _platformio_ini().get(f"env:{env}", "build_flags", fallback="").split()
    return [flag for flag in flags if flag.startswith("-D")]


def environments() -> list[str]:
    """All environments of platformio.ini."""
    parser = _platformio_ini()
    return [section.removeprefix("env:") for section in parser.sections() if section.startswith("env:")]


def _platformio_ini() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(toolchain.PROJECT_ROOT / "platformio.ini", encoding="utf-8")
    return parser
