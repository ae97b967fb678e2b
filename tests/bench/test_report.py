"""The page: whole, self-contained, and with the figures of the run."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs

from eishil import wire
from eishil.dataset.audit import audit
from eishil.filters.ekf import Ekf
from eishil.progress import silent
from eishil_bench.pipeline import Workspace
from eishil_bench.report import figures
from eishil_bench.report.page import render, write_report
from eishil_bench.report.stored_studies import load_studies
from eishil_bench.report.study import Rows, Section, write_study
from eishil_bench.report.style import plain
from eishil_bench.report.words import bound_text, figure_text
from eishil_bench.runs.limits import Limit, load_limits
from eishil_bench.runs.measure import judge, measure
from eishil_bench.runs.results import Check, Results
from support.fake_dut import BUILD_ID, FakeDevice
from support.random_models import random_estimator
from support.simulated_cells import simulated_cells

MAX_PAGE_bytes = 6_000_000
SAMPLE = Path(__file__).resolve().parents[2] / "datasets" / "sample"


@pytest.fixture(scope="module")
def measurement_and_model():
    model, network = random_estimator(np.random.default_rng(5))
    device = FakeDevice(model, hello={"counter": wire.ENUMS["counter"]["TIM2"]})
    cells = simulated_cells(model, network, cells=5, steps=5, seed=1)
    return measure(device, model, image(), Ekf(model, network), cells, silent), model


def image():
    return SimpleNamespace(build_id=BUILD_ID, flash_bytes=20480, ram_bytes=6543, stack_bytes=900)


def judged(measurement_and_model, limits, *, kind="qemu", description="A toy.") -> Results:
    about = {"recipe": "toy", "description": description, "target": kind, "target_kind": kind, "run_table": "t"}
    provenance = {"sha256 of toy.toml": "ab" * 32}
    measurement, model = measurement_and_model
    return judge(measurement, model, image(), 0, limits, provenance=provenance, **about)


def page(measurement_and_model, results) -> str:
    """The page without plotly's script, which is not ours to look into."""
    text = render(results, measurement_and_model[0].table)
    assert text.count(get_plotlyjs()) == 1
    return text.replace(get_plotlyjs(), "")


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


def test_page_loads_nothing(measurement_and_model):
    text = page(measurement_and_model, judged(measurement_and_model, load_limits()))
    parser = Tags()
    parser.feed(text)
    for tag, attributes in parser.tags:
        assert tag not in ("link", "iframe", "img", "object", "embed", "base")
        assert not {"src", "href", "data", "srcset"} & attributes.keys()
    policy = next(attributes for tag, attributes in parser.tags if tag == "meta" and "http-equiv" in attributes)
    assert policy["content"].startswith("default-src 'none'; script-src 'unsafe-inline'")
    assert "url(" not in text and "@import" not in text


def test_studies_of_the_recipe_are_parts_of_the_page(measurement_and_model, tmp_path):
    """What was made stands there with its plots, of another model or not; what was not, with its command."""
    results = judged(measurement_and_model, load_limits())
    workspace = Workspace(SimpleNamespace(name="toy"), tmp_path / "toy.toml", tmp_path / "toy")
    figure = plain("age", "error")
    figure.add_trace(go.Scatter(x=[1.5, 2.5], y=[0.25, 0.75], name="a & b"))
    section = Section("Rows <of> it", "Some text.", Rows(["what", "how much"], [["one", "0.731 %"]]), [(figure, "Hm.")])
    (workspace.root / "robustness").mkdir(parents=True)
    write_study(workspace.root / "robustness" / "robustness.html", "R", "A lead.", [section], "cd" * 32)
    shutil.copytree(SAMPLE, workspace.dataset)
    duplicates = audit(workspace.dataset)["duplicate_samples"]
    text = render(results, measurement_and_model[0].table, load_studies(workspace, results.model_id))
    for shown in (
        "Rows &lt;of&gt; it",
        "Some text.",
        "0.731 %",
        "Hm.",
        "A lead.",
        "of another model than this run, cdcd",
    ):
        assert shown in text
    assert text.count('id="plot-robustness-0-0"') == 1
    assert '"x":[1.5,2.5]' in text
    for command in ("identify", "baselines", "study network"):
        assert f"<code>eishil {command} {tmp_path / 'toy.toml'}" in text
    assert f'<td>samples of the same state</td><td class="n">{duplicates}</td>' in text
    again = load_studies(workspace, "cd" * 8)  # as the wire has it
    assert "another model" not in " ".join(study.lead for study in again)


