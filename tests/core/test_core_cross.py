"""The core as the Cortex-M4F's compiler makes it: no warning, no double, no heap, no recursion, a bounded stack."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from eishil import codegen
from eishil.ccore import CORE, FLAGS, WARNINGS
from eishil_bench.firmware.stack import CallGraph
from support.core_cases import CASES, make_model

GENERATED = CORE.parent / "generated"
CORTEX_M4F = ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard")
# All that the core asks of its surroundings. A double would ask for __aeabi_d*, a square root with errno for sqrtf.
RUNTIME = {"memcpy", "memset"}
STACK_BYTES_MAX = 4096  # of the 16 kB that the linker script gives; 3016 with 16 states


def run_tool(*command: str) -> str:
    tool = shutil.which(command[0])
    assert tool, f"{command[0]} is not installed: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"
    result = subprocess.run([tool, *command[1:]], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    return result.stdout


def cross_compile(source: Path, generated: Path, out: Path, *options: str) -> Path:
    target = out / f"{source.stem}.o"
    includes = (f"-I{CORE}", f"-I{generated}")
    run_tool(
        "arm-none-eabi-gcc", *CORTEX_M4F, *FLAGS, *WARNINGS, *options, *includes, "-c", str(source), "-o", str(target)
    )
    return target


def compile_core(generated: Path, out: Path, optimisation: str) -> list[Path]:
    out.mkdir()
    options = (optimisation, "-fcallgraph-info=su")
    sources = [*sorted(CORE.glob("*.c")), generated / "model.c"]
    return [cross_compile(source, generated, out, *options) for source in sources]


def symbols(objects: list[Path], option: str) -> set[str]:
    lines = run_tool("arm-none-eabi-nm", "-P", option, *map(str, objects)).splitlines()
    return {line.split()[0] for line in lines if line and not line.endswith(":")}


@pytest.fixture(scope="module", params=["-O2", "-Os"])
def objects(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return compile_core(GENERATED, tmp_path_factory.mktemp("cross") / "core", request.param)


def test_the_core_needs_nothing_but_memory_functions(objects: list[Path]) -> None:
    missing = symbols(objects, "-u") - symbols(objects, "--defined-only")
    assert missing <= RUNTIME


def test_the_core_has_no_variables(objects: list[Path]) -> None:
    lines = run_tool("arm-none-eabi-size", *map(str, objects)).splitlines()[1:]
    assert len(lines) == len(objects)
    for line in lines:
        _, data, bss, *_ = line.split()
        assert (data, bss) == ("0", "0"), line


def test_the_step_has_a_stack_bound(objects: list[Path]) -> None:
    graph = CallGraph.load(objects[0].parent)
    for function in ("estimator_init", "estimator_report", "frame_decoder_push", "frame_encode", "nn_evaluate"):
        assert graph.depth_bytes(function) is not None, f"{function} recurses or has a frame of variable size"
    depth = graph.depth_bytes("estimator_step")
    assert depth is not None and depth < STACK_BYTES_MAX


@pytest.mark.parametrize("name", CASES)
def test_every_shape_of_model_compiles_without_a_warning(name: str, tmp_path: Path) -> None:
    codegen.generate(make_model(name)[0], tmp_path / "generated")
    objects = compile_core(tmp_path / "generated", tmp_path / "core", "-O2")
    assert symbols(objects, "-u") - symbols(objects, "--defined-only") <= RUNTIME
    assert CallGraph.load(tmp_path / "core").depth_bytes("estimator_step") is not None


PLANTED = {
    "double": (
        "double twice(double x);\ndouble twice(double x)\n{\n    return x * 2.0;\n}\n",
        "__aeabi_dmul __aeabi_dadd",
    ),
    "heap": ("#include <stdlib.h>\nvoid *get(void);\nvoid *get(void)\n{\n    return malloc(8);\n}\n", "malloc"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_seen(fault: str, tmp_path: Path) -> None:
    text, names = PLANTED[fault]
    source = tmp_path / "planted.c"
    source.write_text(text)
    missing = symbols([cross_compile(source, GENERATED, tmp_path)], "-u") - RUNTIME
    assert missing & set(names.split())


def test_planted_recursion_is_seen(tmp_path: Path) -> None:
    source = tmp_path / "planted.c"
    # Not a tail call, which the compiler would make a loop of.
    source.write_text(
        "int depth(int n);\nint depth(int n)\n{\n    return n == 0 ? 0 : depth(n - 1) * depth(n / 2);\n}\n"
    )
    cross_compile(source, GENERATED, tmp_path, "-fcallgraph-info=su", "-fno-optimize-sibling-calls")
    assert CallGraph.load(tmp_path).depth_bytes("depth") is None
