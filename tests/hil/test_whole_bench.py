"""The bench as a user runs it, on a prepared recipe: stages up to date, image built, targets run, page written."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from eishil_bench.pipeline import Workspace
from support.command_line import TIMEOUT_s, eishil
from support.estimates import untimed
from support.prepared_workspace import CELLS, STEPS, prepared_workspace

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("whole_bench")]
FRESH = 5
REQUIRED = {
    "target", "clock", "wire_digest", "build_id", "model_id", "cells", "spectra", "masked_spectra",
    "soh_rmse_reference", "soh_rmse_device", "soh_rmse_prior", "max_abs_soh_difference", "rms_soh_difference",
    "coverage_1_sigma", "coverage_2_sigma", "count_per_step", "link", "size", "passed",
}  # fmt: skip


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return prepared_workspace(tmp_path_factory.mktemp("bench"), mask_first=True, fresh=FRESH)


def run(workspace: Workspace, target: str) -> tuple[subprocess.CompletedProcess[str], dict, pd.DataFrame]:
    answer = eishil("run", workspace.recipe_path, "--target", target, "--out", workspace.root.parent)
    assert answer.returncode in (0, 1), answer.stderr
    results = json.loads(workspace.results.read_text())
    return answer, results, pd.read_parquet(workspace.run_table(target))


@pytest.fixture(scope="module")
def sanitized_run(workspace):
    return run(workspace, "native_sanitized")


@pytest.mark.parametrize("target", ["native_sanitized", "qemu", "renode", "renode_h743"])
def test_whole_bench(workspace, sanitized_run, target):
    emulated = target != "native_sanitized"
    answer, results, table = run(workspace, target) if emulated else sanitized_run
    assert results.keys() >= REQUIRED
    assert (results["cells"], results["spectra"], results["masked_spectra"]) == (CELLS, CELLS * STEPS - 1, 1)
    assert results["clock"] == ("instructions" if emulated else "none")
    assert (results["count_per_step"] is not None) == emulated
    learned = results["commissioning"]
    assert learned["fresh_spectra"] == FRESH and 0.02 < learned["rms_offset"] < 0.03  # noise on top
    assert learned["max_abs_offset_difference"] < 2e-3 and learned["max_abs_sigma_difference_relative"] < 0.1
    assert learned["soh_rmse_uncommissioned"] > 1.2 * results["soh_rmse_reference"]
    assert results["link"]["lost"] == 0 and results["size"]["flash_bytes"] > 0
    error = table["device_soh"] - table["soh"]
    assert results["soh_rmse_device"] == pytest.approx(np.sqrt((error**2).mean()))
    assert results["rms_soh_difference"] <= 0.002 and results["max_abs_soh_difference"] <= 0.006
    assert results["soh_rmse_reference"] < 0.5 * results["soh_rmse_prior"]
    assert answer.returncode == (0 if results["passed"] else 1)
    assert results["passed"] == (results["failures"] == [])
    assert all(failure in answer.stdout for failure in results["failures"])
    page = workspace.report.read_text()
    assert f"prepared on {target}" in page
    assert f"Every cell was commissioned with {FRESH} spectra" in page


def test_second_run_reuses_and_says_so_and_gives_the_same_estimates(workspace, sanitized_run):
    _, first, table = sanitized_run
    answer, second, again = run(workspace, "native_sanitized")
    lines = answer.stderr.splitlines()
    for stage in ("dataset", "train", "quantize", "generate"):
        assert any(line.split() == [stage, "up", "to", "date"] for line in lines), answer.stderr
    assert untimed(table).equals(untimed(again))
    # How often hello was asked depends on how long the process took to start.
    timed = ("link", "device", "run_table_sha256")
    assert {key: first[key] for key in first if key not in timed} == {
        key: second[key] for key in second if key not in timed
    }


def test_report_is_made_again_without_a_target(workspace, sanitized_run):
    before = workspace.report.read_bytes()
    workspace.report.unlink()
    answer = eishil("report", workspace.recipe_path, "--out", workspace.root.parent)
    assert answer.returncode == 0, answer.stderr
    assert workspace.report.read_bytes() == before


def test_missed_limit_exits_1_and_says_which(workspace):
    code = (
        "from eishil_bench import cli\nfrom eishil_bench.runs import limits\n"
        "tight = {'rms_soh_difference': limits.Limit(at_most=1e-12, reason='to see a limit missed by a whole run')}\n"
        "limits.load_limits = lambda: tight; cli.main()"
    )
    arguments = ["run", str(workspace.recipe_path), "--target", "native_sanitized", "--out", str(workspace.root.parent)]
    answer = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=TIMEOUT_s, check=False
    )
    assert answer.returncode == 1, answer.stderr
    assert "missed" in answer.stdout and "rms_soh_difference is" in answer.stdout
    assert not json.loads(workspace.results.read_text())["passed"]


def test_a_stage_alone_asks_for_what_it_reads(workspace, tmp_path):
    recipe, empty = workspace.recipe_path, tmp_path / "elsewhere"
    needs = {"train": "dataset", "quantize": "dataset", "generate": "quantize", "build": "generate"}
    for stage, before in needs.items():
        answer = eishil(stage, recipe, "--out", empty)
        assert answer.returncode == 2
        assert f"is missing; `eishil {before} {recipe} --out {empty}` makes it" in answer.stderr
    answer = eishil("report", recipe, "--out", empty)
    assert answer.returncode == 2 and f"`eishil run {recipe} --out {empty}` makes it" in answer.stderr


def test_an_older_input_is_used_and_that_is_said(workspace, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(workspace.recipe_path.read_text().replace("knee_probability = 0.2", "knee_probability = 0.9"))
    answer = eishil("generate", recipe, "--out", workspace.root.parent)
    assert answer.returncode == 0, answer.stderr
    remedy = f"eishil dataset {recipe} --out {workspace.root.parent}"
    remark = f"used as it is, but recipe [ageing] changed; `{remedy}` makes it again"
    assert remark in answer.stderr