def test_page_is_small_enough_and_the_same_for_the_same_run(measurement_and_model, tmp_path):
    results = judged(measurement_and_model, load_limits())
    for name in ("one.html", "two.html"):
        write_report(results, measurement_and_model[0].table, tmp_path / name)
    one, two = ((tmp_path / name).read_bytes() for name in ("one.html", "two.html"))
    assert one == two and len(one) < MAX_PAGE_bytes


def test_page_has_the_verdict_every_limit_and_every_missed_one(measurement_and_model):
    limits = {
        "soh_rmse_device": Limit(at_most=1e-6, reason="a bound that cannot be kept, to see it missed"),
        "max_abs_soh_difference": Limit(at_most=0.5, reason="a bound that is kept whatever happens"),
    }
    results = judged(measurement_and_model, limits)
    text = page(measurement_and_model, results)
    assert not results.passed and len(results.failures) == 1
    assert '<span class="verdict failed">failed</span>' in text and "1 limit was missed." in text
    assert text.count('class="missed"') == text.count('class="kept"') == 1
    for limit in limits.values():
        assert limit.reason in text
    assert results.failures[0] in text
    assert figure_text(results.soh_rmse_device, "soh_rmse_device") in text


def test_page_tells_how_the_old_cells_do_and_how_far_figures_scatter(measurement_and_model):
    results = judged(measurement_and_model, load_limits())
    text = page(measurement_and_model, results)
    for band in (*results.soh_bands, results.end_of_life):
        assert f'<td class="n">{100 * band.coverage_2_sigma:.1f}%</td></tr>' in text
    for interval, decimals in ((results.soh_rmse_device_interval, 2), (results.coverage_2_sigma_interval, 1)):
        assert f"({interval.low:.{decimals}%} to {interval.high:.{decimals}%})" in text


def test_every_count_of_link_and_device_is_shown(measurement_and_model):
    results = judged(measurement_and_model, load_limits())
    text = page(measurement_and_model, results)
    for counts in (results.link, results.device):
        for name, count in counts.model_dump().items():
            assert f'<td>{name.replace("_", " ")}</td><td class="n">{count}</td>' in text


def test_count_is_named_for_what_it_is(measurement_and_model):
    emulated = page(measurement_and_model, judged(measurement_and_model, load_limits()))
    assert "executed instructions of the emulated core, not cycles" in emulated
    assert 'id="plot-counts"' in emulated
    native = page(measurement_and_model, judged(measurement_and_model, load_limits(), kind="native"))
    assert "no counter that means something" in native and 'id="plot-counts"' not in native


def test_what_a_recipe_says_cannot_become_markup(measurement_and_model):
    results = judged(measurement_and_model, load_limits(), description="<script>alert(1)</script>")
    assert "<script>alert(1)" not in page(measurement_and_model, results)


