"""The console script in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys


def eishil(*arguments, cwd=None, code="from eishil_bench.cli import main; main()", **environment):
    """Run the console script's function in a process of its own."""
    command = [sys.executable, "-c", f"import sys; sys.argv[0] = 'eishil'; {code}", *map(str, arguments)]
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1"} | environment
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)


def is_one_sentence(answer) -> bool:
    lines = answer.stderr.strip().splitlines()
    return len(lines) == 1 and lines[0].startswith("eishil: ") and "Traceback" not in answer.stderr
