"""The console script in a process of its own."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

# A run builds firmware and may share the machine with other tests.
TIMEOUT_s = 300


def eishil(
    *arguments, cwd=None, code="from eishil_bench.cli import main; main()", limit_file_bytes=None, **environment
):
    """Run the console script's function in a process of its own; `limit_file_bytes` stands for a full disk."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_file_bytes, limit_file_bytes))

    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv[0] = 'eishil'; {code}", *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"} | environment,
        preexec_fn=limited if limit_file_bytes else None,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_s,
        check=False,
    )


def is_one_sentence(answer) -> bool:
    lines = answer.stderr.strip().splitlines()
    return len(lines) == 1 and lines[0].startswith("eishil: ") and "Traceback" not in answer.stderr
