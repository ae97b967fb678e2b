"""A process that has imported what commands need, and forks one for each: a tenth of a second in place of two.

Requests come as lines of JSON on standard input, exit statuses go as lines to standard output.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import resource
import sys
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import NoReturn

# A test of what a command imports has to take a process of its own.
PRELOADED = (
    *("eishil.network.onnx_files", "eishil_bench.boards.discovery", "eishil_bench.cli", "eishil_bench.commands"),
    *("eishil_bench.firmware.build", "eishil_bench.pipeline", "eishil_bench.report.page", "eishil_bench.runs.diff"),
    *("eishil_bench.runs.target_run", "eishil_bench.terminal"),
)


def serve() -> None:
    """Until standard input ends."""
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            leave(lambda: become(**json.loads(line)))  # noqa: B023 - called at once
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


def leave(command: Callable[[], None]) -> NoReturn:
    """End as an interpreter would after a command, without taking apart all that was imported."""
    status = 0
    try:
        command()
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


def become(
    *, arguments: list[str], code: str, cwd: str, environment: dict[str, str], limit_file_bytes: int | None, said: str
) -> None:
    """Run `code` as the console script would be; its output goes to `said`.out and `said`.err."""
    for descriptor, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, f"{said}.out", os.O_WRONLY | os.O_CREAT),
        (2, f"{said}.err", os.O_WRONLY | os.O_CREAT),
    ):
        os.dup2(os.open(path, flags, 0o600), descriptor)
    if limit_file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_file_bytes, limit_file_bytes))
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["eishil", *arguments]
    sys.modules["__main__"] = ModuleType("__main__")  # what workers of a command import first
    exec(code, vars(sys.modules["__main__"]))


if __name__ == "__main__":
    serve()
