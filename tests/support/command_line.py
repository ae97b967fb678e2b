"""The console script in a process of its own."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys

# A run builds firmware and may share the machine with other tests.
TIMEOUT_s = 300
MAIN = "from eishil_bench.cli import main; main()"
_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2  # prctl(2), capabilities(7)


def eishil(*arguments, cwd=None, code=MAIN, limit_file_bytes=None, plain_user=False, **environment):
    """Run the console script's function in a process of its own.

    `limit_file_bytes` stands for a full disk; with `plain_user` file modes hold for the process, even where it is root.
    """

    def prepare() -> None:
        if limit_file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_file_bytes, limit_file_bytes))
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH) if plain_user else ():
            ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails where there is nothing to drop

    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv[0] = 'eishil'; {code}", *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"} | environment,
        preexec_fn=prepare if limit_file_bytes is not None or plain_user else None,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_s,
        check=False,
    )


def is_one_sentence(answer) -> bool:
    lines = answer.stderr.strip().splitlines()
    return len(lines) == 1 and lines[0].startswith("eishil: ") and "Traceback" not in answer.stderr
