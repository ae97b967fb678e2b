"""The report's plots, from the run's table. One colour for each source, the same in every plot."""

from __future__ import annotations

from collections.abc import Sequence
from math import erf, sqrt

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from eishil.filters.scores import rms
from eishil_bench.report.style import (
    DEVICE,
    LABEL,
    PRIOR,
    REFERENCE,
    circles,
    dots,
    legend,
    line,
    multiples,
    outer_titles,
    plain,
)
from eishil_bench.report.words import mode_title
from eishil_bench.runs.compare import coverage, errors, undisturbed
from eishil_bench.runs.run_table import matrix, with_covariance

DEVICE_BAND = "rgba(212, 98, 42, 0.16)"
REFERENCE_WIDE = "#9dbfe0"  # lies under the device's line, which is nearly the same
SHOWN_CELLS, CELL_COLUMNS = 12, 4
MODE_COLUMNS = 3
SHOWN_SPECTRA, SPECTRUM_COLUMNS = 6, 3
BARS, LONGEST = 40, 4  # of a histogram


def soh_trajectories(table: pd.DataFrame) -> go.Figure:
    """Label, reference, device and its band of two sigma, for cells from the best to the worst, evenly by rank."""
    cells = shown_cells(table)
    figure = multiples(len(cells), CELL_COLUMNS, [_cell_title(table, cell) for cell in cells], shared=True)
    for index, cell_id in enumerate(cells):
        cell = table[table["cell_id"] == cell_id]
        for trace in _soh_traces(cell, legend=index == 0):
            figure.add_trace(trace, row=index // CELL_COLUMNS + 1, col=index % CELL_COLUMNS + 1)
    figure.update_yaxes(tickformat=".0%")
    figure.update_layout(legend=legend())
    outer_titles(figure, len(cells), CELL_COLUMNS, "equivalent full cycles", "SOH")
    return figure


def mode_trajectories(table: pd.DataFrame, names: Sequence[str]) -> go.Figure:
    """Label, device and its band of two sigma of every mode, for the cell with the median error of SOH."""
    cell = with_covariance(table[table["cell_id"] == median_cell(table)]).reset_index()
    figure = multiples(len(names), MODE_COLUMNS, [mode_title(name) for name in names], shared=False)
    label, estimate, sigma = (matrix(cell, column) for column in ("modes", "device_modes", "device_modes_sigma"))
    for i in range(len(names)):
        place = {"row": i // MODE_COLUMNS + 1, "col": i % MODE_COLUMNS + 1}
        band = _band(cell["cycles"], pd.Series(estimate[:, i]), pd.Series(sigma[:, i]))
        for trace in (
            go.Scatter(**band, legendgroup="band", showlegend=not i),
            go.Scatter(x=cell["cycles"], y=estimate[:, i], name="device", showlegend=not i, **line(DEVICE, width=1.5)),
            go.Scatter(x=cell["cycles"], y=label[:, i], name="label", showlegend=not i, **dots(LABEL, 4)),
        ):
            figure.add_trace(trace, **place)
    figure.update_layout(legend=legend())
    outer_titles(figure, len(names), MODE_COLUMNS, "equivalent full cycles", "")
    return figure


def nyquist_fits(table: pd.DataFrame, frequency_Hz: list[float]) -> go.Figure:
    """Measured spectra and the float network at the reference's estimate, evenly from fresh to aged."""
    rows = shown_spectra(table)
    titles = [
        f"{row.cell_id} · SOH {row.soh:.3f} · SOC {row.soc:.2f} · {row.temperature_degC:.0f} °C"
        for row in rows.itertuples()
    ]
    figure = multiples(len(rows), SPECTRUM_COLUMNS, titles, shared=False)
    labels = [f"{frequency:g} Hz" for frequency in frequency_Hz]
    for index, row in enumerate(rows.itertuples()):
        place = {"row": index // SPECTRUM_COLUMNS + 1, "col": index % SPECTRUM_COLUMNS + 1}
        order = np.argsort(frequency_Hz)[::-1]
        for who, marks in (("network at the estimate", circles(REFERENCE)), ("measured", dots(LABEL, 5))):
            prefix = "z" if who == "measured" else "fit"
            real_mohm, minus_imag_mohm = (
                sign * 1e3 * np.array(getattr(row, f"{prefix}_{part}_ohm"), float)[order]
                for part, sign in (("real", 1), ("imag", -1))
            )
            hover = [labels[k] for k in order]
            trace = go.Scatter(x=real_mohm, y=minus_imag_mohm, name=who, showlegend=index == 0, text=hover, **marks)
            figure.add_trace(trace, **place)
        figure.update_yaxes(scaleanchor=f"x{index + 1}" if index else "x", **place)
    figure.update_layout(legend=legend())
    outer_titles(figure, len(rows), SPECTRUM_COLUMNS, "Re Z in mΩ", "−Im Z in mΩ")
    return figure


def error_histogram(table: pd.DataFrame) -> go.Figure:
    """SOH estimate minus label: device and reference as outlines over drift alone."""
    figure = plain("SOH estimate − label", "spectra")
    widest = float(np.abs(np.concatenate([errors(table, who) for who in ("device", "reference")])).max())
    edges = np.linspace(-1.05 * widest, 1.05 * widest, 42)
    for who, name, colour in (
        ("prior", "drift only", PRIOR),
        ("reference", "reference", REFERENCE),
        ("device", "device", DEVICE),
    ):
        counts, _ = np.histogram(errors(table, who), edges)
        fill = {"fill": "tozeroy", "fillcolor": DEVICE_BAND} if who == "device" else {}
        style = {"shape": "hvh", "color": colour, "width": 2, "dash": "dot" if who == "prior" else "solid"}
        x = (edges[1:] + edges[:-1]) / 2
        figure.add_trace(go.Scatter(x=x, y=counts, name=name, mode="lines", line=style, **fill))
    figure.update_xaxes(tickformat=".1%")
    return figure


def coverage_curve(table: pd.DataFrame) -> go.Figure:
    """Fraction of labels within k standard deviations against that of a Gaussian."""
    figure = plain("k, standard deviations", "labels within k σ")
    k = np.linspace(0, 3, 61)
    gaussian = [erf(value / sqrt(2)) for value in k]
    figure.add_trace(go.Scatter(x=k, y=gaussian, name="Gaussian", **line(PRIOR, dash="dot")))
    for who, colour in (("reference", REFERENCE), ("device", DEVICE)):
        found = [coverage(table, who, value) for value in k]
        figure.add_trace(go.Scatter(x=k, y=found, name=who, **line(colour)))
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    return figure


def differences(table: pd.DataFrame) -> go.Figure:
    """Device minus reference in SOH, over age."""
    figure = plain("equivalent full cycles", "SOH, device − reference")
    difference = table["device_soh"] - table["reference_soh"]
    figure.add_trace(go.Scatter(x=table["cycles"], y=difference, text=table["cell_id"], **dots(DEVICE, 4, 0.55)))
    figure.update_yaxes(tickformat=".2%")
    figure.update_layout(showlegend=False)
    return figure


def counts(table: pd.DataFrame, clock: str) -> go.Figure:
    """What each step cost that no interrupt fell into, in the order in which the spectra were streamed."""
    table = undisturbed(table)
    figure = plain("spectrum, in the order streamed", clock.replace("_", " "))
    text = [f"{row.cell_id}, {row.device_n_used} of the points used" for row in table.itertuples()]
    figure.add_trace(go.Scatter(x=table.index, y=table["count"], text=text, **dots(DEVICE, 4, 0.55)))
    figure.update_yaxes(tickformat=",", rangemode="normal")
    figure.update_layout(showlegend=False)
    return figure


def round_trips(table: pd.DataFrame) -> go.Figure:
    """From sending a spectrum to its estimate, for those that were sent once."""
    round_trip_us = table["round_trip_us"].to_numpy()
    return _histogram(round_trip_us[round_trip_us > 0] / 1e3, "round trip of a spectrum in ms", "spectra")


def throughput(table: pd.DataFrame) -> go.Figure:
    """Spectra per second that the link was busy, cell by cell."""
    busy_us = table.groupby("cell_id")["interval_us"].agg(["size", "sum"])
    per_s = (1e6 * busy_us["size"] / busy_us["sum"]).to_numpy()
    return _histogram(per_s[np.isfinite(per_s)], "spectra per second of the link", "cells")


def shown_cells(table: pd.DataFrame) -> list[str]:
    """At most `SHOWN_CELLS`, evenly by rank of the device's error, best first; best and worst are among them."""
    ranked = _ranked(table)
    return [ranked[i] for i in _evenly(len(ranked), SHOWN_CELLS)]


def median_cell(table: pd.DataFrame) -> str:
    """The cell in the middle by rank of the device's error."""
    ranked = _ranked(table)
    return ranked[len(ranked) // 2]


def shown_spectra(table: pd.DataFrame) -> pd.DataFrame:
    """At most `SHOWN_SPECTRA` rows, evenly by rank of the label, fresh first."""
    return table.sort_values("soh", ascending=False).iloc[_evenly(len(table), SHOWN_SPECTRA)]


def _ranked(table: pd.DataFrame) -> list[str]:
    """Cells by the device's error, best first."""
    found = sorted((rms(errors(cell, "device")), str(cell_id)) for cell_id, cell in table.groupby("cell_id"))
    return [cell_id for _, cell_id in found]


def _evenly(n: int, most: int) -> NDArray[np.int_]:
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))


def _cell_title(table: pd.DataFrame, cell_id: str) -> str:
    return f"{cell_id} · {rms(errors(table[table['cell_id'] == cell_id], 'device')):.2%}"


def _soh_traces(cell: pd.DataFrame, *, legend: bool) -> list[go.Scatter]:
    soh, sigma, cycles = cell["device_soh"], cell["device_soh_sigma"], cell["cycles"]
    shared = {"showlegend": legend}
    return [
        go.Scatter(**_band(cycles, soh, sigma), legendgroup="band", **shared),
        go.Scatter(x=cycles, y=cell["prior_soh"], name="drift only", **line(PRIOR, dash="dot"), **shared),
        go.Scatter(x=cycles, y=cell["reference_soh"], name="reference", **line(REFERENCE_WIDE, width=5), **shared),
        go.Scatter(x=cycles, y=soh, name="device", **line(DEVICE, width=1.5), **shared),
        go.Scatter(x=cycles, y=cell["soh"], name="label", **dots(LABEL, 4), **shared),
    ]


def _band(cycles: pd.Series, estimate: pd.Series, sigma: pd.Series) -> dict[str, object]:
    """The outline of two sigma around an estimate."""
    return {
        "x": pd.concat([cycles, cycles[::-1]]),
        "y": pd.concat([estimate + 2 * sigma, (estimate - 2 * sigma)[::-1]]),
        "name": "device ± 2 σ",
        "fill": "toself",
        "fillcolor": DEVICE_BAND,
        "line": {"width": 0},
        "hoverinfo": "skip",
        "mode": "lines",
    }


def _histogram(values: NDArray[np.float64], x_title: str, y_title: str) -> go.Figure:
    """From 0 on, with the median as a line; what is beyond `LONGEST` medians is in the last bar."""
    figure = plain(x_title, y_title)
    figure.update_layout(showlegend=False)
    if not len(values):
        return figure
    median = float(np.median(values))
    shown = np.minimum(values, LONGEST * median)
    counts, edges = np.histogram(shown, np.linspace(0, 1.05 * float(shown.max()), BARS + 1))
    bars = {"color": DEVICE_BAND, "line": {"width": 1, "color": DEVICE}}
    figure.add_trace(go.Bar(x=edges[:-1], y=counts, width=float(edges[1]), offset=0, marker=bars))
    figure.add_vline(x=median, line={"color": LABEL, "width": 1, "dash": "dot"})
    figure.add_annotation(x=median, y=1.1, yref="paper", text=f"median {median:.3g}", showarrow=False)
    figure.update_yaxes(rangemode="tozero")
    return figure
