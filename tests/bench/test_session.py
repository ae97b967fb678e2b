"""The session: who is refused, what ends a run, and that a run's figures are those of the device."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest

from eishil import wire
from eishil.errors import TargetError
from eishil.filters.ekf import Ekf
from eishil.network.integer import IntegerReference
from eishil.progress import silent
from eishil_bench.link.exchange import Link
from eishil_bench.link.session import Session, stream
from eishil_bench.runs import run_table
from eishil_bench.runs.limits import load_limits
from eishil_bench.runs.measure import clock_of, judge, measure
from eishil_bench.runs.stimulus import Trajectory, as_sent
from support.estimates import TIMING, untimed
from support.fake_dut import BUILD_ID, BadLine, FakeDevice
from support.fake_image import FakeImage
from support.random_models import random_estimator
from support.simulated_cells import simulated_cells

QUICK_s = (0.02,) * 40


@pytest.fixture(scope="module")
def estimator():
    return random_estimator(np.random.default_rng(5))


@pytest.fixture(scope="module")
def cells(estimator):
    return simulated_cells(*estimator, cells=3, steps=6, seed=3)


def run(device, estimator, cells, link=None, **line):
    model, network = estimator
    return measure(device, model, FakeImage(), Ekf(model, network), cells, silent, link=link, **line)


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("wire_digest", r"fake has wire digest ffffffffffffffff, but this bench speaks {digest}; {remedy}"),
        ("model_id", r"fake has model ffffffffffffffff, but the recipe's model random is {model}; {remedy}"),
        ("build_id", r"fake has build ffffffffffffffff, but the firmware that was built is {build}; {remedy}"),
    ],
)
def test_stranger_is_refused_by_name_before_it_gets_a_spectrum(estimator, cells, field, sentence):
    device = FakeDevice(estimator[0], hello={field: [0xFF] * 8})
    expected = {
        "digest": wire.digest()[:8].hex(),
        "model": estimator[0].model_id[:8].hex(),
        "build": BUILD_ID.hex(),
        "remedy": "`eishil flash RECIPE --target fake` puts",
    }
    with pytest.raises(TargetError, match=sentence.format(**expected)):
        run(device, estimator, cells)
    assert device.applied == 0


def test_run_resets_first_and_starts_every_cell_from_the_prior(estimator, cells):
    device = FakeDevice(estimator[0])
    table = run(device, estimator, cells).table
    assert device.resets == 2, "once made, once reset by the run"
    for trajectory in cells:
        alone = Ekf(estimator[0], IntegerReference(estimator[0].network))
        outputs = [alone.step(spectrum.measured) for spectrum in trajectory.spectra]
        rows = table[table["cell_id"] == trajectory.cell_id]
        assert np.allclose(rows["device_soh"], [output.readout[0] for output in outputs], rtol=1e-6)
        assert np.allclose(np.stack(rows["device_x"]), [output.x for output in outputs], rtol=1e-6, atol=1e-7)
        assert list(rows["soh"]) == [spectrum.soh for spectrum in trajectory.spectra]


def test_window_is_the_devices_at_most_and_changes_no_estimate(estimator, cells):
    """A window of 9 on a device that holds 4: so many requests are there before the first is answered."""
    device = FakeDevice(estimator[0])
    written = []
    honest = device.write
    device.write = lambda data: (written.append(data.count(b"\0")), honest(data))[1]
    table = run(device, estimator, cells, window=9).table
    assert max(written) == 4
    quiet = run(FakeDevice(estimator[0]), estimator, cells).table
    assert untimed(table).equals(untimed(quiet))


def test_run_forgets_the_cell_of_an_earlier_one(estimator, cells):
    """A board whose entry says `reset = "none"` keeps what it was commissioned with."""
    device = FakeDevice(estimator[0])
    device.is_commissioned, device.reset = True, lambda: None
    run(device, estimator, cells)
    assert not device.is_commissioned


def test_brief_replies_leave_out_the_covariance_and_nothing_else(estimator, cells):
    """One in four has it, and the last of a life: of six spectra the fourth and the sixth."""
    full = run(FakeDevice(estimator[0]), estimator, cells).table
    brief = run(FakeDevice(estimator[0]), estimator, cells, covariance_every=4).table
    n = estimator[0].n_states
    P, expected = (np.stack(table["device_P"]) for table in (brief, full))
    known = ~np.isnan(P[:, 1])
    assert known.tolist() == [False, False, False, True, False, True] * len(cells)
    assert np.array_equal(P[known], expected[known])
    assert np.allclose(P[:, :: n + 1], expected[:, :: n + 1], rtol=1e-6)
    forecasts = [f"device_rul_{name}" for name in ("median", "low", "high")]
    assert brief.loc[~known, forecasts].isna().all(axis=None)
    assert brief.loc[known, forecasts].equals(full.loc[known, forecasts])
    assert run_table.with_covariance(brief).index.tolist() == np.flatnonzero(known).tolist()
    rest = [name for name in full if name not in ("device_P", "device_modes_sigma", *forecasts, *TIMING)]
    assert full[rest].equals(brief[rest])


def test_device_gets_what_the_reference_gets(estimator, cells):
    """Float32 on the wire, the same numbers as float64 in the reference: no rounding between the two."""
    device = FakeDevice(estimator[0])
    seen = []
    honest = device._on_step
    device._on_step = lambda request: (seen.append(request.copy()), honest(request))[1]
    run(device, estimator, cells)
    sent = [spectrum.measured for trajectory in cells for spectrum in trajectory.spectra]
    for request, step in zip(seen, sent, strict=True):
        assert float(request["voltage_V"]) == step.voltage_V
        assert float(request["temperature_degC"]) == step.temperature_degC
        assert float(request["elapsed_cycles"]) == step.elapsed_cycles
        assert np.array_equal(request["z_real_ohm"] + 1j * request["z_imag_ohm"].astype(np.float64), step.z_ohm)
        assert request["valid_mask"] == 2 ** len(step.z_ohm) - 1


def test_masked_points_are_marked_and_never_filled_in(estimator):
    model = estimator[0]
    z_ohm = np.full(model.n_frequencies, 0.02 - 0.005j)
    z_ohm[[1, 4]] = np.nan
    device = FakeDevice(model)
    session = Session(device, model)
    requests = []
    honest = device._on_step
    device._on_step = lambda request: (requests.append(request.copy()), honest(request))[1]
    (step,) = stream(session, [as_sent(0.0, 3.7, 25.0, z_ohm)])
    assert requests[0]["valid_mask"] == (2**model.n_frequencies - 1) & ~0b10010
    assert step.output.n_used == 2 * (model.n_frequencies - 2)
    assert step.output.status == wire.ENUMS["status"]["POINTS_SKIPPED"]


def test_fault_during_the_run_is_told_and_ends_it(estimator, cells):
    device = FakeDevice(estimator[0])
    honest = device._on_init

    def faulty(request):
        device.fault = {"fault": wire.ENUMS["fault"]["HARD_FAULT"], "fault_count": 2, "fault_address": 0x08001234}
        return honest(request)

    device._on_init = faulty
    with pytest.raises(
        TargetError, match="fake recorded 2 faults during the run, the last one HARD_FAULT at 0x08001234"
    ):
        run(device, estimator, cells)


def test_fault_before_the_run_is_none_of_the_run(estimator, cells):
    device = FakeDevice(estimator[0])
    device.fault = {"fault": 1, "fault_count": 1, "fault_address": 0x08000000}
    assert len(run(device, estimator, cells).table) == 18


def test_device_that_always_resets_at_the_same_spectrum_is_given_up(estimator, cells):
    device = FakeDevice(estimator[0])
    honest = device._on_step
    device._on_step = lambda request: (device.reset() if device.steps == 3 else None, honest(request))[1]
    with pytest.raises(TargetError, match=r"fake does not know this session .* greeted again 16 times in vain"):
        run(device, estimator, cells)


def test_device_without_an_estimator_is_told(estimator):
    device = FakeDevice(estimator[0])
    session = Session(device, estimator[0])
    with pytest.raises(TargetError, match="fake lost its estimator within a trajectory: NOT_INITIALISED"):
        session.step(as_sent(0.0, 3.7, 25.0, np.full(estimator[0].n_frequencies, 0.02 - 0.005j)))


def test_device_that_applies_a_repeated_request_twice_is_noticed(estimator, cells):
    class Forgetful(FakeDevice):
        def _answer(self, payload):
            return (
                self._apply(payload)
                if struct.unpack_from("<H", payload, 2)[0] in self._kept
                else super()._answer(payload)
            )

    device = Forgetful(estimator[0], to_host=BadLine(1, lose=0.3))
    link = Link(device, estimator[0].dimensions(), waits_s=QUICK_s, hello_waits_s=QUICK_s)
    with pytest.raises(TargetError, match=r"fake has applied \d+ spectra where \d+ were sent"):
        run(device, estimator, cells, link)


@pytest.mark.parametrize("field", ["state", "covariance", "readout", "readout_sigma", "nis"])
def test_answers_that_are_not_finite_are_refused(estimator, cells, field):
    device = FakeDevice(estimator[0])
    honest = device._on_step
    device._on_step = lambda request: honest(request) | {field: np.nan}
    with pytest.raises(TargetError, match=rf"fake answered spectrum 1 with a {field} that is not finite"):
        run(device, estimator, cells)


def test_results_carry_identity_link_and_device_counters(estimator, cells):
    device = FakeDevice(estimator[0], hello={"counter": wire.ENUMS["counter"]["TIM2"]})
    measurement = run(device, estimator, cells)
    about = {"recipe": "toy", "description": "", "target": "fake", "run_table": "t", "provenance": {}}
    results = judge(measurement, estimator[0], FakeImage(), 2, load_limits(), target_kind="qemu", **about)
    assert (results.cells, results.spectra, results.masked_spectra) == (3, 18, 2)
    assert results.clock == "instructions" and results.count_per_step.max == 1018
    assert results.wire_digest == wire.digest()[:8].hex() and results.build_id == BUILD_ID.hex()
    assert results.model_id == estimator[0].model_id[:8].hex()
    assert results.link.frames == 18 + 3 + 5  # spectra, cells, two hellos, what forgets a cell, two status requests
    assert results.device.frames_received == results.link.frames
    native = judge(measurement, estimator[0], FakeImage(), 2, load_limits(), target_kind="native", **about)
    assert native.clock == "none" and native.count_per_step is None


def test_what_a_count_means():
    assert clock_of("serial", "DWT") == "silicon_cycles"
    assert clock_of("qemu", "TIM2") == "instructions"
    assert clock_of("qemu", "DWT") == clock_of("serial", "TIM2") == clock_of("native", "NONE") == "none"


def test_a_spectrum_with_no_point_leaves_its_cycles_to_the_next(estimator, cells):
    """The reference's drift-only run is the same filter with every point masked: only time passes."""
    trajectory = cells[0]
    blind = [replace(one, measured=replace(one.measured, valid=np.zeros(11, bool))) for one in trajectory.spectra]
    table = run(FakeDevice(estimator[0]), estimator, [Trajectory("blind", tuple(blind), 0)]).table
    model = estimator[0]
    drift = np.array([state.drift_per_cycle for state in model.states])
    expected = [np.array(model.priors[0].mean) + drift * spectrum.cycles for spectrum in trajectory.spectra]
    assert np.allclose(np.stack(table["reference_x"]), expected)
    assert np.allclose(table["prior_soh"], table["reference_soh"])