def test_results_survive_their_file_and_a_damaged_one_is_told(measurement_and_model, tmp_path):
    results = judged(measurement_and_model, load_limits())
    results.save(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json") == results
    (tmp_path / "results.json").write_text(results.model_dump_json().replace('"cells":5', '"cells":"five"'))
    with pytest.raises(Exception, match=re.escape("results.json: cells: Input should be a valid integer")):
        Results.load(tmp_path / "results.json")


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_results_load_what_they_saved_whatever_the_figure(measurement_and_model, tmp_path, value):
    limits = {"soh_rmse_device": Limit(at_most=1.0, reason="a limit whose value is written too")}
    results = judged(measurement_and_model, limits)
    check = results.checks[0].model_copy(update={"value": value})
    results.model_copy(update={"nees_mean": value, "checks": [check]}).save(tmp_path / "r.json")
    loaded = Results.load(tmp_path / "r.json")
    assert np.array_equal([loaded.nees_mean, loaded.checks[0].value], [value] * 2, equal_nan=True)


def test_plots_show_best_and_worst_cells_and_fresh_and_aged_spectra(measurement_and_model, monkeypatch):
    table = measurement_and_model[0].table
    monkeypatch.setattr(figures, "SHOWN_CELLS", 3)
    error = (table["device_soh"] - table["soh"]) ** 2
    ranked = list(error.groupby(table["cell_id"]).mean().sort_values().index)
    assert figures.shown_cells(table) == [ranked[0], ranked[2], ranked[4]]
    shown = figures.shown_spectra(table)["soh"]
    assert shown.iloc[0] == table["soh"].max() and shown.iloc[-1] == table["soh"].min()


def test_band_is_two_sigma_of_the_device(measurement_and_model):
    table = measurement_and_model[0].table
    cell = figures.shown_cells(table)[0]
    band = next(trace for trace in figures.soh_trajectories(table).data if trace.name == "device ± 2 σ")
    rows = table[table["cell_id"] == cell]
    upper = rows["device_soh"] + 2 * rows["device_soh_sigma"]
    assert np.allclose(np.asarray(band.y, float)[: len(rows)], upper)


def test_coverage_curve_is_the_coverage(measurement_and_model):
    table = measurement_and_model[0].table
    curve = next(trace for trace in figures.coverage_curve(table).data if trace.name == "device")
    inside = np.abs(table["device_soh"] - table["soh"]) <= 2 * table["device_soh_sigma"]
    assert dict(zip(np.round(curve.x, 6), curve.y, strict=True))[2.0] == pytest.approx(inside.mean())


@pytest.mark.parametrize(
    ("figure", "least", "most", "text"),
    [
        ("coverage_2_sigma", 0.9, 0.99, "90% to 99%"),
        ("soh_rmse_reference", None, 0.016, "≤ 1.6%"),
        ("soh_rmse_reference_over_prior", None, 0.5, "≤ 0.5"),
        ("spectra", 600, None, "≥ 600"),
    ],
)
def test_bounds_have_the_unit_of_their_figure(figure, least, most, text):
    check = Check(figure=figure, value=1.0, at_least=least, at_most=most, reason="", passed=True)
    assert bound_text(check) == text


def test_round_trips_are_those_of_spectra_that_were_sent_once():
    table = pd.DataFrame({"round_trip_us": [4000, 0, 5000, 5000, 80_000], "interval_us": 1, "cell_id": "a"})
    (bars,) = figures.round_trips(table).data
    counts = dict(zip(bars.x, bars.y, strict=True))
    filled = {x: y for x, y in counts.items() if y}
    assert list(filled.values()) == [1, 2, 1], "4 ms, twice 5 ms, and a straggler in the last bar"
    assert max(filled) < 4 * 5.0 <= max(filled) + bars.width
    assert "median 5" in figures.round_trips(table).layout.annotations[0].text


def test_throughput_is_spectra_over_the_time_that_the_link_was_busy():
    table = pd.DataFrame({"cell_id": ["a", "a", "b"], "interval_us": [4000, 6000, 10_000], "round_trip_us": 0})
    (bars,) = figures.throughput(table).data
    found = [x for x, y in zip(bars.x, bars.y, strict=True) if y]
    for per_s, x in zip((100.0, 200.0), found, strict=True):
        assert x <= per_s < x + bars.width
    assert not figures.round_trips(table).data, "nothing was sent once"
