"""What is installed, what is missing and how to get it."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.markup import escape
from rich.table import Table

from eishil.errors import TargetError, ToolError
from eishil_bench import terminal

CROSS_COMPILER = "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"
PACKAGES = (
    ("pybamm", "dataset"),
    ("pyarrow", "dataset"),
    ("scikit-learn", "network"),
    ("onnx", "network"),
    ("onnxruntime", "network"),
    ("cffi", "bench"),
    ("cobs", "bench"),
    ("pyserial", "bench"),
    ("pyelftools", "bench"),
    ("plotly", "bench"),
    ("platformio", "firmware"),
    ("SCons", "firmware"),
)
VERSION_TIMEOUT_s = 10


@dataclass(frozen=True)
class Finding:
    """One thing that may be there: `found` is its version or place, or empty."""

    name: str
    found: str
    purpose: str
    remedy: str
    needed: bool  # by `make demo`


def examine() -> bool:
    """Print a table of all findings; whether everything that `make demo` needs is there."""
    findings = [_python(), *map(_package, *zip(*PACKAGES, strict=True)), *_tools()]
    table = Table("what", "found", "for", "how to get it")
    for finding in findings:
        missing = "[bold red]missing[/]" if finding.needed else "[yellow]missing (optional)[/]"
        remedy = "" if finding.found else escape(finding.remedy)
        table.add_row(finding.name, finding.found or missing, finding.purpose, remedy)
    terminal.results_console().print(table)
    lacking = [finding.name for finding in findings if finding.needed and not finding.found]
    if lacking:
        terminal.messages().print(f"eishil: `make demo` cannot run without {', '.join(lacking)}")
    return not lacking


def examine_target(name: str) -> bool:
    """Print a table of what the target relies on, with the committed model's image; whether all of it holds."""
    from eishil_bench.dut import require_target, target_spec

    spec = target_spec(name)
    if spec.kind != "renode":
        raise TargetError(f"{name} is no target on Renode; `eishil doctor` alone tells what is installed")
    require_target(spec)
    from eishil.model import Model
    from eishil_bench.dut.renode_check import examine
    from eishil_bench.firmware.build import build_firmware
    from eishil_bench.firmware.toolchain import PROJECT_ROOT

    terminal.messages().print(f"  building {spec.env}, then starting Renode")
    model = Model.load(PROJECT_ROOT / "datasets" / "models" / "first_light" / "model.json")
    with TemporaryDirectory(prefix="eishil-doctor-") as folder:
        image = build_firmware(spec.env, PROJECT_ROOT / "firmware" / "generated", Path(folder))
        assumptions = examine(spec, image, model)
    table = Table("relied on", "expected", "found", "")
    for each in assumptions:
        mark = "[green]holds[/]" if each.holds else "[bold red]does not hold[/]"
        table.add_row(*map(escape, (each.what, each.expected, each.found)), mark)
    terminal.results_console().print(table)
    return all(each.holds for each in assumptions)


def _python() -> Finding:
    found = platform.python_version() if sys.version_info >= (3, 11) else ""
    return Finding("Python 3.11 or newer", found, "everything", "apt-get install python3", needed=True)


def _package(name: str, extra: str, *, needed: bool = True) -> Finding:
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        found = ""
    return Finding(name, found, extra, f"pip install 'eishil[{extra}]'", needed)


def _tools() -> list[Finding]:
    return [
        _tool("cc", "C core on the host", "apt-get install gcc", needed=True),
        _tool("arm-none-eabi-gcc", "firmware", CROSS_COMPILER, needed=True),
        _tool("qemu-system-arm", "target qemu", "apt-get install qemu-system-arm", needed=True),
        _package("pyocd", "firmware", needed=False),
        _renode(),
        _tool("chromium", "looking at the report without a desktop", "apt-get install chromium", needed=False),
    ]


def _renode() -> Finding:
    from eishil_bench.dut.renode_process import INSTALL, find_renode

    try:
        found = _tool_version(str(find_renode()))
    except ToolError:
        found = ""
    return Finding("renode", found, "target renode", INSTALL, needed=False)


def _tool(command: str, purpose: str, remedy: str, *, needed: bool) -> Finding:
    path = shutil.which(command)
    return Finding(command, _tool_version(path) if path else "", purpose, remedy, needed)


def _tool_version(path: str) -> str:
    """The version that the tool says of itself, or where it lies if it says nothing in time."""
    command = [path, "--version"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=VERSION_TIMEOUT_s, check=True)
    except (OSError, subprocess.SubprocessError):
        return path
    # Distributors put their own version in parentheses.
    version = re.search(r"\d+(\.\d+)+", re.sub(r"\(.*?\)", "", answer.stdout + answer.stderr))
    return version.group() if version else path
