"""The core outside of the bench: its PlatformIO library, its CMake target, and an example with two cells."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eishil import wire
from eishil.ccore import CoreLibrary
from eishil.filters.step import StepInput
from eishil.model import Model
from eishil_bench.firmware import toolchain
from eishil_bench.firmware.firmware_bench import held_out_spectra

FIRMWARE = toolchain.PROJECT_ROOT / "firmware"


@pytest.fixture
def copied_firmware(tmp_path: Path, generated_dir: Path) -> Path:
    """Only what a product would take: core, example and a model. Nothing of app, port or the bench is there."""
    for name in ("core", "example"):
        shutil.copytree(FIRMWARE / name, tmp_path / "firmware" / name)
    shutil.copytree(generated_dir, tmp_path / "firmware" / "generated")
    return tmp_path / "firmware"


def run_tool(*command: str, **options: object) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()


def interleaved(model: Model) -> list[tuple[int, StepInput]]:
    """Two cells that get the same spectra, one of them in reverse order."""
    spectra = held_out_spectra(model)[:4]
    return [pair for one, other in zip(spectra, reversed(spectra), strict=True) for pair in ((0, one), (1, other))]


def lines(model: Model) -> str:
    text = []
    for cell, step in interleaved(model):
        numbers = [step.elapsed_cycles, step.voltage_V, step.temperature_degC, *step.z_ohm.real, *step.z_ohm.imag]
        text.append(" ".join([str(cell), *(float(np.float32(number)).hex() for number in numbers)]))
    text.append(text[-1].replace(text[-1].split()[2], "nan", 1))  # refused: the last estimate once more
    return "\n".join(text)


def check_example(program: Path, model: Model, generated_dir: Path) -> None:
    done = subprocess.run([program], input=lines(model), capture_output=True, text=True, timeout=60, check=True)
    *answers, refused = [line.split() for line in done.stdout.splitlines()]
    core = CoreLibrary.build(generated_dir)
    cells = [core.estimator(), core.estimator()]
    for (cell, step), answer in zip(interleaved(model), answers, strict=True):
        expected = cells[cell].step(step)
        assert (int(answer[0]), int(answer[1])) == (cell, expected.status)
        assert [float.fromhex(number) for number in answer[2:]] == [expected.readout[0], expected.readout_sigma[0]]
    assert int(refused[1]) == wire.ENUMS["status"]["REJECTED_INPUT"]
    assert refused[2:] == answers[-1][2:]


def test_example_by_cmake(copied_firmware: Path, tmp_path: Path, first_light_model: Model, generated_dir: Path) -> None:
    cmake = shutil.which("cmake", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin")
    assert cmake, "cmake is not installed: pip install cmake"
    build = tmp_path / "build"
    run_tool(cmake, "-S", str(copied_firmware / "example"), "-B", str(build), "-DCMAKE_BUILD_TYPE=Release")
    run_tool(cmake, "--build", str(build))
    check_example(build / "example", first_light_model, generated_dir)


def test_cmake_without_a_model_says_what_to_do(copied_firmware: Path, tmp_path: Path) -> None:
    cmake = shutil.which("cmake", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin")
    assert cmake, "cmake is not installed: pip install cmake"
    shutil.rmtree(copied_firmware / "generated")
    command = [cmake, "-S", str(copied_firmware / "example"), "-B", str(tmp_path / "build")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "set EISHIL_MODEL_DIR to what `eishil generate` wrote" in " ".join(done.stderr.split())


def test_example_by_platformio(
    copied_firmware: Path, tmp_path: Path, first_light_model: Model, generated_dir: Path
) -> None:
    environment = toolchain.platformio_environment() | {"PLATFORMIO_WORKSPACE_DIR": str(tmp_path / "pio")}
    run_tool(sys.executable, "-m", "platformio", "run", "-d", str(copied_firmware / "example"), env=environment)
    check_example(tmp_path / "pio" / "build" / "native" / "program", first_light_model, generated_dir)


def test_library_names_what_is_there() -> None:
    library = json.loads((FIRMWARE / "core" / "library.json").read_text())
    for header in library["headers"]:
        assert (FIRMWARE / "core" / header).is_file()
    assert len((FIRMWARE / "example" / "cell_task.c").read_text().splitlines()) <= 60
