"""What the bench wants to know of the image that `FakeDevice` claims to run."""

from __future__ import annotations

from dataclasses import dataclass

from support.fake_dut import BUILD_ID


@dataclass(frozen=True)
class FakeImage:
    build_id: bytes = BUILD_ID
    flash_bytes: int = 20_000
    ram_bytes: int = 6_000
    stack_bytes: int | None = 900
