"""Both kernels on the emulated Cortex-M4F, portable C and DSP extension, against the integer reference: bit for bit."""

from __future__ import annotations

import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from test_core_network import extreme_model

from eishil import codegen
from eishil.ccore import CORE, FLAGS, WARNINGS
from eishil.model import Model
from eishil.network.integer import IntegerReference
from support.core_cases import make_model

TARGET = Path(__file__).resolve().parent / "target"
CORTEX_M4F = ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard")
KERNELS = {"dsp": (), "portable": ("-DNN_KERNEL_PORTABLE",)}
Q_MIN, Q_MAX = -2048, 2047


def run(*command: str) -> str:
    tool = shutil.which(command[0])
    assert tool, f"{command[0]} is not installed: make system-tools"
    result = subprocess.run([tool, *command[1:]], capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def build(model: Model, q: np.ndarray, folder: Path, options: tuple[str, ...]) -> Path:
    codegen.generate(model, folder)
    rows = "".join(f"    {{{', '.join(map(str, row))}}},\n" for row in q.tolist())
    (folder / "inputs.h").write_text(f"static const int32_t inputs[][{q.shape[1]}] = {{\n{rows}}};\n")
    program = folder / "program.elf"
    sources = [TARGET / "network_program.c", *sorted(CORE.glob("*.c")), folder / "model.c"]
    link = (
        "-nostartfiles",
        "--specs=nano.specs",
        "-ffunction-sections",
        "-Wl,--gc-sections",
        f"-T{TARGET / 'program.ld'}",
    )
    includes = (f"-I{CORE}", f"-I{folder}")
    run(
        "arm-none-eabi-gcc",
        *CORTEX_M4F,
        *FLAGS,
        *WARNINGS,
        *options,
        *includes,
        *link,
        *map(str, sources),
        "-o",
        str(program),
    )
    return program


def checksums(model: Model, q: np.ndarray) -> list[int]:
    accumulators, jacobians = IntegerReference(model.network).accumulators(q)
    jacobians[..., model.n_tangents :] = 0  # not computed
    both = np.concatenate([accumulators[:, :, None], jacobians], axis=2)
    return [zlib.crc32(sample.astype("<i4").tobytes()) for sample in both]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("extreme", [False, True], ids=["typical", "extreme"])
@pytest.mark.parametrize("name", ["random_walk", "largest", "smallest", "unscented_linear_context"])
def test_equality_2_of_the_kernels_on_the_core(name: str, extreme: bool, kernel: str, tmp_path: Path) -> None:
    model = make_model(name)[0]
    model = extreme_model(model, 26) if extreme else model
    rng, n = np.random.default_rng(27), model.network.n_inputs
    q = np.concatenate([rng.integers(Q_MIN, Q_MAX + 1, (60, n)), rng.choice([Q_MIN, 0, Q_MAX], (40, n))])
    program = build(model, q, tmp_path, KERNELS[kernel])
    printed = run(
        "qemu-system-arm", "-M", "netduinoplus2", "-nographic", "-monitor", "none", "-serial", "none", "-semihosting",
        "-kernel", str(program),
    )  # fmt: skip
    assert [int(line, 16) for line in printed.split()] == checksums(model, q)


def test_the_two_kernels_are_two(tmp_path: Path) -> None:
    """One is SMLAD, the other is not."""
    model = make_model("random_walk")[0]
    for kernel, options in KERNELS.items():
        folder = tmp_path / kernel
        folder.mkdir()
        text = run(
            "arm-none-eabi-objdump",
            "-d",
            str(build(model, np.zeros((1, model.network.n_inputs), int), folder, options)),
        )
        assert ("smlad" in text) == (kernel == "dsp")
