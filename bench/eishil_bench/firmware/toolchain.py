"""PlatformIO without its registry: a core directory made from what the system has.

Where an `arm-none-eabi-gcc` is installed, PlatformIO runs on a prepared `PLATFORMIO_CORE_DIR` (compiler and SCons by
symbolic link, small stand-ins for its two platforms) and opens no connection. Where none is, PlatformIO's own registry
serves the same platformio.ini.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

from eishil.errors import ToolError

PROJECT_ROOT = Path(__file__).resolve().parents[3]
STAND_INS = PROJECT_ROOT / "firmware" / "toolchain" / "platforms"
COMPILER = "arm-none-eabi-gcc"
OLDEST_COMPILER = (10, 3)
APT_LINE = "sudo apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"
_LOCK_TIMEOUT_s = 120.0
SCONS_LAUNCHER = "import sys\n\nfrom SCons.Script import main\n\nsys.exit(main())\n"


def platformio_environment(cache: Path | None = None) -> dict[str, str]:
    """Environment variables for `pio`: this process's, without PlatformIO settings that would change the build.

    Parameters
    ----------
    cache
        Folder that keeps prepared core directories; `build/platformio-core` of the checkout by default.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PLATFORMIO_")}
    environment |= {"PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no", "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true"}
    if shutil.which(COMPILER):
        environment["PLATFORMIO_CORE_DIR"] = str(prepare_core_dir(cache or PROJECT_ROOT / "build" / "platformio-core"))
    elif core_dir := os.environ.get("PLATFORMIO_CORE_DIR"):
        environment["PLATFORMIO_CORE_DIR"] = core_dir
    return environment


def prepare_core_dir(cache: Path) -> Path:
    """Make, or find, the core directory that fits this machine; its name is a hash of what it was made from.

    Raises
    ------
    ToolError
        The cross compiler, PlatformIO or SCons is missing, or the compiler is too old.
    """
    compiler, version = cross_compiler()
    scons = _package_folder("SCons")
    core_dir = cache / _content_key(compiler, version, scons)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / "lock", timeout=_LOCK_TIMEOUT_s):
            if not core_dir.is_dir():
                _make(core_dir, compiler, version, scons)
    except Timeout:
        raise ToolError(f"{cache}: another build has held the lock for {_LOCK_TIMEOUT_s:g} s") from None
    except OSError as error:
        raise ToolError(f"{cache}: PlatformIO's core directory cannot be made: {error.strerror or error}") from None
    return core_dir


def _make(core_dir: Path, compiler: Path, version: tuple[int, int, int], scons: Path) -> None:
    """All of it or nothing: filled under another name, then renamed."""
    with tempfile.TemporaryDirectory(prefix="new-", dir=core_dir.parent) as scratch:
        filled = Path(scratch) / core_dir.name
        _fill(filled, compiler, version, scons)
        filled.rename(core_dir)


def cross_compiler() -> tuple[Path, tuple[int, int, int]]:
    """Path and version of the system's arm-none-eabi-gcc."""
    found = shutil.which(COMPILER)
    if found is None:
        raise ToolError(f"{COMPILER} is not installed: {APT_LINE}")
    answer = subprocess.run([found, "-dumpfullversion"], capture_output=True, text=True, timeout=30, check=False)
    numbers = [int(part) for part in answer.stdout.strip().split(".") if part.isdigit()]
    if len(numbers) != 3 or tuple(numbers[:2]) < OLDEST_COMPILER:
        said = answer.stdout.strip() or answer.stderr.strip()
        raise ToolError(f"{found}: GCC {OLDEST_COMPILER[0]}.{OLDEST_COMPILER[1]} or newer is needed, this is {said!r}")
    return Path(found), (numbers[0], numbers[1], numbers[2])


def _package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ToolError(f"the Python package {name} is not installed: pip install 'eishil[firmware]'")
    return Path(spec.origin).parent


def _content_key(compiler: Path, version: tuple[int, int, int], scons: Path) -> str:
    digest = hashlib.sha256(repr((str(compiler), version, str(scons), _scons_version())).encode())
    digest.update(Path(__file__).read_bytes())
    for path in sorted(STAND_INS.rglob("*.*")):
        digest.update(path.relative_to(STAND_INS).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _scons_version() -> str:
    """SCons as PlatformIO numbers it: 4.11.1 is 4.41101.0."""
    try:
        major, minor, patch = importlib.metadata.version("scons").split(".")[:3]
    except importlib.metadata.PackageNotFoundError:
        raise ToolError("the Python package scons is not installed: pip install 'eishil[firmware]'") from None
    return f"4.{major}{minor:0>2}{patch:0>2}.0"


def _fill(core_dir: Path, compiler: Path, version: tuple[int, int, int], scons: Path) -> None:
    tool = core_dir / "packages" / "tool-scons"
    tool.mkdir(parents=True)
    (tool / "SCons").symlink_to(scons)
    (tool / "scons.py").write_text(SCONS_LAUNCHER)
    _describe(tool, "tool", "tool-scons", _scons_version())

    toolchain = core_dir / "packages" / "toolchain-gccarmnoneeabi"
    (toolchain / "bin").mkdir(parents=True)
    for program in compiler.parent.glob("arm-none-eabi-*"):
        (toolchain / "bin" / program.name).symlink_to(program)
    _describe(toolchain, "tool", "toolchain-gccarmnoneeabi", "1.{}{:02d}{:02d}.0".format(*version))

    for stand_in in sorted(STAND_INS.iterdir()):
        platform = core_dir / "platforms" / stand_in.name
        shutil.copytree(stand_in, platform)
        manifest = json.loads((platform / "platform.json").read_text())
        _describe(platform, "platform", stand_in.name, manifest["version"])


def _describe(folder: Path, kind: str, name: str, version: str) -> None:
    """Write what PlatformIO's package manager looks a package up by; without the owner the look-up misses it."""
    spec = {"owner": "platformio", "id": None, "name": name, "requirements": None, "uri": None}
    (folder / ".piopm").write_text(json.dumps({"type": kind, "name": name, "version": version, "spec": spec}))
    if kind == "tool":
        (folder / "package.json").write_text(json.dumps({"name": name, "version": version}))


if __name__ == "__main__":  # for a plain `pio run`: docs/firmware.md
    print(prepare_core_dir(PROJECT_ROOT / "build" / "platformio-core"))
