"""The self-contained page: template, plots and plotly's script in one file that loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from eishil.files import write_atomic
from eishil_bench.firmware.baseline import load_baseline
from eishil_bench.report import figures
from eishil_bench.report.stored_studies import StoredStudy
from eishil_bench.report.style import embedded
from eishil_bench.report.words import (
    CLOCK_WORDS,
    bound_text,
    commissioning_sentence,
    figure_text,
    headline,
    left_out_text,
    mode_words,
    scored_before_sentence,
    verdict_sentence,
    with_code,
)
from eishil_bench.runs.results import Results


def write_report(results: Results, table: pd.DataFrame, path: Path, studies: Sequence[StoredStudy] = ()) -> None:
    """Write `report.html` whole or not at all."""
    write_atomic(path, render(results, table, studies))


def render(results: Results, table: pd.DataFrame, studies: Sequence[StoredStudy] = ()) -> str:
    """The page as text, with what studies of the same recipe found."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"figure": figure_text, "bound": bound_text, "code": with_code}
    return environment.get_template("page.html.j2").render(
        results=results,
        headline=headline(results),
        verdict_sentence=verdict_sentence(results),
        scored_before=scored_before_sentence(results),
        commissioning=commissioning_sentence(results),
        mode_words=mode_words,
        median_cell=figures.median_cell(table),
        clock_words=CLOCK_WORDS[results.clock],
        left_out=left_out_text(results.count_per_step) if results.count_per_step else "",
        plots={name: embedded(figure, name) for name, figure in _plots(results, table).items()},
        shown_cells=len(figures.shown_cells(table)),
        baseline=load_baseline(),
        studies=studies,
        plotly_script=get_plotlyjs(),
    )


def _plots(results: Results, table: pd.DataFrame) -> dict[str, go.Figure]:
    plots = {
        "soh": figures.soh_trajectories(table),
        "modes": figures.mode_trajectories(table, [mode.name for mode in results.modes]),
        "nyquist": figures.nyquist_fits(table, results.frequency_Hz),
        "errors": figures.error_histogram(table),
        "coverage": figures.coverage_curve(table),
        "differences": figures.differences(table),
        "round_trips": figures.round_trips(table),
        "throughput": figures.throughput(table),
    }
    return plots | ({"counts": figures.counts(table, results.clock)} if results.count_per_step else {})
