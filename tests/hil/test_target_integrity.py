"""A weight that changed in the board's memory: the device refuses to start with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from eishil.errors import TargetError
from eishil.model import Model
from eishil_bench.dut import target_spec
from eishil_bench.dut.qemu import QemuDut
from eishil_bench.dut.renode_faults import symbol
from eishil_bench.firmware.build import FirmwareImage
from eishil_bench.link.session import Session
from support.gdb import Debugger

pytestmark = pytest.mark.target("qemu")


def test_flipped_bit_in_the_weights_is_refused_by_init(
    qemu_image: FirmwareImage, first_light_model: Model, tmp_path: Path
) -> None:
    address, size = symbol(qemu_image.elf, "layer1_weight")
    assert size >= len(first_light_model.network.layers[1].weight) ** 2
    socket = tmp_path / "gdb"
    with QemuDut(target_spec("qemu"), qemu_image.elf, ["-gdb", f"unix:{socket},server=on,wait=off"]) as dut:
        session = Session(dut, first_light_model)
        session.hello()
        session.init()
        with Debugger(socket) as debugger:
            weight = int(debugger.ask(f"m{address + 7:x},1"), 16)
            assert debugger.ask(f"M{address + 7:x},1:{weight ^ 0x10:02x}") == b"OK"
        with pytest.raises(TargetError, match="qemu refused to initialise: MODEL_CORRUPTED"):
            session.init()
        with Debugger(socket) as debugger:
            assert debugger.ask(f"M{address + 7:x},1:{weight:02x}") == b"OK"
        session.init()
