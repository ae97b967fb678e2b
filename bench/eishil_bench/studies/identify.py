"""`eishil identify`: how good an estimator could be on a recipe's held-out cells, and which frequencies tell most."""

from __future__ import annotations

from os import cpu_count
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from eishil.dataset.tables import Dataset
from eishil.identify.experiment import MULTISINE
from eishil.identify.study import BudgetedPlan, Study, study
from eishil_bench import terminal
from eishil_bench.pipeline import Workspace
from eishil_bench.report.study import Rows, Section, tell_study, write_study
from eishil_bench.report.style import DEVICE, LABEL, PRIOR, REFERENCE, dots, line, plain

UNITS = {
    "lli": "1",
    "lam_ne": "1",
    "lam_pe": "1",
    "log10_sei_thickness": "decades",
    "contact_resistance": "mOhm",
}
INSTRUMENTS = {"multisine": "all at once", "one_by_one": "one by one"}


def command(recipe: Path, out: Path, json_path: Path | None, periods: float, workers: int) -> None:
    """Make the study, show it, and write its page and figures beside the recipe's other files."""
    workspace = Workspace.open(recipe, out)
    with workspace.locked(), terminal.progress_bars() as progress:
        dataset = Dataset.open(workspace.dataset)
        processes = workers or cpu_count() or 1
        found = study(workspace.recipe, dataset, workspace.root / "identify", processes, periods, progress)
        found.save(workspace.root / "identify" / "identify.json")
        if json_path is not None:
            found.save(json_path)
        page = workspace.root / "identify" / "identify.html"
        write_study(page, f"What the spectra of {found.recipe} can tell", lead(found), sections(found))
    tell_study(lead(found), sections(found), page)


def lead(found: Study) -> str:
    """What was looked at, in two sentences."""
    noise = found.measurement
    return (
        f"Posterior Cramér-Rao bound along {found.trajectories} held-out trajectories ({found.spectra} spectra), from "
        f"the cell model's own derivatives at the true states; the prior is the mean and covariance of the recipe's "
        f"population over whole lives. Noise {noise['z_relative_std']:.2%} of |Z|, {1e3 * noise['voltage_std_V']:g} mV "
        f"and {noise['temperature_std_K']:g} K for each spectrum."
    )


def sections(found: Study) -> list[Section]:
    """Everything that page and terminal show."""
    return [_soh(found), _modes(found), _signs(found), _frequencies(found), _plans(found)]


def _soh(found: Study) -> Section:
    figure = plain("equivalent full cycles", "standard deviation of SOH")
    for name, key, style in (
        ("population, no spectrum", "prior", line(PRIOR, dash="dot")),
        ("one spectrum, no history", "single", line(REFERENCE)),
        ("all spectra so far", "bound", line(DEVICE, width=3)),
    ):
        figure.add_trace(go.Scatter(x=found.cycles, y=found.by_cycle[key], name=name, **style))
    figure.update_yaxes(tickformat=".1%", rangemode="tozero")
    rows = [[one.name, _percent(one.soh_rms), _percent(one.soh_rms_end_of_life)] for one in found.variants]
    return Section(
        "The bound of SOH",
        table=Rows(["", "all spectra, rms", "last fifth of life, rms"], rows),
        plots=[(figure, "Root mean square over the held-out cells at each age.")],
        remark=f"Without any spectrum the population scatters by {_percent(found.prior_soh_rms)} rms around its mean. "
        f"Linearised at the truth, one trajectory at a time, then averaged. Halving the steps of the derivatives "
        f"moves none of the looked-at ones by more than {found.largest_step_error:.1e} of its channel's largest.",
    )


def _modes(found: Study) -> Section:
    names = list(found.mode_rms)
    rows = [
        [f"{name} ({UNITS[name]})", f"{found.prior_mode_rms[name]:.4f}", f"{found.mode_rms[name]:.4f}"]
        + [f"{value:+.2f}" for value in correlations]
        for name, correlations in zip(names, found.mode_correlation, strict=True)
    ]
    return Section(
        "The bound of each mode, and how their errors are correlated",
        table=Rows(["mode", "population", "bound, rms", *names], rows),
        remark="Correlations are those of the mean posterior covariance over all spectra. Near +1 or -1 two modes "
        "cannot be told apart by these frequencies.",
    )


