"""`eishil robustness`: the estimator on cells and measurements that are not as it was told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from os import cpu_count
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from eishil.dataset.tables import Dataset
from eishil.dataset.variants import fresh_cells
from eishil.files import write_atomic
from eishil.filters.scores import rms
from eishil.model import Model
from eishil.progress import Progress
from eishil.robustness.replay import Outcome, run
from eishil.robustness.scenarios import FRESH_SPECTRA, SCENARIOS, Scenario, Vary
from eishil.versions import versions
from eishil_bench import pipeline, terminal
from eishil_bench.pipeline import Workspace
from eishil_bench.report.study import Rows, Section, tell_study, write_study
from eishil_bench.report.style import DEVICE, PRIOR, REFERENCE, dots, plain
from eishil_bench.runs import scored
from eishil_bench.runs.bootstrap import cell_means, interval
from eishil_bench.stamps import bring_up_to_date


@dataclass(frozen=True)
class Row:
    """A scenario's figures; `rmse_interval` is the middle 95 % over cells drawn again, errors are of SOH."""

    scenario: str
    meaning: str
    cells: int
    spectra: int
    masked: int
    rmse: float
    rmse_interval: tuple[float, float]
    rmse_end_of_life: float
    bias: float
    coverage_1_sigma: float
    coverage_2_sigma: float


def command(recipe: Path, out: Path, json_path: Path | None, workers: int) -> None:
    """Run every scenario, show the table, and write page and figures beside the recipe's other files."""
    workspace = Workspace.open(recipe, out)
    folder = workspace.root / "robustness"
    with workspace.locked(), terminal.progress_bars() as progress:
        model = Model.load(workspace.model / "model.json")
        scored.enter(workspace, model.model_id, "eishil robustness")
        rows = [row(one) for one in outcomes(workspace, model, workers or cpu_count() or 1, progress)]
        content = json.dumps(_figures(workspace, model, rows), indent=1) + "\n"
        for path in (folder / "robustness.json", json_path):
            if path is not None:
                write_atomic(path, content)
        page = folder / "robustness.html"
        title = f"How {model.name} fares when things are not as it was told"
        write_study(page, title, _lead(model), sections(rows), model.model_id.hex())
    tell_study(_lead(model), sections(rows), page)


def outcomes(workspace: Workspace, model: Model, workers: int, progress: Progress) -> list[Outcome]:
    """Every scenario's estimates, in the order of the table; data sets of other cells are kept and reused."""
    found = []
    for done, scenario in enumerate(SCENARIOS):
        progress("scenarios", done, len(SCENARIOS), scenario.name)
        dataset = _dataset(workspace, scenario.vary, workers, progress)
        fresh = _dataset(workspace, _fresh(scenario), workers, progress) if scenario.commissioned else None
        found.append(run(scenario, workspace.recipe, dataset, model, fresh))
    progress("scenarios", len(SCENARIOS), len(SCENARIOS))
    return found


def row(outcome: Outcome) -> Row:
    """The figures of a scenario."""
    error, late = outcome.error, outcome.rows["late"].to_numpy(bool)
    between = interval(np.sqrt(cell_means(outcome.rows, error**2)))
    return Row(
        scenario=outcome.scenario.name,
        meaning=outcome.scenario.meaning,
        cells=int(outcome.rows["cell_id"].nunique()),
        spectra=len(error),
        masked=outcome.masked,
        rmse=rms(error),
        rmse_interval=(between.low, between.high),
        rmse_end_of_life=rms(error[late]),
        bias=float(error.mean()),
        coverage_1_sigma=outcome.coverage(1.0),
        coverage_2_sigma=outcome.coverage(2.0),
    )


