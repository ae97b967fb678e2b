"""A study told twice from one description: tables in the terminal, tables and plots in a self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs
from rich.markup import escape
from rich.table import Table

from eishil.files import write_atomic
from eishil_bench import terminal
from eishil_bench.report.style import embedded

LOG_WIDTH = 140  # characters of a line where nobody's terminal is to be fitted


@dataclass(frozen=True)
class Rows:
    """A table: its header, and rows of text; every column but the first is of figures, unless it is said not to be."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: bool = True


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it, in this order; plots have captions and are for the page only."""

    title: str
    text: str = ""
    table: Rows | None = None
    plots: Sequence[tuple[go.Figure, str]] = field(default=())
    remark: str = ""


def write_study(path: Path, title: str, lead: str, sections: Sequence[Section]) -> None:
    """Write the page whole or not at all."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    shown = [
        (section, [(embedded(plot, f"{i}-{k}"), caption) for k, (plot, caption) in enumerate(section.plots)])
        for i, section in enumerate(sections)
    ]
    page = environment.get_template("study.html.j2").render(
        title=title, lead=lead, sections=shown, plotly_script=get_plotlyjs()
    )
    write_atomic(path, page)


def tell_study(lead: str, sections: Sequence[Section], path: Path) -> None:
    """The tables to the terminal, and where the page lies."""
    console = terminal.results_console()
    if not console.is_terminal:
        console.width = LOG_WIDTH
    console.print(escape(lead), soft_wrap=True)
    for section in sections:
        if section.table is None:
            continue
        table = Table(title=escape(section.title), title_justify="left")
        for position, name in enumerate(section.table.header):
            figures = section.table.figures and position > 0
            table.add_column(escape(name), justify="right" if figures else "left", no_wrap=not position)
        for row in section.table.rows:
            table.add_row(*map(escape, row))
        console.print(table)
        if section.remark:
            console.print(escape(section.remark), soft_wrap=True, style="dim")
    console.print(str(path), soft_wrap=True)
