"""`eishil baselines`: what random forest, Gaussian process and MLP make of single spectra, beside the estimator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from eishil.dataset.tables import Dataset
from eishil.model import Model
from eishil.regression.baselines import Baselines, baselines, metrics
from eishil.regression.candidates import BACKENDS
from eishil.robustness.replay import run
from eishil.robustness.scenarios import SCENARIOS
from eishil_bench import terminal
from eishil_bench.pipeline import Workspace
from eishil_bench.report.study import Rows, Section, tell_study, write_study
from eishil_bench.report.style import DEVICE, LABEL, PRIOR, REFERENCE, dots, line, plain
from eishil_bench.runs import scored
from eishil_bench.runs.bootstrap import cell_means, interval

COLOURS = dict(zip(BACKENDS, (REFERENCE, DEVICE, PRIOR), strict=True))
NAMES = {"soh": "SOH", "rul_cycles": "Remaining life"}
FILTER = "this estimator"
SHOWN_INPUTS = 12
LEAD = (
    "Regressions from one spectrum, its rest voltage and its temperature to SOH and to the equivalent full cycles that "
    "are left until SOH 0.8. Fitted on training cells, settings chosen on validation cells, judged once on held-out "
    "cells; no cell is in two of them. Rows whose remaining life is censored are left out of that label."
)


def command(recipe: Path, out: Path) -> None:
    """Fit, write the three tables and the page, and show the metrics."""
    workspace = Workspace.open(recipe, out)
    folder = workspace.root / "baselines"
    with workspace.locked(), terminal.progress_bars() as progress:
        dataset = Dataset.open(workspace.dataset)
        found = with_filter(baselines(workspace.recipe, dataset, progress), workspace, dataset)
        found.save(folder)
        shown = sections(found)
        write_study(folder / "baselines.html", f"Classical baselines on {workspace.recipe.name}", LEAD, shown)
    tell_study(LEAD, shown, folder / "baselines.html")


def with_filter(found: Baselines, workspace: Workspace, dataset: Dataset) -> Baselines:
    """The same tables with the recipe's estimator, which remembers all spectra of a cell; unchanged without one."""
    path = workspace.model / "model.json"
    if not path.is_file():
        return found
    model = Model.load(path)
    scored.enter(workspace, model.model_id, "eishil baselines")
    rows = run(SCENARIOS[0], workspace.recipe, dataset, model).rows
    common = {"label": "soh", "inputs": "all spectra so far", "backend": FILTER}
    truth, prediction = rows["soh"].to_numpy(), rows["estimate"].to_numpy()
    source = found.metrics["label_source"].iloc[0]
    about = {"split": "test", "label_source": source, "cells": rows["cell_id"].nunique(), "spectra": len(rows)}
    outcome = {"truth": truth, "prediction": prediction, "error": prediction - truth}
    estimates = rows[["cell_id", "cycles"]].assign(**common, **outcome)
    return Baselines(
        pd.concat([found.metrics, pd.DataFrame([common | about | metrics(truth, prediction)])], ignore_index=True),
        pd.concat([found.predictions, estimates], ignore_index=True),
        found.importance,
    )


def sections(found: Baselines) -> list[Section]:
    """A section for each label, and one on what the regressions look at."""
    return [*(_label(found, label) for label in found.metrics["label"].unique()), _importance(found)]


def _label(found: Baselines, label: str) -> Section:
    held_out = found.metrics[(found.metrics["label"] == label) & (found.metrics["split"] == "test")]
    rows = [_metrics_row(found, row._asdict()) for row in held_out.itertuples(index=False)]
    cells, spectra = held_out[["cells", "spectra"]].iloc[0]
    return Section(
        f"{NAMES[label]} on {cells} held-out cells, {spectra} spectra",
        table=Rows(["regression", "inputs", "MAE", "rms error", "over draws", "R²"], rows),
        plots=[
            (
                _scatter(found.predictions[found.predictions["label"] == label], label),
                "Held-out cells, from whole spectra.",
            )
        ],
        remark="Over draws: the middle 95 % of the rms error over cells drawn again with replacement.",
    )


def _metrics_row(found: Baselines, row: dict[str, object]) -> list[str]:
    all_of_them = found.predictions
    own = [(all_of_them[name] == row[name]).to_numpy() for name in ("label", "backend", "inputs")]
    mine = all_of_them[np.all(own, axis=0)].reset_index(drop=True)
    between = interval(np.sqrt(cell_means(mine, mine["error"].to_numpy() ** 2)))
    text = [_figure(row["label"], value) for value in (row["mae"], row["rmse"], between.low, between.high)]
    name = str(row["backend"]).replace("_", " ")
    return [name, str(row["inputs"]), text[0], text[1], f"{text[2]} to {text[3]}", f"{row['r2']:.3f}"]


def _figure(label: object, value: object) -> str:
    return f"{value:.2%}" if label == "soh" else f"{value:.0f} cycles"


def _scatter(predictions: pd.DataFrame, label: str) -> go.Figure:
    figure = plain(f"{NAMES[label]}, label", f"{NAMES[label]}, predicted")
    for backend in (*BACKENDS, FILTER):
        rows = predictions[(predictions["backend"] == backend) & (predictions["inputs"] != "its features")]
        if len(rows):
            style = dots(COLOURS.get(backend, LABEL), 4, 0.45)
            figure.add_trace(go.Scatter(x=rows["truth"], y=rows["prediction"], name=backend.replace("_", " "), **style))
    ends = [predictions["truth"].min(), predictions["truth"].max()]
    figure.add_trace(go.Scatter(x=ends, y=ends, showlegend=False, **line(LABEL, width=1, dash="dot")))
    figure.update_layout(height=440)
    return figure


def _importance(found: Baselines) -> Section:
    soh = found.importance[(found.importance["label"] == "soh") & (found.importance["inputs"] == "one spectrum")]
    figure = plain("growth of the rms error of SOH when the input is shuffled", "")
    order = soh.groupby("input")["rmse_increase"].max().nlargest(SHOWN_INPUTS).index
    for backend in BACKENDS:
        rows = soh[soh["backend"] == backend].set_index("input").loc[order]
        bars = {"type": "data", "array": rows["std"]}
        style = {"marker": {"color": COLOURS[backend]}, "name": backend.replace("_", " "), "orientation": "h"}
        figure.add_trace(go.Bar(x=rows["rmse_increase"], y=order, error_x=bars, **style))
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(tickformat=".1%")
    figure.update_layout(height=460)
    caption = (
        "Permutation importance on validation cells. Neighbouring frequencies say nearly the same, so that a network "
        "or a process that subtracts them from each other shows far larger values than a forest."
    )
    return Section("What they look at", plots=[(figure, caption)])
