"""Boards that are not there: records of the USB, devices with a name, holders, a roster of one's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from support.fake_dut import FakeDevice

BOARD = "nucleo_f446re"
ST_LINK = {"vid": 0x0483, "pid": 0x374B}


def st_link(device: str, number: str | None) -> SimpleNamespace:
    return SimpleNamespace(device=device, serial_number=number, **ST_LINK)


def named(model: Any, board: str) -> FakeDevice:
    return FakeDevice(model, hello={"board": list(board.encode().ljust(16, b"\0"))})


def roster(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config" / "eishil" / "targets.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@contextmanager
def held(board: str) -> Iterator[int]:
    """Another process holds the board; yields its id."""
    code = "import sys; from eishil_bench.boards.locks import BoardLock; "
    code += "lock = BoardLock('t', sys.argv[1]); lock.acquire(); "
    code += "print(flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, board], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "\n"
        yield process.pid
    finally:
        process.kill()
        process.communicate()
