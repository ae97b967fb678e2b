"""Images on a real Renode: these tests run where one of its targets is named, and fail where Renode is missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eishil_bench.dut import target_spec
from eishil_bench.dut.renode import RenodeDut
from eishil_bench.firmware.build import FirmwareImage

IMAGES = {"renode": "qemu_image", "renode_h743": "h743_image"}


@pytest.fixture(scope="module", params=IMAGES)
def target(request: pytest.FixtureRequest) -> str:
    """Of the roster."""
    return request.param


@pytest.fixture(scope="module")
def image(target: str, request: pytest.FixtureRequest) -> FirmwareImage:
    """What the target runs: the board's own image."""
    return request.getfixturevalue(IMAGES[target])


@pytest.fixture
def dut(target: str, image: FirmwareImage) -> Iterator[RenodeDut]:
    """A fresh Renode."""
    with RenodeDut(target_spec(target), image.elf) as dut:
        yield dut