def _signs(found: Study) -> Section:
    """Contact resistance is left out: it adds to Re Z and to nothing else."""
    n = len(found.frequency_Hz)
    rows = [
        [f"{part}, {mode}", *(f"{share:.0%}" for share in found.rises[mode][first : first + n])]
        for mode in found.rises
        if mode != "contact_resistance"
        for part, first in (("Re Z", 0), ("-Im Z", n))
    ]
    return Section(
        "What grows with a mode",
        table=Rows(["Hz", *(f"{frequency:g}" for frequency in found.frequency_Hz)], rows),
        remark=f"Share of the spectra of {found.validation_trajectories} validation trajectories in which a part of Z "
        "grows with a mode, at the same rest voltage. 100% or 0% at every frequency is a law that a network could be "
        "made to keep; anything else is none.",
    )


def _frequencies(found: Study) -> Section:
    alone, exchanged = plain("Hz", "bound of SOH"), plain("Hz", "change of the bound of SOH")
    reference = found.recipe_plans[0].plan.soh_rms
    for chosen, name, colour in ((True, "in the recipe", DEVICE), (False, "not in the recipe", PRIOR)):
        values = [value for value in found.values if value.chosen == chosen]
        x = [value.frequency_Hz for value in values]
        alone.add_trace(go.Scatter(x=x, y=[value.alone for value in values], name=name, **dots(colour, 8)))
        change = [value.exchanged - reference for value in values]
        exchanged.add_trace(go.Bar(x=np.log10(x), y=change, name=name, marker={"color": colour}, width=0.1, text=x,
                                   texttemplate="", hovertemplate="%{text:.4g} Hz: %{y:.4%}"))  # fmt: skip
    alone.update_xaxes(type="log")
    alone.update_yaxes(tickformat=".1%")
    exchanged.update_xaxes(title="log10 of Hz")
    exchanged.update_yaxes(tickformat=".3%")
    best = sorted((value for value in found.values if not value.chosen), key=lambda value: value.exchanged)
    text = ", ".join(f"{value.frequency_Hz:.3g} Hz ({_percent(value.exchanged)})" for value in best[:3])
    return Section(
        "What each frequency is worth",
        text=f"On {found.validation_trajectories} validation trajectories, with all spectra so far. The recipe's "
        f"{len(found.frequency_Hz)} frequencies give {_percent(reference)}; the best to add would be {text}.",
        plots=[
            (alone, "The bound with this frequency alone in every spectrum."),
            (exchanged, "The change of the bound when a frequency is left out (in the recipe) or added (not in it)."),
        ],
    )


def _plans(found: Study) -> Section:
    figure = plain("seconds for one spectrum", "bound of SOH")
    for instrument, colour in (("multisine", DEVICE), ("one_by_one", REFERENCE)):
        plans = [one for one in found.plans if one.instrument == instrument and one.plan.frequency_Hz]
        x, y = [one.plan.duration_s for one in plans], [one.plan.soh_rms for one in plans]
        figure.add_trace(go.Scatter(x=x, y=y, name=f"best, {INSTRUMENTS[instrument]}", **line(colour)))
    own = found.recipe_plans
    figure.add_trace(
        go.Scatter(x=[one.plan.duration_s for one in own], y=[one.plan.soh_rms for one in own], name="the recipe's",
                   **dots(LABEL, 9))
    )  # fmt: skip
    figure.update_xaxes(type="log")
    figure.update_yaxes(tickformat=".1%", rangemode="tozero")
    rows = [_plan_row(one, "recipe") for one in own] + [_plan_row(one, f"{one.budget_s:g} s") for one in found.plans]
    multisine = next(one for one in own if one.instrument == MULTISINE)
    return Section(
        "The best frequencies for a measuring time",
        text=f"At most {len(found.frequency_Hz)} of the candidates, chosen on validation trajectories for the smallest "
        f"bound of SOH. An instrument measures {found.periods:g} periods of each frequency, all at once (multisine: as "
        f"long as the lowest takes; the recipe's set {multisine.plan.duration_s:.0f} s) or one after the other.",
        table=Rows(["time allowed", "instrument", "time taken", "bound of SOH", "Hz"], rows),
        plots=[(figure, "Greedy choice and exchange: each point is a local optimum.")],
    )


def _plan_row(one: BudgetedPlan, name: str) -> list[str]:
    frequencies = ", ".join(f"{float(f'{frequency:.3g}'):g}" for frequency in one.plan.frequency_Hz)
    return [name, INSTRUMENTS[one.instrument], f"{one.plan.duration_s:.0f} s", _percent(one.plan.soh_rms), frequencies]


def _percent(value: float) -> str:
    return f"{value:.3%}"
