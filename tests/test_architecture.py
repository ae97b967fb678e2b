"""Who may know whom: walks imports and includes and fails on an arrow that docs/design.md forbids."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Python: package folder -> top-level modules that it must not import.
BENCH_ONLY = {"serial", "pyocd", "platformio", "elftools", "cobs", "filelock", "jinja2", "plotly", "typer"}
FORBIDDEN_IMPORTS = {
    "host/eishil": {"eishil_bench", "tests", "support"} | BENCH_ONLY,
    "bench/eishil_bench": {"tests", "support", "pybamm", "casadi"},
}
CELL_ONLY = {"pybamm", "casadi"}

HOSTED = {"stdio.h", "stdlib.h", "unistd.h", "errno.h", "fcntl.h", "poll.h", "signal.h", "time.h", "sys/types.h"}
FREESTANDING = {"stdint.h", "stdbool.h", "stddef.h", "string.h", "float.h"}
GENERATED_DATA = {"model_size.h", "nn_tanh_table.h"}
LIBM = re.compile(r"\b(?:log|exp|pow|sin|cos|tan|tanh|atan2?|fabs|floor|ceil|round|rint|fmod)f?\s*\(")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^">]+)[">]', re.MULTILINE)
# Builds that are there to be compared with: what they are made of, and what stands in for fmath.c in them.
DOUBLE_ALLOWED = {"firmware/core/precision.h"}
LIBM_ALLOWED = {"firmware/core/fmath_double.c"}
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def imported_modules(source: str) -> set[str]:
    """Top-level and dotted names of every import, wherever in the file it stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def python_arrows(root: Path) -> list[str]:
    arrows = []
    for folder, forbidden in FORBIDDEN_IMPORTS.items():
        for path in sorted((root / folder).rglob("*.py")):
            place = path.relative_to(root).as_posix()
            tops = {name.split(".")[0] for name in imported_modules(path.read_text("utf-8"))}
            arrows += [f"{place} imports {name}" for name in sorted(tops & forbidden)]
            if folder == "host/eishil" and not place.startswith("host/eishil/cell/"):
                arrows += [f"{place} imports {name}" for name in sorted(tops & CELL_ONLY)]
    return arrows


def allowed_includes(root: Path, place: str) -> set[str] | None:
    """Headers that a firmware file may include; None where the folder has no rule."""

    def headers(folder: str) -> set[str]:
        return {path.name for path in (root / folder).glob("*.h")}

    parts = Path(place).parts
    if parts[1] == "core":
        return FREESTANDING | GENERATED_DATA | headers("firmware/core") | {"math.h"}
    if parts[1] == "example":
        return FREESTANDING | GENERATED_DATA | {"cell_task.h", "stdio.h"} | headers("firmware/core")
    if parts[1] == "generated":
        return FREESTANDING | GENERATED_DATA | {"model.h", "network.h"}
    if parts[1] == "app":
        return FREESTANDING | GENERATED_DATA | headers("firmware/core") | headers("firmware/app") | {"wire.h", "port.h"}
    if parts[1] == "port" and len(parts) > 3:
        return FREESTANDING | {"port.h"} | headers(Path(place).parent.as_posix()) | of_machine(parts[2], headers)
    return None


def of_machine(port: str, headers: Callable[[str], set[str]]) -> set[str]:
    """What a port may include beyond its own folder: the core it runs on, its family's registers, or POSIX."""
    if port in {"absent", "posix"}:
        return HOSTED if port == "posix" else set()
    shared = {"registers.h"} | headers("firmware/port/cortex_m")
    return shared | headers("firmware/port/stm32/common") if port == "stm32" else shared


