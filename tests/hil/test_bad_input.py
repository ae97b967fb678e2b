"""Numbers that are none, and a state that is none: refused by name, counted, and without a trace in the estimate."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from eishil import wire
from eishil.model import Model
from eishil_bench.dut import open_dut, target_spec
from eishil_bench.dut.qemu import QemuDut
from eishil_bench.dut.renode_faults import symbol
from eishil_bench.firmware.build import FirmwareImage
from support.gdb import Debugger
from support.line import Line

STATUS = wire.ENUMS["status"]
IMAGES = {"native_sanitized": "sanitized_image", "qemu": "qemu_image"}
BAD = [np.nan, np.inf, -np.inf]
REFUSED = [
    {name: value}
    for name, bad in (
        ("elapsed_cycles", [*BAD, -1.0]),
        ("voltage_V", [*BAD, -0.1, 10.1]),
        ("temperature_degC", [*BAD, -60.1, 100.1]),
    )
    for value in bad
]
ESTIMATE = ("state", "covariance", "readout", "readout_sigma")


def estimate(reply: np.void) -> list[bytes]:
    return [np.asarray(reply[name]).tobytes() for name in ESTIMATE]


@pytest.fixture(params=IMAGES)
def line(request: pytest.FixtureRequest, first_light_model: Model):
    with open_dut(request.param, request.getfixturevalue(IMAGES[request.param])) as dut:
        line = Line(dut, first_light_model)
        line.hello()
        line.exchange(line.request("init", 1))
        yield line


def test_refused_spectra_leave_no_trace(line: Line) -> None:
    """What comes after them is bit for bit what it is without them."""
    line.exchange(line.step(2))
    undisturbed = line.exchange(line.step(3, elapsed_cycles=10.0))
    line.exchange(line.request("init", 4))
    first = line.exchange(line.step(5))
    for sequence, changes in enumerate(REFUSED, 6):
        reply = line.exchange(line.step(sequence, **changes))
        assert (reply["status"], reply["steps"]) == (STATUS["REJECTED_INPUT"], 1), changes
        assert estimate(reply) == estimate(first), changes
    assert line.status(sequence + 1)["steps_rejected"] == len(REFUSED)
    again = line.exchange(line.step(sequence + 2, elapsed_cycles=10.0))
    assert (again["status"], again["steps"]) == (undisturbed["status"], 2)
    assert estimate(again) == estimate(undisturbed)


def test_points_that_are_no_numbers_are_left_out(line: Line) -> None:
    n = line.model.n_frequencies
    z_real_ohm, z_imag_ohm = np.full(n, 0.03), np.full(n, -0.005)
    z_real_ohm[0], z_imag_ohm[1], z_real_ohm[2], z_imag_ohm[3] = np.nan, np.inf, np.inf, np.nan
    bad = line.exchange(line.step(2, z_real_ohm=z_real_ohm, z_imag_ohm=z_imag_ohm))
    line.exchange(line.request("init", 3))
    masked = line.exchange(line.step(4, valid_mask=((1 << n) - 1) & ~0xF))
    assert bad["status"] == STATUS["POINTS_SKIPPED"]
    assert bad["n_used"] == masked["n_used"] == 2 * (n - 4)
    assert estimate(bad) == estimate(masked)


def test_a_spectrum_without_a_single_number_moves_nothing_but_time(line: Line) -> None:
    reply = line.exchange(line.step(2, z_real_ohm=np.nan, z_imag_ohm=np.nan))
    assert (reply["status"], reply["n_used"], reply["nis"]) == (STATUS["POINTS_SKIPPED"], 0, 0.0)
    assert all(np.isfinite(reply[name]).all() for name in ESTIMATE)


def test_a_covariance_that_is_not_positive_is_refused(
    qemu_image: FirmwareImage, first_light_model: Model, tmp_path: Path
) -> None:
    """One variance made negative in the board's memory: the estimate stays as it is until that is repaired."""
    address, _ = symbol(qemu_image.elf, "dispatch")
    variance = address + 4 * first_light_model.n_states  # dispatch.estimator.filter[0].P[0]
    socket = tmp_path / "gdb"
    with QemuDut(target_spec("qemu"), qemu_image.elf, ["-gdb", f"unix:{socket},server=on,wait=off"]) as dut:
        line = Line(dut, first_light_model)
        line.hello()
        line.exchange(line.request("init", 1))
        line.exchange(line.step(2))
        with Debugger(socket) as debugger:
            kept = debugger.ask(f"m{variance:x},4").decode()
            assert struct.unpack("<f", bytes.fromhex(kept))[0] > 0
            broken = struct.pack("<f", -1.0).hex()
            assert debugger.ask(f"M{variance:x},4:{broken}") == b"OK"
        for sequence in (3, 4):
            reply = line.exchange(line.step(sequence, elapsed_cycles=10.0))
            assert (reply["status"], reply["steps"]) == (STATUS["REJECTED_COVARIANCE"], 1)
        assert line.status(5)["steps_rejected"] == 2
        with Debugger(socket) as debugger:
            assert debugger.ask(f"m{variance:x},4").decode() == broken
            assert debugger.ask(f"M{variance:x},4:{kept}") == b"OK"
        assert line.exchange(line.step(6, elapsed_cycles=10.0))["steps"] == 2
