"""The campaigns of `eishil bench link`, shortened; the full ones are the command's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eishil import wire
from eishil.network.onnx_files import load_float_network
from eishil_bench.firmware.model_variants import with_modes_as_states
from eishil_bench.link import campaigns
from eishil_bench.link.campaigns import DATASETS, Bench
from eishil_bench.link.chaos import USUAL
from eishil_bench.link.framing import encode
from support.simulated_cells import simulated_cells


@pytest.fixture(scope="module")
def whole(first_light_model, native_image) -> Bench:
    network = load_float_network(DATASETS / "models" / "first_light" / "network_float.onnx")
    return Bench(
        first_light_model, native_image, simulated_cells(first_light_model, network, cells=2, steps=30, seed=4)
    )


def test_damaged_bytes_cost_nothing_but_time(first_light_model, tmp_path):
    bench = Bench.make(with_modes_as_states(first_light_model), "native", tmp_path)
    found = campaigns.disturb(bench, campaigns.ONLY_BYTES, 3, frames=1500)
    assert found.frames >= 1500 and (found.lost, found.wrong) == (0, 0)
    assert found.damaged > 1500, "a hundredth of frames of more than a hundred bytes"


def test_resets_and_closed_ports_cost_nothing_but_time(whole):
    found = campaigns.disturb(whole, replace(USUAL, reset=4e-5, close=4e-5), 5, resets=6)
    assert found.resets >= 6 and found.closed > 0
    assert (found.lost, found.wrong) == (0, 0)


def test_a_wrong_estimate_would_be_counted(whole, monkeypatch):
    honest = Bench.undisturbed
    monkeypatch.setattr(Bench, "undisturbed", lambda self: [("wrong",), *honest(self)[1:]])
    found = campaigns.disturb(whole, replace(campaigns.ONLY_BYTES, flip=0, drop=0, double=0), 0, frames=3)
    assert found.wrong == 1


def test_noise_is_no_frame_and_takes_no_memory(whole):
    accepted, grown_bytes = campaigns.parse_noise(whole, 400_000, 6)
    assert accepted == 0
    assert grown_bytes < 200_000, "half of the noise would be seen"


def test_a_frame_in_the_noise_would_be_counted(whole, monkeypatch):
    hello = np.zeros((), wire.dtype(wire.HEADER, {}))
    hello["type"] = wire.BY_NAME["status_request"].code
    frame = encode(hello.tobytes() + bytes(4))

    class NotRandom:
        def bytes(self, n):
            return b"\0" + frame + b"\1" * (n - len(frame) - 1)

    monkeypatch.setattr(np.random, "default_rng", lambda seed: NotRandom())
    # Once in each of two chunks, in either parser.
    assert campaigns.parse_noise(whole, 2 * campaigns.CHUNK_bytes, 0)[0] == 4


def test_line_is_no_faster_than_its_rate(whole):
    """How near one comes is the machine's matter and the command's figure."""
    assert 0.0 < campaigns.utilise(whole, 60, 921_600) <= 1.0
    assert 0.0 < campaigns.utilise(whole, 10, 115_200) <= 1.0
