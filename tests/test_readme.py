"""What the README and the docs point to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from eishil_bench.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page: Path) -> None:
    named = set(re.findall(r"`(?:\.venv/bin/)?eishil ([a-z]+)", page.read_text("utf-8")))
    assert named <= set(get_command(app).commands)


def test_no_figure_is_left_to_fill_in() -> None:
    for page in PAGES:
        assert not re.search(r"@[A-Z]+@|TODO|FIXME", page.read_text("utf-8")), page.name


def test_make_targets_exist() -> None:
    rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"(?:^    |`)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE)) <= rules, page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_prose_is_wrapped(page: Path) -> None:
    """Tables and indented commands have no end of a line to choose."""
    lines = enumerate(page.read_text("utf-8").splitlines(), 1)
    assert [n for n, line in lines if len(line) > 120 and not line.startswith(("|", "    "))] == []
