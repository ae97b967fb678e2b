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
from eishil.robustness.replay import Outcome
from eishil.robustness.scenarios import SCENARIOS
from eishil_bench.pipeline import Workspace
from eishil_bench.studies import identify, robustness

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
