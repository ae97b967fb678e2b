"""The console script in a process of its own."""

from __future__ import annotations

import ctypes
import json
import os
import select
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

# A run builds firmware and may share the machine with other tests.
TIMEOUT_s = 300
MAIN = "from eishil_bench.cli import main; main()"
_SERVER = Path(__file__).with_name("forked_commands.py")
_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2  # prctl(2), capabilities(7)


def eishil(*arguments, cwd=None, code=MAIN, limit_file_bytes=None, fresh=False, plain_user=False, **environment):
    """Run the console script's function in a process of its own.

    `limit_file_bytes` stands for a full disk. The process is forked from one that has imported most of what commands
    need. It is a new one where it shall be `fresh`, or a `plain_user`'s, for whom file modes hold even where it is
    root.
    """
    arguments = [*map(str, arguments)]
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1"} | environment
    cwd = str(cwd or Path.cwd())
    if fresh or plain_user:
        return _started(arguments, code, cwd, environment, plain_user)
    with tempfile.TemporaryDirectory() as folder:
        said = f"{folder}/said"
        request = {"arguments": arguments, "code": code, "cwd": cwd, "environment": environment}
        status = _forked(request | {"limit_file_bytes": limit_file_bytes, "said": said})
        out, err = (Path(f"{said}.{name}").read_text() for name in ("out", "err"))
    return subprocess.CompletedProcess(arguments, status, out, err)


def _forked(request) -> int:
    server = _server()
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    if not select.select([server.stdout], [], [], TIMEOUT_s)[0]:
        server.kill()
        _server.cache_clear()
        raise subprocess.TimeoutExpired(request["arguments"], TIMEOUT_s)
    return int(server.stdout.readline())


@cache
def _server():
    """One for each process of the tests; it ends with them, when its input does."""
    command = [sys.executable, _SERVER]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _started(arguments, code, cwd, environment, plain_user):
    def prepare() -> None:
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH) if plain_user else ():
            ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails where there is nothing to drop

    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv[0] = 'eishil'; {code}", *arguments],
        cwd=cwd,
        env=environment,
        preexec_fn=prepare,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_s,
        check=False,
    )


def is_one_sentence(answer) -> bool:
    lines = answer.stderr.strip().splitlines()
    return len(lines) == 1 and lines[0].startswith("eishil: ") and "Traceback" not in answer.stderr
