"""PlatformIO on the system's tools: prepared once, offline, and told in one sentence what is missing."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from eishil.errors import ToolError
from eishil_bench.firmware import build, toolchain

# Loaded by every Python below PlatformIO: a connection attempt is written down and refused.
NO_NETWORK = """
import os, socket

def refuse(self, address, *rest):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        with open(os.environ["CONNECTIONS"], "a") as log:
            log.write(f"{address}\\n")
        raise OSError("no network in this test")
    return connect(self, address, *rest)

connect = socket.socket.connect
socket.socket.connect = socket.socket.connect_ex = refuse
"""


def fake_compiler(folder: Path, version: str) -> None:
    program = folder / toolchain.COMPILER
    program.write_text(f"#!/bin/sh\necho {version}\n")
    program.chmod(0o755)


def test_core_dir_is_made_once(tmp_path: Path) -> None:
    first = toolchain.prepare_core_dir(tmp_path)
    made = (first / "packages" / "tool-scons" / ".piopm").stat().st_mtime_ns
    assert toolchain.prepare_core_dir(tmp_path) == first
    assert (first / "packages" / "tool-scons" / ".piopm").stat().st_mtime_ns == made
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [first.name]


def test_another_compiler_makes_another_core_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_system = toolchain.prepare_core_dir(tmp_path)
    fake_compiler(tmp_path, "13.2.1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with_fake = toolchain.prepare_core_dir(tmp_path)
    assert with_fake != with_system
    manifest = (with_fake / "packages" / "toolchain-gccarmnoneeabi" / ".piopm").read_text()
    assert '"version": "1.130201.0"' in manifest


def test_missing_compiler_names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"arm-none-eabi-gcc is not installed: sudo apt-get install gcc-arm-none-eabi"):
        toolchain.cross_compiler()


def test_without_a_compiler_the_registry_serves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("PLATFORMIO_CORE_DIR", raising=False)
    assert "PLATFORMIO_CORE_DIR" not in toolchain.platformio_environment(tmp_path)


def test_old_compiler_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_compiler(tmp_path, "9.2.1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(ToolError, match=r"GCC 10\.3 or newer is needed, this is '9\.2\.1'"):
        toolchain.cross_compiler()


def test_core_dir_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolError, match=r"core directory cannot be made: Not a directory"):
        toolchain.prepare_core_dir(tmp_path / "file" / "cache")


def test_half_made_core_dir_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(toolchain, "_describe", full)
    with pytest.raises(ToolError, match="No space left on device"):
        toolchain.prepare_core_dir(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_missing_platformio_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match=r"PlatformIO is not installed: pip install 'eishil\[firmware\]'"):
        build.build_firmware("native", tmp_path, tmp_path / "out")


def test_settings_of_the_user_do_not_change_the_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PLATFORMIO_BUILD_FLAGS", "-ffast-math")
    environment = toolchain.platformio_environment(tmp_path)
    assert "PLATFORMIO_BUILD_FLAGS" not in environment
    assert environment["PLATFORMIO_SETTING_ENABLE_TELEMETRY"] == "no"


def test_a_plain_build_opens_no_connection(tmp_path: Path, generated_dir: Path) -> None:
    """`pio run` with the prepared core directory, as docs/firmware.md shows it."""
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK)
    connections = tmp_path / "connections"
    environment = toolchain.platformio_environment(tmp_path / "cores") | {
        "PYTHONPATH": str(tmp_path),
        "CONNECTIONS": str(connections),
        "EISHIL_GENERATED_DIR": str(generated_dir),
        "PLATFORMIO_WORKSPACE_DIR": str(tmp_path / "pio"),
    }
    command = [sys.executable, "-m", "platformio", "run", "-e", "nucleo_f446re", "-d", str(toolchain.PROJECT_ROOT)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not connections.exists(), connections.read_text()


def test_the_network_trap_catches_a_connection(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK)
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "CONNECTIONS": str(tmp_path / "connections")}
    code = "import socket; socket.create_connection(('127.0.0.1', 9))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode != 0
    assert (tmp_path / "connections").read_text().strip() == "('127.0.0.1', 9)"


def test_stand_in_versions_satisfy_platformio(tmp_path: Path) -> None:
    """The SCons that is installed is the one that this PlatformIO asks for."""
    assert importlib.util.find_spec("SCons") is not None
    from platformio.dependencies import get_core_dependencies
    from semantic_version import SimpleSpec, Version

    wanted = SimpleSpec(get_core_dependencies()["tool-scons"])
    assert Version(toolchain._scons_version()) in wanted
