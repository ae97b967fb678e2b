"""What a log gets where there is no terminal to draw on."""

from __future__ import annotations

import io

from rich.console import Console

from eishil_bench import terminal
from eishil_bench.terminal import PlainProgress


def lines_of(calls) -> list[str]:
    """Lines after progress at so many seconds, given as (second, done)."""
    out, clock = io.StringIO(), iter([0.0, *(second for second, _ in calls)])
    progress = PlainProgress(Console(file=out, markup=False, width=200), lambda: next(clock))
    for _, done in calls:
        progress("dataset", done, 900, "cell a[1]")
    return out.getvalue().splitlines()


def test_a_long_stage_leaves_a_line_every_ten_seconds():
    lines = lines_of([(second, 10 * second) for second in range(1, 66)])
    assert [line.split()[1] for line in lines] == [f"{done}/900" for done in range(100, 700, 100)]
    assert lines[0] == "  dataset   100/900 after 10 s  cell a[1]"


def test_a_quick_stage_leaves_none():
    assert lines_of([(0.1 * k, k) for k in range(90)]) == []


def test_without_a_terminal_progress_is_plain(monkeypatch):
    monkeypatch.setattr(terminal, "messages", lambda: Console(file=io.StringIO()))
    with terminal.progress_bars() as progress:
        assert isinstance(progress, PlainProgress)
    monkeypatch.setattr(terminal, "messages", lambda: Console(file=io.StringIO(), force_terminal=True))
    with terminal.progress_bars() as progress:
        assert not isinstance(progress, PlainProgress)
        progress("run", 1, 2)
