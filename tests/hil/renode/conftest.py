"""A Nucleo's image on a real Renode: these tests run where `--target renode` is given, and fail where it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from eishil_bench.dut import target_spec
from eishil_bench.dut.renode import RenodeDut
from eishil_bench.firmware.build import FirmwareImage

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.target("renode"))


@pytest.fixture
def dut(qemu_image: FirmwareImage) -> Iterator[RenodeDut]:
    """A fresh Renode with the image that QEMU runs."""
    with RenodeDut(target_spec("renode"), qemu_image.elf) as dut:
        yield dut
