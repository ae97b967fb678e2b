"""How plots look: one font, one grid, one colour for each source in every plot."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

import plotly.graph_objects as go
import plotly.io
from plotly.subplots import make_subplots

LABEL, REFERENCE, DEVICE, PRIOR = "#1f2328", "#2f6fab", "#d4622a", "#9aa4af"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"
GRID = "#e7e9ec"
ROW_HEIGHT_px = 190
PLOT_OPTIONS = {"displaylogo": False, "displayModeBar": False, "responsive": True}


def dots(colour: str, size: int = 6, opacity: float = 1.0) -> Mapping[str, object]:
    """Filled markers."""
    return {"mode": "markers", "marker": {"color": colour, "size": size, "opacity": opacity, "line": {"width": 0}}}


def circles(colour: str) -> Mapping[str, object]:
    """Open markers on a dotted line."""
    ring = {"color": "rgba(0,0,0,0)", "size": 11, "line": {"width": 1.6, "color": colour}}
    return {"mode": "lines+markers", "marker": ring, "line": {"color": colour, "width": 1, "dash": "dot"}}


def line(colour: str, *, width: float = 2, dash: str = "solid") -> Mapping[str, object]:
    """A line without markers."""
    return {"mode": "lines", "line": {"color": colour, "width": width, "dash": dash}}


def plain(x_title: str, y_title: str) -> go.Figure:
    """One plot with titled axes."""
    figure = go.Figure()
    _style(figure, height_px=320)
    figure.update_layout(legend=legend(), margin={"l": 64, "r": 12, "t": 32, "b": 48})
    figure.update_xaxes(title=x_title)
    figure.update_yaxes(title=y_title)
    return figure


def multiples(n: int, columns: int, titles: list[str], *, shared: bool) -> go.Figure:
    """Small multiples of `n` plots in `columns`."""
    rows = ceil(n / columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=titles,
        shared_xaxes=shared,
        shared_yaxes="all" if shared else False,
        horizontal_spacing=0.025 if shared else 0.06,
        vertical_spacing=min(0.12, 0.3 / rows),
    )
    _style(figure, height_px=rows * ROW_HEIGHT_px * (1 if shared else 1.15) + 90)
    figure.update_annotations(font={"size": 12, "color": "#4a5360"})
    return figure


def _style(figure: go.Figure, height_px: float) -> None:
    figure.update_layout(
        font={"family": FONT, "size": 12, "color": LABEL},
        height=height_px,
        margin={"l": 64, "r": 12, "t": 64, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hovermode="closest",
    )
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": "#b9c0c8", "ticks": "outside", "tickcolor": "#b9c0c8"}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)


def legend() -> Mapping[str, object]:
    """A legend in one row above the plot."""
    above = {"orientation": "h", "yref": "container", "y": 0.995, "yanchor": "top", "x": 0, "xanchor": "left"}
    return {**above, "itemsizing": "constant"}  # small markers could not be told apart in it


def outer_titles(figure: go.Figure, n: int, columns: int, x_title: str, y_title: str) -> None:
    """Axis titles at the left column and under the lowest plot of each column."""
    for index in range(n):
        row, column = index // columns + 1, index % columns + 1
        if column == 1:
            figure.update_yaxes(title=y_title, row=row, col=column)
        if index + columns >= n:
            figure.update_xaxes(title=x_title, showticklabels=True, row=row, col=column)


def embedded(figure: go.Figure, name: str) -> Any:
    """A plot without plotly's script, which is once in the page. The id is fixed: the same run, the same page."""
    return plotly.io.to_html(
        figure, include_plotlyjs=False, full_html=False, config=PLOT_OPTIONS, div_id=f"plot-{name}"
    )
