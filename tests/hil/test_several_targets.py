"""Several targets in one run, a run that goes on, a replay: as a user types them."""

from __future__ import annotations

import json
import re
import shutil

import pandas as pd
import pytest

from eishil.model import Model
from eishil_bench.pipeline import Workspace
from eishil_bench.record.journal import read
from support.command_line import eishil
from support.estimates import untimed
from support.fake_dut import FakeDevice
from support.prepared_workspace import CELLS, STEPS, prepared_workspace
from support.pseudo_terminal import serial_port

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("several_targets")]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return prepared_workspace(tmp_path_factory.mktemp("several"))


def run(workspace: Workspace, *arguments: str, **environment: str):
    return eishil("run", workspace.recipe_path, "--out", workspace.root.parent, *arguments, **environment)


@pytest.fixture(scope="module")
def both(workspace):
    """One run on two targets that compute the same."""
    return run(workspace, "--target", "native", "--target", "native_sanitized")


def test_each_target_has_its_results_and_one_page_has_all(workspace, both):
    assert both.returncode in (0, 1), both.stderr
    names = ("native", "native_sanitized")
    results = [json.loads(workspace.target_results(name).read_text()) for name in names]
    assert [one["target"] for one in results] == list(names)
    tables = [pd.read_parquet(workspace.run_table(name)) for name in names]
    assert len(tables[0]) == CELLS * STEPS and untimed(tables[0]).equals(untimed(tables[1]))
    page = workspace.report.read_text()
    assert all(f'href="{name}/report.html"' in page and workspace.target_report(name).is_file() for name in names)
    assert "as native, bit for bit" in page and "differ from" not in page
    assert not workspace.results.exists(), "one results.json at the root would be that of which target?"
    assert all(f"prepared on {name}" in both.stdout for name in names)


def test_pages_are_made_again(workspace, both):
    before = workspace.report.read_bytes()
    shutil.copy(workspace.report, workspace.report.with_suffix(".old"))
    workspace.report.unlink()
    assert eishil("report", workspace.recipe_path, "--out", workspace.root.parent).returncode == 0
    assert workspace.report.read_bytes() == before


def test_targets_are_held_against_each_other(workspace, both):
    folders = [workspace.target_results(name).parent for name in ("native", "native_sanitized")]
    answer = eishil("diff", *folders, "--max-increase", "soh_rmse_device=0")
    assert answer.returncode == 0, answer.stderr
    assert "target: native | native_sanitized" in answer.stdout
    assert "estimates are the same bit for bit" in answer.stdout


def test_replay_says_what_the_run_said(workspace, both, tmp_path):
    answer = eishil("replay", workspace.journal("native"), "--out", tmp_path / "replay")
    assert answer.returncode == both.returncode, answer.stderr
    again, first = (
        json.loads(path.read_text()) for path in (tmp_path / "replay/results.json", workspace.target_results("native"))
    )
    assert again == first
    assert (tmp_path / "replay/report.html").is_file()


def test_run_goes_on_from_a_torn_journal(workspace, both):
    path = workspace.journal("native")
    whole = path.read_bytes()
    before = pd.read_parquet(workspace.run_table("native"))
    path.write_bytes(whole[: whole.rindex(b'"event":"finished"') - 100])
    on_record, torn_bytes = len(read(path).finished), read(path).torn_bytes
    assert 0 < on_record < CELLS and torn_bytes > 0
    answer = run(workspace, "--target", "native", "--resume")
    assert answer.returncode == both.returncode, answer.stderr
    said = f"goes on: {on_record} trajectories are in the journal; {torn_bytes} bytes of a torn record were cut off"
    assert said in answer.stderr
    assert untimed(pd.read_parquet(workspace.run_table("native"))).equals(untimed(before))
    assert read(path).end is not None


def test_all_connected_boards_at_once(workspace, both, tmp_path):
    built = eishil("build", workspace.recipe_path, "--env", "nucleo_f446re", "--out", workspace.root.parent)
    assert built.returncode == 0, built.stderr
    image = json.loads((workspace.firmware("nucleo_f446re") / "firmware.json").read_text())
    model = Model.load(workspace.model / "model.json")
    boards = [FakeDevice(model, hello={"build_id": list(bytes.fromhex(image["build_id"]))}) for _ in range(2)]
    roster, locks = tmp_path / "targets.toml", tmp_path / "locks"
    with serial_port(boards[0]) as left, serial_port(boards[1]) as right:
        entries = [
            f'[{name}]\nlike = "nucleo_f446re"\nport = "{port}"\nreset = "none"\n'
            for name, port in (("left", left), ("right", right))
        ]
        roster.write_text("".join(entries))
        answer = run(workspace, "--target", "all", EISHIL_TARGETS=str(roster), EISHIL_LOCKS=str(locks))
    assert answer.returncode in (0, 1), answer.stderr
    assert [board.applied for board in boards] == [CELLS * STEPS] * 2
    assert "as left, bit for bit" in workspace.report.read_text()
    assert not re.search(r"Traceback|eishil:", answer.stderr)
