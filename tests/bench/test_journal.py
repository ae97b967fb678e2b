"""The journal: what is read is what was written, a torn end is cut off, and a run can go on from it."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest

from eishil.errors import EishilError, TargetError
from eishil.files import sha256_file
from eishil.filters.ekf import Ekf
from eishil.network.onnx_files import load_float_network, write_float_network
from eishil.progress import silent
from eishil_bench.link.exchange import Link
from eishil_bench.record.journal import MAGIC, Journal, read
from eishil_bench.record.logbook import journal_header, open_logbook
from eishil_bench.record.recorded import MODEL_FILE, NETWORK_FILE
from eishil_bench.record.replay import replay
from eishil_bench.runs.limits import load_limits
from eishil_bench.runs.measure import judge, measure
from support.estimates import TIMING
from support.fake_dut import FakeDevice
from support.fake_image import FakeImage
from support.random_models import random_estimator
from support.simulated_cells import simulated_cells

QUICK_s = (0.02, 0.02)
ABOUT = {"recipe": "toy", "description": "", "target": "fake", "target_kind": "qemu", "run_table": "run.parquet"}
ABOUT |= {"provenance": {}}


@pytest.fixture(scope="module")
def network_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / NETWORK_FILE
    write_float_network(random_estimator(np.random.default_rng(5))[1], path)
    return path


@pytest.fixture(scope="module")
def estimator(network_path):
    """With the network as its file has it, in float32."""
    return random_estimator(np.random.default_rng(5))[0], load_float_network(network_path)


@pytest.fixture(scope="module")
def cells(estimator):
    whole = simulated_cells(*estimator, cells=4, steps=5, seed=3)
    z_ohm = whole[1].spectra[2].measured.z_ohm.copy()
    z_ohm[1] = np.nan
    spoiled = replace(
        whole[1].spectra[2], measured=replace(whole[1].spectra[2].measured, z_ohm=z_ohm, valid=~np.isnan(z_ohm))
    )
    spectra = (*whole[1].spectra[:2], spoiled, *whole[1].spectra[3:])
    return [whole[0], replace(whole[1], spectra=spectra), *whole[2:]]


@pytest.fixture(scope="module")
def files(estimator, network_path):
    return {MODEL_FILE: estimator[0].to_json().encode(), NETWORK_FILE: network_path.read_bytes()}


def record(path, estimator, cells, files, device=None, *, resume=False, **line):
    """A run on a device, with its journal."""
    model, network = estimator
    device = device or FakeDevice(model)
    about = ABOUT | {"covariance_every": line.get("covariance_every", 1)}
    logbook = open_logbook(path, journal_header(model, FakeImage(), 0, about), files, resume=resume)
    with logbook.journal:
        return measure(device, model, FakeImage(), Ekf(model, network), cells, silent, logbook=logbook, **line)


def figures(measurement):
    """Every digit of a table but the count: the fake device counts what it has applied, whatever run it belongs to."""
    return repr(measurement.table.drop(columns=["count", *TIMING]).to_dict("list"))


def test_every_exchange_is_on_record_as_it_was_on_the_wire(estimator, cells, files, tmp_path):
    device = FakeDevice(estimator[0])
    seen = []
    honest = device._answer
    device._answer = lambda payload: (seen.append((payload[8:], reply := honest(payload))), reply)[1]
    record(tmp_path / "j", estimator, cells, files, device)
    recording = read(tmp_path / "j")
    inside = [one for section in recording.sections for one in section.exchanges]
    greeting, goodbye = recording.outside[:-1], recording.outside[-1:]
    recorded = [(one.request, one.reply) for one in (*greeting, *inside, *goodbye)]
    assert recorded == [(request, reply[8:]) for request, reply in seen]
    assert [one.name for one in recording.outside] == ["hello", "hello", "commission", "status", "status"]
    assert recording.files == files and recording.torn_bytes == 0 and recording.end is not None


@pytest.mark.parametrize("seed", range(20))
def test_journal_cut_anywhere_reads_up_to_the_last_whole_record(estimator, cells, files, tmp_path, seed):
    """A second reader, written from the description alone, says where records end."""
    path = tmp_path / "j"
    record(path, estimator, cells, files)
    data = path.read_bytes()
    ends, position = [len(MAGIC)], len(MAGIC)
    while position < len(data):
        length, crc = struct.unpack_from("<II", data, position)
        assert zlib.crc32(data[position + 8 : position + 8 + length]) == crc
        position += 8 + length
        ends.append(position)
    cut = int(np.random.default_rng(seed).integers(ends[1], len(data)))
    path.write_bytes(data[:cut])
    recording = read(path)
    assert recording.whole_bytes == max(end for end in ends if end <= cut)
    assert recording.torn_bytes == cut - recording.whole_bytes
    assert recording.end is None
    with pytest.raises(EishilError, match=r"ended within its trajectories|lacks|no journal"):
        replay(path, {}, silent, tmp_path)


@pytest.mark.parametrize("seed", range(8))
def test_run_that_goes_on_gives_what_an_undisturbed_one_gives(estimator, cells, files, tmp_path, seed, capsys):
    path = tmp_path / "j"
    line = {"covariance_every": 1 + seed % 3}
    whole = record(path, estimator, cells, files, **line)
    data = path.read_bytes()
    header_end = data.index(b'{"cell_id"') - 9
    path.write_bytes(data[: int(np.random.default_rng(seed).integers(header_end, len(data)))])
    on_record = len(read(path).finished)
    device = FakeDevice(estimator[0])
    again = record(path, estimator, cells, files, device, resume=True, **line)
    assert device.applied == (len(cells) - on_record) * 5, "what is on record is not asked again"
    assert figures(again) == figures(whole)
    assert f"{on_record} trajectories are in the journal" in capsys.readouterr().err
    assert len(read(path).finished) == len(cells) and read(path).end is not None


def test_replay_gives_the_results_of_the_run_without_a_device(estimator, cells, files, tmp_path):
    """Brief replies among them: what they left out is left out again."""
    about = ABOUT | {"covariance_every": 3}
    measurement = record(tmp_path / "j", estimator, cells, files, covariance_every=3)
    expected = judge(measurement, estimator[0], FakeImage(), 0, load_limits(), **about)
    replayed = replay(tmp_path / "j", load_limits(), silent, tmp_path / "out")
    assert replayed.run_table_sha256 == sha256_file(tmp_path / "out" / "run.parquet")
    assert replayed.model_copy(update={"run_table_sha256": ""}) == expected
    assert json.loads((tmp_path / "out" / "results.json").read_text())["cells"] == len(cells)
    assert (tmp_path / "out" / "report.html").is_file()


def test_a_changed_bit_ends_the_journal_there(estimator, cells, files, tmp_path):
    path = tmp_path / "j"
    record(path, estimator, cells, files)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    recording = read(path)
    assert recording.whole_bytes < len(data) // 2 and recording.torn_bytes > 0


def test_journal_with_other_spectra_is_refused(estimator, cells, files, tmp_path):
    record(tmp_path / "j", estimator, cells, files)
    others = simulated_cells(*estimator, cells=4, steps=5, seed=4)
    with pytest.raises(
        EishilError, match=r"was recorded with other spectra or another --covariance-every \(exchange 2, step\); run"
    ):
        record(tmp_path / "j", estimator, others, files, resume=True)
    with pytest.raises(EishilError, match=r"another --covariance-every \(exchange 2, step\); run again without"):
        record(tmp_path / "j", estimator, cells, files, resume=True, covariance_every=2)


def test_journal_of_another_model_is_refused(estimator, cells, files, tmp_path):
    record(tmp_path / "j", estimator, cells, files)
    other = random_estimator(np.random.default_rng(6))
    with pytest.raises(EishilError, match="j: is the journal of another model; run again without --resume"):
        record(tmp_path / "j", other, cells, files, resume=True)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "no journal to read: No such file"),
        (b"PK\x03\x04", "is not a journal of this version"),
        (MAGIC, "ends before its header"),
        (MAGIC + struct.pack("<II", 2, zlib.crc32(b"\x01{")) + b"\x01{", "record at byte 8 is none of this version"),
        (MAGIC + struct.pack("<II", 0xFFFFFFFF, 0) + b"\x01", "ends before its header"),
    ],
)
def test_what_is_no_journal_is_told(tmp_path, content, sentence):
    path = tmp_path / "j"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EishilError, match=sentence):
        read(path)


def test_new_journal_keeps_the_one_before(tmp_path):
    Journal.create(tmp_path / "j", {"run": 1}, {}).close()
    Journal.create(tmp_path / "j", {"run": 2}, {}).close()
    assert read(tmp_path / "j").header == {"run": 2}
    assert read(tmp_path / "j.previous").header == {"run": 1}


class HangingDevice(FakeDevice):
    """Falls silent at some of its writes until it is reset."""

    def __init__(self, model, hang_at):
        super().__init__(model)
        self.hang_at, self.steps_seen, self.hung = set(hang_at), 0, False

    def reset(self):
        super().reset()
        self.hung = False

    def _answer(self, payload):
        if payload[0] == 3:
            self.steps_seen += 1
            self.hung = self.hung or self.steps_seen in self.hang_at
        return super()._answer(payload)

    def read(self, timeout_s):
        data = super().read(timeout_s)
        return b"" if self.hung else data


def quick_link(device, model):
    return Link(device, model.dimensions(), waits_s=QUICK_s, hello_waits_s=QUICK_s)


def test_hung_device_is_reset_and_its_cell_run_again_once(estimator, cells, files, tmp_path):
    model = estimator[0]
    undisturbed = record(tmp_path / "a", estimator, cells, files)
    device = HangingDevice(model, [8])
    run = record(tmp_path / "b", estimator, cells, files, device, link=quick_link(device, model))
    assert figures(run) == figures(undisturbed)
    (remark,) = run.remarks
    assert remark.startswith("fake did not answer step within 0.04 s") and remark.endswith(
        f"it was reset and cell {cells[1].cell_id} run again"
    )
    assert replay(tmp_path / "b", load_limits(), silent, tmp_path).remarks == [remark]


def test_device_that_hangs_again_ends_the_run_by_name(estimator, cells, files, tmp_path):
    device = HangingDevice(estimator[0], [8, 12])
    with pytest.raises(TargetError, match=r"fake did not answer step within .*it had been reset once in this run"):
        record(tmp_path / "j", estimator, cells, files, device, link=quick_link(device, estimator[0]))
    assert len(read(tmp_path / "j").finished) == 1
