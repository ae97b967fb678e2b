"""A study told twice from one description: tables in the terminal, tables and plots in a self-contained page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import plotly.io
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


def write_study(path: Path, title: str, lead: str, sections: Sequence[Section], model_id: str = "") -> None:
    """Write the page whole or not at all, and beside it its sections, from which the page of a run takes them.

    `model_id` is that of the estimator which the study is of, if it is of one.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("study.html.j2").render(
        title=title, lead=lead, sections=embedded_sections(sections), plotly_script=get_plotlyjs()
    )
    stored = {"title": title, "lead": lead, "model_id": model_id, "sections": [_to_json(one) for one in sections]}
    write_atomic(sections_file(path), json.dumps(stored) + "\n")
    write_atomic(path, page)


def sections_file(page: Path) -> Path:
    """Where the sections of a study's page are kept."""
    return page.with_suffix(".sections.json")


def embedded_sections(sections: Sequence[Section], prefix: str = "") -> list[tuple[Section, list[tuple[Any, str]]]]:
    """Sections with their plots as HTML; `prefix` tells plots of several studies in one page apart."""
    return [
        (section, [(embedded(plot, f"{prefix}{i}-{k}"), caption) for k, (plot, caption) in enumerate(section.plots)])
        for i, section in enumerate(sections)
    ]


def section_from_json(stored: Mapping[str, Any]) -> Section:
    """What `write_study` stored."""
    plots = [(plotly.io.from_json(plot), caption) for plot, caption in stored["plots"]]
    table = None if stored["table"] is None else Rows(**stored["table"])
    return Section(stored["title"], stored["text"], table, plots, stored["remark"])


def _to_json(section: Section) -> dict[str, Any]:
    return {
        "title": section.title,
        "text": section.text,
        "table": None if section.table is None else asdict(section.table),
        "plots": [(plotly.io.to_json(plot), caption) for plot, caption in section.plots],
        "remark": section.remark,
    }


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
