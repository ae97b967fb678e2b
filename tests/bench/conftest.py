"""Machines without boards, and boards without machines."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eishil_bench.boards import discovery
from eishil_bench.boards.locks import LOCK_FOLDER_VARIABLE
from eishil_bench.dut import serial as serial_dut


@pytest.fixture
def own_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No lock and no roster of this machine."""
    monkeypatch.setenv(LOCK_FOLDER_VARIABLE, str(tmp_path / "locks"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes records of `serial.tools.list_ports` what is connected."""

    def connect(*records: SimpleNamespace) -> None:
        for module in (discovery, serial_dut):
            monkeypatch.setattr(module, "connected_ports", lambda: list(records))

    connect()
    return connect
