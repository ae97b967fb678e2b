"""Figures of a run against values worked out by hand, and limits that hold or are missed."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from eishil.errors import EishilError, RecipeError
from eishil_bench.runs import bootstrap, compare, run_table
from eishil_bench.runs.limits import LIMITS_PATH, Limit, check_all, load_limits, sentence
from eishil_bench.runs.results import Comparison


def table() -> pd.DataFrame:
    """Two cells, two spectra each; errors of the device +1, -1, +3, -3 percent, of the reference +1, -1, +1, -1."""
    return pd.DataFrame(
        {
            "cell_id": ["a", "a", "b", "b"],
            "step": [0, 1, 0, 1],
            "cycles": [0.0, 40.0, 0.0, 40.0],
            "soh": [1.00, 0.96, 0.90, 0.80],
            "reference_soh": [1.01, 0.95, 0.91, 0.79],
            "device_soh": [1.01, 0.95, 0.93, 0.77],
            "prior_soh": [1.04, 1.00, 0.94, 0.84],
            "reference_soh_sigma": [0.02, 0.02, 0.005, 0.004],
            "device_soh_sigma": [0.02, 0.02, 0.02, 0.01],
            "device_rul_median": [np.inf] * 4,
            "device_rul_low": [np.inf] * 4,
            "device_rul_high": [np.inf] * 4,
            "reference_nis": [10.0, 20.0, 30.0, 40.0],
            "device_nis": [11.0, 20.0, 30.0, 49.0],
            "reference_n_used": [22, 22, 22, 22],
            "device_n_used": [22, 22, 22, 22],
            "reference_status": [0, 0, 0, 1],
            "device_status": [0, 0, 0, 0],
            "reference_x": [[0.0, 1.0]] * 4,
            "device_x": [[0.0, 1.0], [0.1, 1.0], [-0.3, 1.0], [0.0, 1.4]],
            "reference_P": [[0.04, 0.01, 0.01, 0.25]] * 4,
            "device_P": [[0.04, 0.01, 0.01, 0.25]] * 3 + [[0.01, 0.0, 0.0, 0.25]],
            "modes": [[0.0], [0.1], [0.2], [0.3]],
            "device_modes": [[0.01], [0.11], [0.2], [0.36]],
            "device_modes_sigma": [[0.01], [0.02], [0.01], [0.02]],
            "count": [100, 101, 102, 403],
            "interrupts": [0, 0, 0, 0],
        }
    )


def test_figures_are_those_worked_out_by_hand():
    figures = compare.compare(table(), ["p", "q"], ["u"], counted=True)
    assert (figures.cells, figures.spectra, figures.status_mismatches) == (2, 4, 1)
    assert figures.soh_rmse_reference == pytest.approx(0.01)
    assert figures.soh_rmse_device == pytest.approx(np.sqrt((1 + 1 + 9 + 9) / 4) / 100)
    assert figures.soh_rmse_prior == pytest.approx(0.04)
    assert figures.soh_rmse_reference_over_prior == pytest.approx(0.25)
    assert figures.rms_soh_difference == pytest.approx(np.sqrt((0 + 0 + 4 + 4) / 4) / 100)
    assert figures.max_abs_soh_difference == pytest.approx(0.02)
    # device: 0.5, 0.5, 1.5 and 3 sigma; reference: 0.5, 0.5, 2 and 2.5
    assert (figures.coverage_1_sigma, figures.coverage_2_sigma) == (0.5, 0.75)
    assert figures.coverage_1_sigma_reference == 0.5
    assert figures.nees_mean == pytest.approx((0.25 + 0.25 + 2.25 + 9) / 4)
    assert figures.nis_mean_reference == pytest.approx(100 / 88)
    assert figures.nis_mean == pytest.approx(110 / 88)
    # Tables of the chi-square distribution: 2 degrees of freedom 0.0506 and 7.3778, 88 of them 63.94 and 115.84.
    assert (figures.nees_bounds.low, figures.nees_bounds.high) == pytest.approx((0.0253, 3.6889), abs=1e-4)
    assert (figures.nis_bounds.low, figures.nis_bounds.high) == pytest.approx((63.94 / 88, 115.84 / 88), abs=1e-4)
    assert figures.soh_rmse_stays_fresh == pytest.approx(np.sqrt((0 + 16 + 100 + 400) / 4) / 100)
    assert (figures.rul_mae_cycles, figures.rul) == (None, None)
    assert figures.count_per_step.median == 101.5 and figures.count_per_step.max == 403
    assert figures.count_per_step.p99 == pytest.approx(102 + 0.97 * 301)
    assert [(s.name, round(s.max_abs_in_sigma, 9)) for s in figures.states] == [("p", 1.5), ("q", 0.8)]
    assert [round(s.max_abs_sigma_relative, 9) for s in figures.states] == [0.5, 0.0]
    assert [(cell.cell_id, round(cell.rmse_device, 9)) for cell in figures.worst_cells] == [("b", 0.03), ("a", 0.01)]


def test_modes_are_held_against_their_labels():
    (mode,) = compare.compare(table(), ["p", "q"], ["u"], counted=True).modes
    assert mode.name == "u" and mode.rms_error == pytest.approx(np.sqrt((1 + 1 + 0 + 36) / 4) / 100)
    assert mode.mean_sigma == pytest.approx(0.015)
    assert (mode.coverage_1_sigma, mode.coverage_2_sigma) == (0.75, 0.75)
    assert mode.nees == pytest.approx((1 + 0.25 + 0 + 9) / 4)


def test_remaining_life_is_scored_where_lives_end_and_before_they_do():
    """Cell a falls below 0.8 at 150 cycles, cell b never does."""
    lives = pd.DataFrame(
        {
            "cell_id": ["a"] * 3 + ["b"] * 2,
            "cycles": [0.0, 100.0, 200.0, 0.0, 100.0],
            "soh": [1.0, 0.9, 0.7, 1.0, 0.9],
            "device_rul_median": [170.0, np.inf, 0.0, 500.0, 400.0],
            "device_rul_low": [100.0, 60.0, 0.0, 400.0, 300.0],
            "device_rul_high": [180.0, np.inf, 0.0, np.inf, np.inf],
        }
    )
    mae_cycles, figures = compare.remaining_life(lives)
    # Labels 150 and 50; a forecast without an end counts as one at the last cycle of the run, 200.
    assert mae_cycles == pytest.approx((20 + 50) / 2)
    assert figures is not None
    assert (figures.spectra, figures.censored, figures.unforeseen) == (2, 2, 0.5)
    assert (figures.bias_cycles, figures.coverage_90) == pytest.approx((35.0, 0.5))


def test_bands_hold_every_spectrum_once_with_the_lower_edge_inside():
    bands = compare.soh_bands(table())
    assert [(round(band.soh_from, 9), band.spectra) for band in bands] == [(1.0, 1), (0.95, 1), (0.9, 1), (0.8, 1)]
    assert bands[-1].rmse_device == pytest.approx(0.03) and bands[-1].rmse_prior == pytest.approx(0.04)


def test_coverage_is_given_where_the_cells_are_old_too():
    figures = compare.compare(table(), ["p", "q"], ["u"], counted=True)
    # device in sigmas, by row: 0.5, 0.5, 1.5 and 3; the last fifth of each cell's cycles is its second spectrum
    assert [band.coverage_2_sigma for band in figures.soh_bands] == [1.0, 1.0, 1.0, 0.0]
    late = figures.end_of_life
    assert (late.spectra, late.coverage_2_sigma) == (2, 0.5)
    assert late.rmse_device == pytest.approx(np.sqrt((1 + 9) / 2) / 100)
    assert late.rmse_reference == pytest.approx(0.01)


def test_interval_is_that_of_whole_cells_drawn_again():
    """Two cells with rms 1 and 3 percent: a draw has a mean square of 1, 5 or 9, with probability 1/4, 1/2 and 1/4."""
    figures = compare.compare(table(), ["p", "q"], ["u"], counted=True)
    assert figures.soh_rmse_device_interval.low == pytest.approx(0.01)
    assert figures.soh_rmse_device_interval.high == pytest.approx(0.03)
    assert (figures.coverage_2_sigma_interval.low, figures.coverage_2_sigma_interval.high) == (0.5, 1.0)


def test_interval_is_as_wide_as_theory_says():
    """40 cells of 5 equal values each: the mean scatters by std / sqrt(40), not by std / sqrt(200)."""
    values = np.repeat(np.random.default_rng(2).normal(0.0, 1.0, 40), 5)
    cells = pd.DataFrame({"cell_id": np.repeat([f"c{i}" for i in range(40)], 5)})
    found = bootstrap.interval(bootstrap.cell_means(cells, values))
    expected = 2 * 1.96 * values[::5].std() / np.sqrt(40)
    assert found.high - found.low == pytest.approx(expected, rel=0.1)
    assert found == bootstrap.interval(bootstrap.cell_means(cells, values)), "seeded"


def test_without_a_counter_there_is_no_count():
    assert compare.compare(table(), ["p", "q"], ["u"], counted=False).count_per_step is None


def test_counts_that_an_interrupt_fell_into_are_left_out():
    disturbed = table().assign(interrupts=[0, 2, 0, 1])
    count = compare.count_per_step(disturbed)
    assert (count.median, count.max, count.left_out) == (101.0, 102, 2)
    assert compare.count_per_step(table().assign(interrupts=1)) is None


def test_every_limit_of_the_bench_names_a_figure_and_gives_a_reason():
    limits = load_limits()
    known = set(Comparison.model_fields) | {"masked_fraction", "lost_exchanges"}
    assert set(limits) <= known
    required = {
        "soh_rmse_reference": (None, 0.010),
        "soh_rmse_reference_over_prior": (None, 0.5),
        "rms_soh_difference": (None, 0.002),
        "max_abs_soh_difference": (None, 0.006),
        "coverage_2_sigma": (0.90, 0.99),
    }
    assert {name: (limits[name].at_least, limits[name].at_most) for name in required} == required


@pytest.mark.parametrize(
    ("value", "passed"),
    [(0.9, True), (0.99, True), (0.8999, False), (0.9901, False), (float("nan"), False), (None, False)],
)
def test_bounds_are_inclusive_and_what_is_no_number_misses(value, passed):
    limit = Limit(at_least=0.9, at_most=0.99, reason="long enough to be a reason")
    assert limit.check("coverage_2_sigma", value).passed is passed


def test_missed_limit_is_told_with_figure_bound_and_reason():
    limit = Limit(at_most=0.016, reason="because the network can do better")
    (check,) = check_all({"soh_rmse_reference": 0.02}, {"soh_rmse_reference": limit})
    assert (
        sentence(check) == "soh_rmse_reference is 0.02 and should be at most 0.016: because the network can do better"
    )


def test_limit_on_an_unknown_figure_is_an_error():
    limit = Limit(at_most=1, reason="because it has to be something")
    with pytest.raises(RecipeError, match=r"limits\.toml: soh_rsme is no figure"):
        check_all({"soh_rmse": 0.1}, {"soh_rsme": limit})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[a]\nat_most = 1", "a.toml: a.reason: this key is missing"),
        ("[a]\nreason = 'a reason of some length'", "a: needs at_least or at_most"),
        ("[a]\nat_mots = 1\nreason = 'a reason of some length'", "a.at_mots: this key is unknown"),
        ("[a\n", "not a TOML file"),
        ("a = 3", "a.toml: a: has to be a table"),
    ],
)
def test_malformed_limits_are_told_with_file_and_key(tmp_path, text, complaint):
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=re.escape(complaint)) as caught:
        load_limits(path)
    assert str(path) in str(caught.value)


def test_limits_are_where_the_bench_looks_for_them():
    assert LIMITS_PATH.name == "limits.toml" and LIMITS_PATH.parent.name == "bench"


def test_damaged_and_missing_tables_are_told(tmp_path):
    with pytest.raises(EishilError, match=r"run\.parquet is missing; `eishil run RECIPE` writes it"):
        run_table.load(tmp_path / "run.parquet")
    (tmp_path / "run.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(EishilError, match=r"run\.parquet is damaged"):
        run_table.load(tmp_path / "run.parquet")


def test_table_survives_its_file(tmp_path):
    run_table.save(table(), tmp_path / "deep" / "run.parquet")
    again = run_table.load(tmp_path / "deep" / "run.parquet")
    assert np.array_equal(run_table.matrix(again, "device_P"), run_table.matrix(table(), "device_P"))
    assert SimpleNamespace(**compare.compare(again, ["p", "q"], ["u"], counted=True).model_dump()) == SimpleNamespace(
        **compare.compare(table(), ["p", "q"], ["u"], counted=True).model_dump()
    )