def sections(rows: Sequence[Row]) -> list[Section]:
    """The table and its two plots."""
    text, meanings = [_texts(one) for one in rows], [[one.scenario, one.meaning] for one in rows]
    header = ["scenario", "cells", "spectra", "rms", "over draws", "last fifth", "bias", "in 1 σ", "in 2 σ"]
    return [
        Section(
            "Error of SOH",
            table=Rows(header, text),
            plots=[
                (_errors(rows), "Root mean square error of SOH; bars are 95 % intervals over cells drawn again."),
                (_coverage(rows), "Labels within one and two stated standard deviations; lines: a Gaussian's."),
            ],
            remark="Over draws: the middle 95 % of the figure over cells drawn again with replacement. In 1 σ and 2 σ: "
            "labels within so many stated standard deviations. Nothing was chosen on these cells.",
        ),
        Section("What is changed", table=Rows(["scenario", "against the first row"], meanings, figures=False)),
    ]


def _texts(one: Row) -> list[str]:
    low, high = one.rmse_interval
    scatter = [f"{one.rmse:.2%}", f"{low:.2%} to {high:.2%}", f"{one.rmse_end_of_life:.2%}", f"{one.bias:+.2%}"]
    covered = [f"{one.coverage_1_sigma:.1%}", f"{one.coverage_2_sigma:.1%}"]
    return [one.scenario, f"{one.cells}", f"{one.spectra}", *scatter, *covered]


def _errors(rows: Sequence[Row]) -> go.Figure:
    figure = plain("rms error of SOH", "")
    names, values = [one.scenario for one in rows], [one.rmse for one in rows]
    bars = {
        "type": "data",
        "symmetric": False,
        "array": [one.rmse_interval[1] - one.rmse for one in rows],
        "arrayminus": [one.rmse - one.rmse_interval[0] for one in rows],
    }
    figure.add_trace(go.Scatter(x=values, y=names, error_x=bars, **dots(DEVICE, 9)))
    figure.add_vline(x=values[0], line={"color": PRIOR, "dash": "dot"})
    return _by_scenario(figure)


def _coverage(rows: Sequence[Row]) -> go.Figure:
    figure = plain("labels within", "")
    for name, values, colour, gaussian in (
        ("1 σ", [one.coverage_1_sigma for one in rows], REFERENCE, 0.6827),
        ("2 σ", [one.coverage_2_sigma for one in rows], DEVICE, 0.9545),
    ):
        figure.add_trace(go.Scatter(x=values, y=[one.scenario for one in rows], name=name, **dots(colour, 9)))
        figure.add_vline(x=gaussian, line={"color": colour, "dash": "dot"})
    return _by_scenario(figure)


def _by_scenario(figure: go.Figure) -> go.Figure:
    figure.update_yaxes(autorange="reversed", automargin=True, tickmode="linear")
    figure.update_xaxes(tickformat=".1%", rangemode="tozero")
    figure.update_layout(height=480)
    return figure


def _lead(model: Model) -> str:
    return (
        f"Model {model.name}, states {model.n_states}, {model.n_frequencies} frequencies; float64 filter, integer "
        "network, host only. Every scenario changes one thing against the first row."
    )


def _fresh(scenario: Scenario) -> Vary:
    """The scenario's cells before they age."""
    return lambda recipe: fresh_cells(scenario.vary(recipe) if scenario.vary else recipe, FRESH_SPECTRA)


def _dataset(workspace: Workspace, vary: Vary | None, workers: int, progress: Progress) -> Dataset:
    if vary is None:
        return Dataset.open(workspace.dataset)
    varied = vary(workspace.recipe)
    own = Workspace(varied, workspace.recipe_path, workspace.root / "robustness" / varied.name)
    bring_up_to_date(pipeline.stage(own, "dataset", workers), progress)
    return Dataset.open(own.dataset)


def _figures(workspace: Workspace, model: Model, rows: Sequence[Row]) -> Mapping[str, object]:
    return {
        "recipe": workspace.recipe.name,
        "model_id": model.model_id.hex(),
        "rows": [asdict(one) for one in rows],
        "versions": versions(),
    }
