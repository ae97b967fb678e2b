"""A run on disk: what was tampered with, exchanged or lost is told, and a verdict is never just believed."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from eishil.errors import EishilError
from eishil.filters.ekf import Ekf
from eishil.progress import silent
from eishil_bench.runs import run_table, stored_run
from eishil_bench.runs.limits import Limit
from eishil_bench.runs.measure import judge, measure
from support.fake_dut import FakeDevice
from support.fake_image import FakeImage
from support.random_models import random_estimator
from support.simulated_cells import simulated_cells

KEPT = {"soh_rmse_device": Limit(at_most=1.0, reason="a bound that is kept whatever happens")}
MISSED = {"soh_rmse_device": Limit(at_most=1e-9, reason="a bound that is missed whatever happens")}
ABOUT = {"recipe": "toy", "description": "", "target": "native", "target_kind": "native", "provenance": {}}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    model, network = random_estimator(np.random.default_rng(5))
    cells = simulated_cells(model, network, cells=3, steps=6, seed=3)
    measurement = measure(FakeDevice(model), model, FakeImage(), Ekf(model, network), cells, silent)
    digest = run_table.save(measurement.table, folder / "run.parquet")
    about = ABOUT | {"run_table": "run.parquet", "run_table_sha256": digest}
    judge(measurement, model, FakeImage(), 0, KEPT, **about).save(folder / "results.json")
    return folder


@pytest.fixture
def folder(original, tmp_path):
    shutil.copytree(original, tmp_path / "run")
    return tmp_path / "run"


def change(folder, **changes) -> None:
    path = folder / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_an_untouched_run_is_believed(folder):
    results, table = stored_run.load(folder / "results.json", KEPT)
    assert results.passed and len(table) == results.spectra == 18


def test_verdict_is_that_of_the_figures_and_the_limits_of_now(folder):
    change(folder, checks=[], failures=[], passed=True)
    results, _ = stored_run.load(folder / "results.json", MISSED)
    assert not results.passed and len(results.checks) == len(results.failures) == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"soh_rmse_device": 0.001}, "soh_rmse_device does not follow from"),
        ({"coverage_2_sigma": 0.95}, "coverage_2_sigma does not follow from"),
        ({"soh_bands": []}, "soh_bands does not follow from"),
        ({"run_table": "../../../../../etc/passwd"}, "is outside of its folder"),
        ({"run_table": "/etc/passwd"}, "is outside of its folder"),
        ({"run_table": "elsewhere.parquet"}, "elsewhere.parquet is missing"),
        ({"run_table_sha256": "00"}, "is not the table that"),
        ({"run_table": "other.parquet"}, "other.parquet is not the table that"),
    ],
)
def test_what_was_changed_is_told(folder, changes, sentence):
    run_table.save(run_table.load(folder / "run.parquet").iloc[:3], folder / "other.parquet")
    change(folder, **changes)
    with pytest.raises(EishilError, match=sentence):
        stored_run.load(folder / "results.json", KEPT)


def test_another_parquet_with_its_own_hash_is_no_run(folder):
    table = run_table.load(folder / "run.parquet")[["cell_id", "step"]]
    change(folder, run_table_sha256=run_table.save(table, folder / "run.parquet"))
    with pytest.raises(EishilError, match="is no table of a run"):
        stored_run.load(folder / "results.json", KEPT)


def test_missing_results_are_told(tmp_path):
    with pytest.raises(EishilError, match=r"results\.json is missing; `eishil run RECIPE` writes it"):
        stored_run.load(tmp_path / "results.json", KEPT)
