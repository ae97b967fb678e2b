"""Studies: from a small recipe to figures, terminal and page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eishil.dataset.factory import Options, generate
from eishil.dataset.recipe import Recipe
from eishil.identify import cramer_rao, study
from eishil.progress import silent
from eishil.regression import measured_cells
from eishil.regression.baselines import Baselines
from eishil.robustness.replay import Outcome
from eishil.robustness.scenarios import SCENARIOS
from eishil_bench.pipeline import Workspace
from eishil_bench.studies import baselines, identify, measured, robustness

TINY = (Path(__file__).parents[2] / "datasets" / "recipes" / "first_light.toml").read_text("utf-8")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """First light's cells with an SPM, few and short-lived."""
    text = TINY
    for old, new in (
        ('model = "DFN"', 'model = "SPM"'), ("steps = 30", "steps = 3"), ("trajectories = 200", "trajectories = 2"),
        ("snapshots = 12000", "snapshots = 0"), ("trajectories = 20\n", "trajectories = 1\n"),
        ("trajectories = 30\n", "trajectories = 2\n"),
    ):  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "recipe.toml"
    path.write_text(text, "utf-8")
    made = Workspace.open(path, tmp_path / "build")
    generate(Recipe.load(path), path, made.dataset, Options(), silent)
    return made


def test_identify_tells_the_same_to_terminal_page_and_file(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cramer_rao, "POPULATION_LIVES", 200)
    monkeypatch.setattr(study, "BUDGETS_S", (60.0,))
    identify.command(workspace.recipe_path, tmp_path / "build", tmp_path / "found.json", 3.0, 1)
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert found == json.loads((workspace.root / "identify" / "identify.json").read_text("utf-8"))
    assert found["trajectories"] == 2 and found["spectra"] == 6
    assert 0 < found["soh_rms"] < found["prior_soh_rms"] < 0.1
    by_name = {one["name"]: one["soh_rms"] for one in found["variants"]}
    assert by_name["as in the recipe"] == found["soh_rms"]
    better, worse = ("all 18 frequencies of the data set", "voltage and temperature known exactly"), (
        "three times the noise on Z", "one spectrum, no history")  # fmt: skip
    assert all(by_name[name] < found["soh_rms"] for name in better)
    assert all(by_name[name] > found["soh_rms"] for name in worse)
    page = (workspace.root / "identify" / "identify.html").read_text("utf-8")
    shown = capsys.readouterr().out
    for text in (f"{found['soh_rms']:.3%}", f"{found['plans'][0]['plan']['soh_rms']:.3%}"):
        assert text in page and text in shown


def test_a_row_has_the_figures_of_its_estimates() -> None:
    label, error = np.array([1.0, 0.9, 0.8, 1.0, 0.9]), np.array([0.01, -0.01, 0.03, 0.0, 0.02])
    rows = pd.DataFrame(
        {"cell_id": list("aaabb"), "soh": label, "estimate": label + error, "sigma": 0.01 + 1e-9,
         "late": [False, False, True, False, True]}
    )  # fmt: skip
    found = robustness.row(Outcome(SCENARIOS[0], rows, 4))
    assert found.rmse == pytest.approx(np.sqrt(15e-4 / 5))
    assert found.rmse_end_of_life == pytest.approx(np.sqrt(13e-4 / 2))
    assert found.bias == pytest.approx(0.01)
    assert (found.coverage_1_sigma, found.coverage_2_sigma) == pytest.approx((0.6, 0.8))
    assert (found.cells, found.spectra, found.masked) == (2, 5, 4)
    assert found.rmse_interval == pytest.approx((np.sqrt(2e-4), np.sqrt(11e-4 / 3)), rel=1e-6)


def test_measured_cells_from_table_to_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells whose resistance is their loss: ridge reads it, the mean cannot."""
    rows = [
        (5 * cell + k, cell, 25, 20 * k, 100 - cell, f, 0.01 + 1e-3 * cell, -0.001)
        for cell in range(8)
        for k in range(2)
        for f in (1.0, 10.0, 100.0, 1e4)
    ]
    pd.DataFrame(rows, columns=list(measured_cells.COLUMNS)).to_csv(tmp_path / "cells.csv", index=False)
    monkeypatch.setattr(measured_cells, "REGRESSIONS", measured_cells.REGRESSIONS[:2])
    measured.command(tmp_path / "cells.csv", tmp_path / "out")
    written = json.loads((tmp_path / "out" / "measured.json").read_text("utf-8"))["rows"]
    found = {(row["regression"], row["left_out"]): row["rmse"] for row in written}
    assert found["ridge", "one cell"] < 0.002
    expected = np.sqrt(np.mean((0.01 * (np.arange(8) - 3.5) * 8 / 7) ** 2))  # of the others' mean
    assert found["mean of the training cells", "one cell"] == pytest.approx(expected)
    page = (tmp_path / "out" / "measured.html").read_text("utf-8")
    shown = capsys.readouterr().out
    assert f"{expected:.2%}" in page and f"{expected:.2%}" in shown


def test_baselines_are_shown_with_the_scatter_of_their_cells() -> None:
    error = np.array([0.01, 0.01, -0.03, -0.03])
    common = {"label": "soh", "inputs": "one spectrum", "backend": "mlp"}
    truth = np.array([1.0, 0.9, 0.95, 0.85])
    predictions = pd.DataFrame({"cell_id": list("aabb"), "truth": truth, "prediction": truth + error, "error": error})
    metrics = pd.DataFrame(
        [common | {"split": "test", "label_source": "snapshot", "cells": 2, "spectra": 4, "settings": "none",
                   "mae": 0.02, "rmse": np.sqrt(5e-4), "r2": 0.5}]
    )  # fmt: skip
    importance = pd.DataFrame({"input": ["voltage_V"], "rmse_increase": [0.1], "std": [0.01]})
    backends = [importance.assign(**(common | {"backend": name})) for name in baselines.BACKENDS]
    found = Baselines(metrics, predictions.assign(**common), pd.concat(backends, ignore_index=True))
    table = baselines.sections(found)[0].table
    assert table is not None
    assert list(table.rows[0]) == ["mlp", "one spectrum", "2.00%", "2.24%", "1.00% to 3.00%", "0.500"]
