"""The line's rate: raised where device and line can, and back where they cannot hear each other."""

from __future__ import annotations

import numpy as np
import pytest

from eishil import wire
from eishil.errors import SilenceError
from eishil_bench.link.exchange import Link
from eishil_bench.link.session import Session, stream
from eishil_bench.link.steady_link import BAUD_Bd, SteadyLink
from support.fake_dut import FakeDevice
from support.random_models import random_estimator, random_steps


class RatedDevice(FakeDevice):
    """Hears the host at the rate that both have, up to what the cable carries; after four frames missed it goes back.

    The firmware counts seconds instead. `possible` are the rates that its clock can give.
    """

    def __init__(self, model, possible, cable_Bd):
        self.possible, self.cable_Bd = possible, cable_Bd
        self.host_Bd = self.device_Bd = BAUD_Bd
        self.missed = 0
        super().__init__(model)

    def reset(self):
        super().reset()
        self.device_Bd = BAUD_Bd

    def set_baud(self, baud_Bd):
        self.host_Bd = baud_Bd

    def write(self, data):
        if self.host_Bd == self.device_Bd <= self.cable_Bd:
            self.missed = 0
            return super().write(data)
        self.missed += 1
        if self.missed == 4:
            self.device_Bd = BAUD_Bd

    def _on_baud(self, request):
        rate_Bd = int(request["baud_Bd"])
        if rate_Bd not in self.possible:
            return {"status": 2}
        self.device_Bd = rate_Bd
        return {"status": 0}


@pytest.fixture(scope="module")
def estimator():
    return random_estimator(np.random.default_rng(5))


def steady(device):
    waits_s = (0.01,) * 8
    return SteadyLink(Link(device, device.model.dimensions(), waits_s=waits_s, hello_waits_s=waits_s), device)


@pytest.mark.parametrize(
    ("possible", "cable_Bd", "expected"),
    [
        ({921_600, 460_800, 230_400}, 10**6, 921_600),
        ({460_800, 230_400}, 10**6, 460_800),
        ({921_600, 460_800, 230_400}, 300_000, 230_400),
        ({921_600, 460_800}, 300_000, BAUD_Bd),
        (set(), 10**6, BAUD_Bd),
    ],
    ids=["highest", "clock refuses", "cable fails", "cable fails twice", "none"],
)
def test_highest_rate_that_works(estimator, possible, cable_Bd, expected):
    device = RatedDevice(estimator[0], possible, cable_Bd)
    link = steady(device)
    link.exchange("hello", protocol_version=wire.PROTOCOL_VERSION)
    assert link.raise_rate() == expected
    assert device.host_Bd == device.device_Bd == expected
    assert link.exchange("init")["status"] == 0


def test_device_that_was_reset_is_found_at_its_first_rate(estimator):
    """It is silent then, and not refused: the host speaks too fast for it."""
    model, network = estimator
    spectra = list(random_steps(np.random.default_rng(7), model, network, 12))
    quiet = stream(Session(FakeDevice(model), model), spectra)
    device = RatedDevice(model, {921_600}, 10**6)
    session = Session(device, model, steady(device))
    session.hello()
    assert session.link.raise_rate() == 921_600
    honest, resets = device._on_step, []

    def reset_once(request):
        if device.steps == 5 and not resets:
            resets.append(True)
            device.reset()
        return honest(request)

    device._on_step = reset_once
    steps = stream(session, spectra)
    assert [step.output.x.tobytes() for step in steps] == [step.output.x.tobytes() for step in quiet]
    assert device.host_Bd == BAUD_Bd and session.link.statistics.resumed == 1


def test_silence_at_the_first_rate_is_silence(estimator):
    device = RatedDevice(estimator[0], set(), 0)
    with pytest.raises(SilenceError):
        steady(device).exchange("init")
