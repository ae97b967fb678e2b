"""Plots of a data set: spectra, labels, coverage, what is masked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from eishil.dataset.tables import Dataset
from eishil_bench.report.style import DEVICE, LABEL, PRIOR, REFERENCE, dots, line, multiples, plain

Plot = tuple[go.Figure, str]
NYQUIST_HEIGHT_px = 420
SHOWN_SPECTRA, SHOWN_CELLS, SHOWN_POINTS = 7, 40, 2500
COLOUR_SCALE = "Viridis"
SPLIT_COLOURS = {"train": PRIOR, "validation": REFERENCE, "test": DEVICE}
LABELS = {
    "soh": "SOH",
    "lli": "LLI",
    "lam_ne": "LAM ne",
    "lam_pe": "LAM pe",
    "plating_loss": "plated lithium, part of all",
    "sei_thickness_nm": "film, nm",
    "porosity_ne": "porosity ne",
    "local_resistance_mOhm": "local resistance, mΩ",
    "rul_cycles": "RUL, cycles; where censored, at least",
}


def spectra(dataset: Dataset, over: str, words: str) -> tuple[list[Plot], list[Plot]]:
    """A Nyquist and two Bode plots of a few spectra along one column, near the medians of the others."""
    rows = _along(dataset, over)
    values = dataset.samples[over].to_numpy(float)[rows]
    share = (values - values.min()) / max(float(np.ptp(values)), 1e-9) if len(values) else values
    nyquist, magnitude, phase = plain("Re Z in mΩ", "−Im Z in mΩ"), plain("Hz", "|Z| in mΩ"), plain("Hz", "phase in °")
    for row, value, colour in zip(rows, values, sample_colorscale(COLOUR_SCALE, 0.9 * share), strict=True):
        z, style = dataset.z_ohm[row], {**line(colour, width=1.8), "mode": "lines+markers", "marker": {"size": 4}}
        name = {"name": words.format(value), "legendgroup": str(row)}
        hover = [f"{f:g} Hz, {dataset.samples['sample_id'][row]}" for f in dataset.frequency_Hz]
        nyquist.add_trace(go.Scatter(x=1e3 * z.real, y=-1e3 * z.imag, text=hover, **name, **style))
        magnitude.add_trace(go.Scatter(x=dataset.frequency_Hz, y=1e3 * np.abs(z), **name, **style))
        phase.add_trace(go.Scatter(x=dataset.frequency_Hz, y=np.degrees(np.angle(z)), showlegend=False, **style))
    nyquist.update_layout(height=NYQUIST_HEIGHT_px)
    nyquist.update_xaxes(constrain="domain")
    nyquist.update_yaxes(scaleanchor="x", constrain="domain")
    for figure in (magnitude, phase):
        figure.update_xaxes(type="log")
    magnitude.update_yaxes(type="log", tickvals=_round_values(1e3 * np.abs(dataset.z_ohm[rows])))
    return [(nyquist, "Other states are near their medians.")], [(magnitude, ""), (phase, "")]


def _round_values(values: Any) -> list[float]:
    """1, 2 and 5 of each decade that the values reach: axes of less than a decade need them."""
    if not values.size:
        return []
    first, last = (int(np.floor(np.log10(value))) for value in (values.min(), values.max()))
    return [float(f"{step}e{decade}") for decade in range(first, last + 1) for step in (1, 2, 5)]


def _along(dataset: Dataset, over: str) -> list[int]:
    """Rows at even steps of a column, each the one whose other states are nearest to the medians."""
    states = ["soc", "temperature_degC", "soh", "contact_resistance_mOhm", "sei_thickness_nm"]
    whole = np.isfinite(dataset.z_ohm).all(axis=1) & dataset.samples[states].notna().all(axis=1).to_numpy()
    found = np.flatnonzero(whole)
    if not found.size:
        return []
    ranks = dataset.samples[states].iloc[found].rank(pct=True)
    away = ((ranks.drop(columns=over) - 0.5) ** 2).sum(axis=1).to_numpy()
    edges = np.quantile(ranks[over], np.linspace(0, 1, SHOWN_SPECTRA + 1))
    bins = np.clip(np.digitize(ranks[over], edges) - 1, 0, SHOWN_SPECTRA - 1)
    return [int(found[bins == k][np.argmin(away[bins == k])]) for k in np.unique(bins)]


def labels(samples: pd.DataFrame) -> list[Plot]:
    """Labels of some cells over their cycles."""
    lives = samples[(samples["population"] == "trajectory") & samples["cycles"].notna()]
    cells = lives["cell_id"].unique()
    shown = cells[np.linspace(0, len(cells) - 1, min(len(cells), SHOWN_CELLS)).astype(int)] if len(cells) else []
    names = [name for name in LABELS if name in lives and lives[name].notna().any()]
    if not len(shown) or not names:
        return []
    figure = multiples(len(names), 3, [LABELS[name] for name in names], shared=False)
    for index, name in enumerate(names):
        for cell in shown:
            life = lives[lives["cell_id"] == cell]
            style = line(SPLIT_COLOURS[life["split"].iloc[0]], width=1)
            place = {"row": index // 3 + 1, "col": index % 3 + 1}
            hover = f"{cell}, {life['split'].iloc[0]}"
            trace = go.Scatter(x=life["cycles"], y=life[name], text=hover, showlegend=False, **style)
            figure.add_trace(trace, **place)
    caption = (
        f"{len(shown)} of {len(cells)} cells over equivalent full cycles; grey: train, blue: validation, orange: test."
    )
    return [(figure, caption)]


def coverage(samples: pd.DataFrame) -> list[Plot]:
    """Where the samples lie, by split, masked ones in black."""
    few = samples.iloc[np.linspace(0, len(samples) - 1, min(len(samples), SHOWN_POINTS)).astype(int)]
    pairs = (("soc", "temperature_degC", "SOC", "°C"), ("lli", "soh", "LLI", "SOH"))
    return [(_cloud(few, *pair), f"{len(few):,} of {len(samples):,} samples; black: masked.") for pair in pairs]


def _cloud(samples: pd.DataFrame, x: str, y: str, x_title: str, y_title: str) -> go.Figure:
    figure = plain(x_title, y_title)
    masked = samples["reason"] != ""
    for split, colour in SPLIT_COLOURS.items():
        part = samples[(samples["split"] == split) & ~masked]
        figure.add_trace(go.Scatter(x=part[x], y=part[y], text=part["sample_id"], name=split, **dots(colour, 4, 0.6)))
    part = samples[masked]
    figure.add_trace(go.Scatter(x=part[x], y=part[y], text=part["reason"], name="masked", **dots(LABEL, 4, 0.7)))
    return figure


def masked(found: Mapping[str, Any]) -> list[Plot]:
    """Counts of each reason over SOC and temperature."""
    made = []
    soc, temperature = (np.array(found[name]) for name in ("soc_edges", "temperature_edges_degC"))
    for reason, counts in found["counts"].items():
        figure = plain("°C", "SOC")
        counts = np.array(counts)
        used = np.flatnonzero(counts.sum(axis=0))
        if used.size:
            span = slice(used[0], used[-1] + 1)
            middle = 0.5 * (temperature[1:] + temperature[:-1])[span]
            figure.add_trace(
                go.Heatmap(
                    x=middle, y=0.5 * (soc[1:] + soc[:-1]), z=counts[:, span], colorscale="Oranges", texttemplate="%{z}"
                )
            )
        made.append((figure, f"Samples masked by {reason}, in bins of SOC and temperature."))
    return made
