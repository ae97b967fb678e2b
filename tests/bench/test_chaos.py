"""The bad line itself, and that no estimate is changed by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eishil.errors import LineClosedError
from eishil.network.onnx_files import load_float_network
from eishil_bench.dut import open_dut, target_spec
from eishil_bench.link.chaos import BadDirection, ChaosDut, Faults
from eishil_bench.link.exchange import Link
from eishil_bench.link.session import Session, stream
from eishil_bench.link.steady_link import SteadyLink
from support.fake_dut import FakeDevice
from support.random_models import random_estimator, random_steps

ROOT = Path(__file__).resolve().parents[2]
QUIET = Faults(**dict.fromkeys(Faults().rates, 0.0))
QUICK_s = (0.02,) * 60


def through(faults, seed=0, n=200_000):
    """A known stream through a direction, in uneven pieces."""
    rng = np.random.default_rng(seed)
    direction, sent = BadDirection(rng, faults), np.random.default_rng(99).bytes(n)
    cuts = np.sort(np.random.default_rng(98).integers(0, n, 500))
    pieces = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, n], strict=True)]
    damaged = [direction.damage(piece) for piece in pieces]
    return sent, b"".join(data for data, _ in damaged), [event for _, events in damaged for event in events], direction


def test_without_faults_nothing_happens():
    sent, received, events, _ = through(QUIET)
    assert received == sent and not events


@pytest.mark.parametrize(("kind", "grows"), [("flip", 0), ("drop", -1), ("double", 1)])
def test_rate_and_effect_of_a_fault(kind, grows):
    sent, received, events, direction = through(replace(QUIET, **{kind: 0.01}))
    count = direction.counts[kind]
    assert abs(count - 2000) < 5 * np.sqrt(2000), "a hundredth of 200,000 bytes, within five standard deviations"
    assert len(received) - len(sent) == grows * count and not events
    if kind == "flip":
        assert sum(a != b for a, b in zip(sent, received, strict=True)) == count


def test_runs_are_lost_inserted_and_reordered():
    sent, received, _, direction = through(replace(QUIET, reorder=1e-3))
    assert direction.counts["reorder"] > 100 and received != sent
    missing = len(sent) - len(received)
    assert 0 <= missing <= 64, "at the end of the stream a run may still be held back"
    assert len(through(replace(QUIET, truncate=1e-3))[1]) < len(sent) - 1000
    assert len(through(replace(QUIET, burst=1e-3))[1]) > len(sent) + 1000


def test_the_same_seed_does_the_same_however_the_stream_is_cut():
    faults = Faults(flip=0.01, drop=0.01, double=0.01, truncate=1e-3, burst=1e-3, reorder=1e-3)
    sent, received, events, _ = through(faults, seed=5)
    whole = BadDirection(np.random.default_rng(5), faults)
    assert whole.damage(sent) == (received, events)
    assert through(faults, seed=6)[1] != received


def test_a_closed_line_stays_closed_until_it_is_opened():
    model = random_estimator(np.random.default_rng(5))[0]
    device = FakeDevice(model)
    device.start = device.stop = lambda: None
    dut = ChaosDut(device, 1, replace(QUIET, close=1.0))
    for _ in range(2):
        with pytest.raises(LineClosedError, match="target fake: the line was closed"):
            dut.write(b"x")
    dut.start()
    assert dut.read(0.0) == b""


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("seed", range(2))
def test_no_estimate_is_changed(seed, window, native_image, first_light_model):
    """The firmware as a process, behind everything at once."""
    network = load_float_network(ROOT / "datasets" / "models" / "first_light" / "network_float.onnx")
    spectra = list(random_steps(np.random.default_rng(seed), first_light_model, network, 40))
    with open_dut("native", native_image) as dut:
        expected = [step.output for step in stream(Session(dut, first_light_model), spectra)]
    faults = Faults(close=2e-5, reset=2e-5)
    with ChaosDut(open_dut("native", native_image), seed, faults) as dut:
        link = Link(dut, first_light_model.dimensions(), window=window, waits_s=QUICK_s, hello_waits_s=QUICK_s)
        session = Session(dut, first_light_model, SteadyLink(link, dut))
        session.hello()
        found = [step.output for round in range(3) for step in stream(session, spectra)]
    assert [bits(output) for output in found] == [bits(output) for output in expected] * 3
    assert sum(dut.counts.values()) > 20 and session.link.statistics.resumed > 0


def test_target_with_chaos_is_behind_a_bad_line(native_image):
    spec = target_spec("native").model_copy(update={"chaos": 3})
    assert isinstance(open_dut(spec, native_image), ChaosDut)
    assert not isinstance(open_dut("native", native_image), ChaosDut)


def bits(output):
    return output.status, output.n_used, *(np.asarray(value, np.float32).tobytes() for value in (output.x, output.P))
