"""Two runs held against each other: every change is shown, and one that is too large fails."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from eishil import wire
from eishil.errors import EishilError
from eishil.filters.ekf import Ekf
from eishil.progress import silent
from eishil_bench.runs import run_table
from eishil_bench.runs.diff import Change, Gate, diff, figures
from eishil_bench.runs.measure import judge, measure
from support.command_line import eishil, is_one_sentence
from support.fake_dut import BUILD_ID, FakeDevice
from support.random_models import random_estimator
from support.simulated_cells import simulated_cells


@pytest.fixture(scope="module")
def run():
    """Results and table of a run on a device that counts."""
    model, network = random_estimator(np.random.default_rng(5))
    device = FakeDevice(model, hello={"counter": wire.ENUMS["counter"]["TIM2"]})
    image = SimpleNamespace(build_id=BUILD_ID, flash_bytes=20_000, ram_bytes=6_000, stack_bytes=900)
    cells = simulated_cells(model, network, cells=2, steps=4, seed=1)
    measurement = measure(device, model, image, Ekf(model, network), cells, silent)
    about = {"recipe": "toy", "description": "", "target": "fake", "target_kind": "qemu", "run_table": "run.parquet"}
    return judge(measurement, model, image, 0, {}, provenance={}, **about), measurement.table


@pytest.fixture
def folders(run, tmp_path):
    """Two folders with the same run; `change(...)` alters the second."""
    results, table = run
    for name in ("a", "b"):
        run_table.save(table, tmp_path / name / "run.parquet")
        results.save(tmp_path / name / "results.json")

    def change(**update):
        results.model_copy(update=update).save(tmp_path / "b" / "results.json")

    return tmp_path / "a", tmp_path / "b", change


def counts(results, factor):
    count = results.count_per_step
    return count.model_copy(update={"median": count.median * factor})


def test_every_number_of_a_run_is_a_figure(run):
    found = figures(run[0])
    document = json.loads(run[0].model_dump_json())
    assert found["soh_rmse_device"] == document["soh_rmse_device"]
    assert found["count_per_step.median"] == document["count_per_step"]["median"]
    assert found["size.flash_bytes"] == 20_000
    state = document["states"][0]
    assert found[f"states.{state['name']}.max_abs_in_sigma"] == state["max_abs_in_sigma"]
    assert "passed" not in found and "wire_digest" not in found


def test_same_run_has_no_change(folders):
    first, second, _ = folders
    difference = diff(first, second / "results.json", [Gate.parse("count_per_step.median=0%", 1)])
    assert difference.passed and difference.same_estimates and difference.identity == {}
    assert {change.absolute for change in difference.changes.values()} == {0.0}


@pytest.mark.parametrize(
    ("factor", "gate", "sign", "passed"),
    [
        (1.01, "2%", 1, True),
        (1.0199, "2%", 1, True),
        (1.03, "2%", 1, False),
        (0.5, "2%", 1, True),
        (0.5, "2%", -1, False),
        (1.03, "2%", -1, True),
        (1.03, "1000", 1, True),
        (1.03, "10", 1, False),
    ],
)
def test_a_change_that_is_too_large_fails(run, folders, factor, gate, sign, passed):
    first, second, change = folders
    change(count_per_step=counts(run[0], factor))
    difference = diff(first, second, [Gate.parse(f"count_per_step.median={gate}", sign)])
    assert difference.passed == passed
    assert len(difference.missed) == (not passed)
    if not passed:
        assert f"may {'rise' if sign > 0 else 'fall'} by {gate}" in difference.missed[0]


@pytest.mark.parametrize(
    ("first", "second", "kept"), [(0.0, 1.0, False), (0.0, 0.0, True), (None, 1.0, False), (1.0, float("nan"), False)]
)
def test_figures_without_a_percentage(first, second, kept):
    assert Gate.parse("link.retries=5%", 1).keeps(Change("link.retries", first, second)) == kept


def test_another_clock_is_told_and_not_compared(folders):
    first, second, change = folders
    change(clock="silicon_cycles")
    assert diff(first, second, []).identity == {"clock": ("instructions", "silicon_cycles")}
    with pytest.raises(EishilError, match="the runs count instructions and silicon_cycles, which cannot be held"):
        diff(first, second, [Gate.parse("count_per_step.median=2%", 1)])


def test_other_estimates_are_seen(run, folders):
    first, second, _ = folders
    table = run[1].copy()
    changed = table.at[3, "device_x"].copy()
    changed[0] = np.nextafter(np.float32(changed[0]), np.float32(9.0))
    table.at[3, "device_x"] = changed
    run_table.save(table, second / "run.parquet")
    assert diff(first, second, []).same_estimates is False


@pytest.mark.parametrize("text", ["count", "count=", "count=2%%", "count=-2", "count=two", "=2%"])
def test_malformed_gate(text):
    with pytest.raises(EishilError, match=r"should be FIGURE=2% or FIGURE=0.001"):
        Gate.parse(text, 1)


def test_command_line(run, folders, tmp_path):
    first, second, change = folders
    change(count_per_step=counts(run[0], 1.5))
    answer = eishil("diff", first, second, "--json", tmp_path / "d.json", "--max-increase", "count_per_step.median=2%")
    assert answer.returncode == 1, answer.stderr
    assert "count_per_step.median may rise by 2% at most" in answer.stdout and "(+50.00%)" in answer.stdout
    document = json.loads((tmp_path / "d.json").read_text())
    assert document["passed"] is False and document["same_estimates"] is True
    assert document["figures"]["count_per_step.median"]["relative"] == pytest.approx(0.5)
    assert eishil("diff", first, second, "--max-increase", "count_per_step.median=60%").returncode == 0
    answer = eishil("diff", first, second, "--max-increase", "count_per_step.mean=2%")
    assert answer.returncode == 2 and is_one_sentence(answer) and "count_per_step.median" in answer.stderr
    answer = eishil("diff", first, tmp_path / "c")
    assert answer.returncode == 2 and is_one_sentence(answer) and "c is missing; `eishil run" in answer.stderr
