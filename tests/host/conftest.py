"""Solvers that are built once a session, and a recipe small enough to be run in a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.tiny_dataset import TINY, make


@pytest.fixture
def write_recipe(tmp_path: Path) -> Callable[..., Path]:
    """Write the tiny recipe with some of its text replaced: write_recipe("old", "new", "old", "new", ...)."""

    def write(*changes: str) -> Path:
        text = TINY
        for old, new in zip(changes[::2], changes[1::2], strict=True):
            assert old in text, f"the tiny recipe has no {old!r}"
            text = text.replace(old, new)
        path = tmp_path / "tiny.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def tiny(write_recipe: Callable[..., Path], tmp_path: Path) -> Path:
    """The folder of the tiny recipe's data set."""
    make(write_recipe(), tmp_path / "tiny")
    return tmp_path / "tiny"