def include_arrows(root: Path) -> list[str]:
    arrows = []
    for path in sorted((root / "firmware").rglob("*.[ch]")):
        place = path.relative_to(root).as_posix()
        allowed = allowed_includes(root, place)
        if allowed is None:
            continue
        text = COMMENT.sub("", path.read_text("utf-8"))
        names = INCLUDE.findall(text)
        arrows += [f"{place} includes {name}" for name in names if not {name, Path(name).name} & allowed]
        if place.startswith("firmware/core/"):
            if place not in LIBM_ALLOWED:
                arrows += [f"{place} calls libm: {call.strip()}" for call in LIBM.findall(text)]
            if place not in DOUBLE_ALLOWED:
                arrows += [f"{place} uses double" for _ in re.findall(r"\bdouble\b", text)]
    return arrows


def test_no_forbidden_arrow() -> None:
    assert python_arrows(ROOT) + include_arrows(ROOT) == []


def test_the_walk_sees_the_tree() -> None:
    """A walk over an empty or renamed folder would find nothing and pass."""
    for folder in ("host/eishil/cell", "bench/eishil_bench/dut"):
        assert len(list((ROOT / folder).glob("*.py"))) >= 3, folder
    for folder in ("core", "app", "port/cortex_m", "port/stm32/common", "port/stm32/h7", "port/posix", "generated"):
        assert list((ROOT / "firmware" / folder).glob("*.[ch]")), folder


@pytest.mark.parametrize(
    ("place", "text", "arrow"),
    [
        ("host/eishil/model.py", "def f():\n    from eishil_bench import link\n", "imports eishil_bench"),
        ("host/eishil/dataset/factory.py", "import pybamm.solvers\n", "imports pybamm"),
        ("host/eishil/wire.py", "import serial\n", "imports serial"),
        ("bench/eishil_bench/link/exchange.py", "import pybamm\n", "imports pybamm"),
        ("bench/eishil_bench/link/exchange.py", "from tests.bench import fake_dut\n", "imports tests"),
        ("firmware/core/ekf.c", '#include "port.h"\n', "includes port.h"),
        ("firmware/core/ekf.c", "#include <stdio.h>\n", "includes stdio.h"),
        ("firmware/core/ekf.c", "float f(float x) { return logf(x); }\n", "calls libm"),
        ("firmware/core/ekf.c", "static double x;\n", "uses double"),
        ("firmware/app/main.c", '#include "registers.h"\n', "includes registers.h"),
        ("firmware/example/cell_task.c", '#include "port.h"\n', "includes port.h"),
        ("firmware/port/stm32/f4/clock.c", '#include "wire.h"\n', "includes wire.h"),
        ("firmware/port/cortex_m/ring.c", '#include "estimator.h"\n', "includes estimator.h"),
        ("firmware/port/mps2_an500/port.c", "#include <stdio.h>\n", "includes stdio.h"),
        ("firmware/generated/model.c", '#include "estimator.h"\n', "includes estimator.h"),
    ],
)
def test_a_forbidden_arrow_is_found(tmp_path: Path, place: str, text: str, arrow: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text(text, "utf-8")
    found = python_arrows(tmp_path) + include_arrows(tmp_path)
    assert len(found) == 1 and found[0].startswith(f"{place} {arrow}"), found


def test_what_is_allowed_passes(tmp_path: Path) -> None:
    for place, text in {
        "host/eishil/cell/impedance.py": "import casadi\nimport pybamm\n",
        "bench/eishil_bench/link/exchange.py": "from eishil import wire\nimport cobs\n",
        "firmware/core/fmath.c": '/* unlike logf(x) */\n#include "fmath.h"\nfloat f(float x) { return fmath_log(x); }',
        "firmware/core/fmath.h": "#include <stdbool.h>\n",
        "firmware/port/stm32/f4/clock.c": '#include "chip.h"\n#include "registers.h"\n',
        "firmware/port/stm32/common/chip.h": "#include <stdint.h>\n",
        "firmware/port/stm32/f4/registers.h": "#include <stdint.h>\n",
    }.items():
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    assert python_arrows(tmp_path) + include_arrows(tmp_path) == []
