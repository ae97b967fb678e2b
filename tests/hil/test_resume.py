"""A host that is killed at random moments goes on from its journal, and nothing is lost, doubled or invented.

Cells are commissioned, so that every reset loses more than an estimator; `test_link_campaigns` has cells that are not.
"""

from __future__ import annotations

import os
import re
import signal
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eishil.errors import TargetError
from eishil.filters.ekf import Ekf
from eishil.network.onnx_files import load_float_network
from eishil.progress import silent
from eishil_bench.dut import open_dut
from eishil_bench.link.chaos import NO_FAULTS
from eishil_bench.link.exchange import Link
from eishil_bench.record.journal import Journal, read
from eishil_bench.record.kills import Rerun, estimates, kill_campaign
from eishil_bench.record.logbook import journal_header, open_logbook
from eishil_bench.record.recorded import MODEL_FILE, NETWORK_FILE, recorded_session, recorded_trajectory
from eishil_bench.runs.device_run import DeviceRun, live
from eishil_bench.runs.measure import compared, measure
from support.estimates import untimed
from support.simulated_cells import commissioned_cells, simulated_cells

ROOT = Path(__file__).resolve().parents[2]
KILLS, RESETS = 8, 4
FRESH = 3


@pytest.fixture(scope="module")
def undisturbed(first_light_model, native_image, tmp_path_factory):
    """Journal and table of a run of the committed model that nobody disturbs."""
    network_path = ROOT / "datasets" / "models" / "first_light" / NETWORK_FILE
    network = load_float_network(network_path)
    cells = simulated_cells(first_light_model, network, cells=8, steps=40, seed=11)
    cells = commissioned_cells(first_light_model, network, cells, FRESH, std=0.02)
    path = tmp_path_factory.mktemp("undisturbed") / "journal.bin"
    files = {MODEL_FILE: first_light_model.to_json().encode(), NETWORK_FILE: network_path.read_bytes()}
    header = journal_header(first_light_model, native_image, 0, {"target": "native"})
    with open_dut("native", native_image) as dut:
        logbook = open_logbook(path, header, files, resume=False)
        with logbook.journal:
            ekf = Ekf(first_light_model, network)
            run = measure(dut, first_light_model, native_image, ekf, cells, silent, logbook=logbook)
    return path, cells, run.table


def test_a_journal_holds_what_commissioned_the_cells(undisturbed, first_light_model):
    path, cells, table = undisturbed
    network = load_float_network(ROOT / "datasets" / "models" / "first_light" / NETWORK_FILE)
    rows = []
    last = list(zip(read(path).finished.values(), cells, strict=True))[-2:]
    for section, cell in last:
        trajectory = recorded_trajectory(section, first_light_model)
        for one, other in zip(trajectory.fresh, cell.fresh, strict=True):
            np.testing.assert_array_equal(one.z_ohm, other.z_ohm)
        session = recorded_session("native", section.exchanges, first_light_model)
        rows += compared(Ekf(first_light_model, network), trajectory, live(session, trajectory))
    assert untimed(pd.DataFrame(rows)).equals(untimed(table.iloc[-len(rows) :].reset_index(drop=True)))
    assert table.groupby("cell_id")["device_offset"].first().map(np.std).between(0.01, 0.04).all()


def run_with_signals(undisturbed, model, image, path, sent: dict[int, signal.Signals]) -> DeviceRun:
    """The cells of the undisturbed run on a process that gets signals before some of the bench's writes."""
    recording, writes = read(undisturbed[0]), count()
    with open_dut("native", image) as dut:
        honest = dut.write

        def write(data: bytes) -> None:
            if (now := next(writes)) in sent:
                os.kill(dut.pid, sent[now])
            honest(data)

        dut.write = write
        link = Link(dut, model.dimensions(), waits_s=(0.3, 0.3))
        logbook = open_logbook(path, recording.header, recording.files, resume=False)
        with logbook.journal:
            run = DeviceRun(dut, model, image.build_id, link=link, logbook=logbook)
            for _ in run.answers(undisturbed[1]):
                pass
    return run


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (signal.SIGSTOP, r"native did not answer step within 0\.6 s .*"),
        (signal.SIGKILL, r"target native was ended by SIGKILL: it said nothing"),
    ],
    ids=["hangs", "dies"],
)
def test_target_is_started_again_and_its_cell_run_again(
    sent, words, undisturbed, first_light_model, native_image, tmp_path
):
    path = tmp_path / "journal"
    run = run_with_signals(undisturbed, first_light_model, native_image, path, {120: sent})
    (remark,) = run.remarks
    assert re.fullmatch(rf"{words}; it was reset and cell \S+ run again", remark)
    assert estimates(path) == estimates(undisturbed[0])
    assert [note["text"] for note in read(path).notes if note["event"] == "remark"] == [remark]


def test_target_that_dies_twice_is_given_up(undisturbed, first_light_model, native_image, tmp_path):
    twice = dict.fromkeys((100, 200), signal.SIGKILL)
    with pytest.raises(TargetError, match=r"ended by SIGKILL: .* \(it had been reset once in this run already\)$"):
        run_with_signals(undisturbed, first_light_model, native_image, tmp_path / "journal", twice)


def again(source, image, faults=NO_FAULTS) -> Rerun:
    return Rerun(str(source), "native", "native", str(image.elf), "", faults=faults)


def test_kills_of_the_host_and_resets_of_the_target_change_no_bit(undisturbed, native_image, tmp_path):
    path, cells, _ = undisturbed
    assert [len(replies) for replies in estimates(path).values()] == [40] * len(cells)
    run = again(path, native_image, replace(NO_FAULTS, reset=4e-5, close=1e-5))
    campaign = kill_campaign(run, tmp_path, np.random.default_rng(20), kills=KILLS, resets=RESETS)
    assert campaign.kills >= KILLS and campaign.resets >= RESETS
    assert campaign.bit_equal
    resumed = [read(journal).notes for journal in tmp_path.glob("killed_*.journal")]
    assert sum(note["event"] == "resumed" for notes in resumed for note in notes) >= KILLS - len(resumed)


def test_a_changed_estimate_would_be_seen(undisturbed, native_image, tmp_path):
    """One bit in the state of one recorded reply."""
    recording = read(undisturbed[0])
    last = recording.sections[-1].exchanges[-1]
    journal = Journal.create(tmp_path / "changed", recording.header, recording.files)
    with journal:
        for section in recording.sections:
            journal.begin(section.about)
            for one in section.exchanges:
                reply = one.reply[:20] + bytes([one.reply[20] ^ 1]) + one.reply[21:] if one is last else one.reply
                journal.exchange(one.name, one.request, reply, one.timing)
            journal.note("finished", cell_id=section.about["cell_id"], link={})
    rng = np.random.default_rng(1)
    campaign = kill_campaign(again(tmp_path / "changed", native_image), tmp_path, rng, kills=1)
    assert campaign.kills >= 1 and not campaign.bit_equal
