"""Firmware onto a board through its debug probe: erase, program, read back, reset, and ask who answers.

Uses pyOCD as a library. Tried on a simulated probe with the flash algorithm running on an emulated core
(tests/support/simulated_probe.py); not tried on hardware.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

from eishil.errors import SilenceError, TargetError, ToolError
from eishil_bench.boards.discovery import ask_identity
from eishil_bench.dut import TargetSpec
from eishil_bench.dut.serial import SerialDut
from eishil_bench.link.exchange import HELLO_WAITS_s
from eishil_bench.link.session import Identity
from eishil_bench.record.logbook import Image

_CHUNK_BYTES = 1024


@dataclass(frozen=True)
class Flashed:
    """What became of a board: `programmed_bytes` is 0 where it ran the image already."""

    programmed_bytes: int
    identity: Identity


def flash(spec: TargetSpec, image: Image, elf: Path, port: str | None = None) -> Flashed:
    """Put an image onto a board, unless it runs it already, and see that it answers as that image.

    Raises
    ------
    TargetError
        The board is not there or held by another run, the probe fails, what is read back is not what was written, or
        the board does not answer as that image afterwards.
    ToolError
        pyOCD is not installed, or does not know the chip.
    """
    if spec.kind != "serial":
        raise TargetError(f"target {spec.name} is no board: it runs the image that it is started with")
    with SerialDut(spec, port) as dut:
        try:
            found = ask_identity(dut)
            if found.build_id == image.build_id:
                return Flashed(0, found)
        except SilenceError:
            pass  # an empty chip, or firmware of another kind
        programmed_bytes = program(spec, elf, dut.serial_number)
        dut.discard_input()
        try:
            found = ask_identity(dut, HELLO_WAITS_s)
        except SilenceError as silence:
            raise TargetError(f"target {spec.name} was flashed and verified, but is mute: {silence}") from None
    if found.build_id != image.build_id:
        raise TargetError(
            f"target {spec.name} was flashed and verified, but answers as build {found.build_id.hex()} instead of "
            f"{image.build_id.hex()}; are probe and serial port those of one board?"
        )
    return Flashed(programmed_bytes, found)


def program(spec: TargetSpec, elf: Path, serial_number: str = "") -> int:
    """Erase, program, read back and reset; the bytes that were programmed."""
    from pyocd.flash.loader import MemoryLoader

    segments = load_segments(elf)
    with _session(spec, serial_number) as session:
        target = session.target
        target.reset_and_halt()
        loader = MemoryLoader(session, chip_erase="sector", smart_flash=False)
        for address, data in segments:
            loader.add_data(address, data)
        loader.commit()
        for address, data in segments:
            _verify(spec, target, address, data)
        target.reset()
    return sum(len(data) for _, data in segments)


def reset_board(spec: TargetSpec, serial_number: str = "") -> None:
    """Hardware reset through the probe."""
    with _session(spec, serial_number) as session:
        session.target.reset()


def load_segments(elf: Path) -> list[tuple[int, bytes]]:
    """What of an image goes into flash: load address and bytes of every segment that has any."""
    with elf.open("rb") as stream:
        segments = [segment for segment in ELFFile(stream).iter_segments() if segment["p_type"] == "PT_LOAD"]
        return [(int(segment["p_paddr"]), segment.data()) for segment in segments if segment["p_filesz"]]


def _verify(spec: TargetSpec, target: Any, address: int, data: bytes) -> None:
    for offset in range(0, len(data), _CHUNK_BYTES):
        wanted = data[offset : offset + _CHUNK_BYTES]
        found = bytes(target.read_memory_block8(address + offset, len(wanted)))
        if found != wanted:
            first = next(i for i, (one, other) in enumerate(zip(found, wanted, strict=True)) if one != other)
            raise TargetError(
                f"target {spec.name}: flash differs from the image at {address + offset + first:#010x}: "
                f"{found[first]:#04x} instead of {wanted[first]:#04x}; flash it again"
            )


@contextmanager
def _session(spec: TargetSpec, serial_number: str) -> Iterator[Any]:
    """An open pyOCD session with the board's probe; what pyOCD reports becomes one sentence."""
    if find_spec("pyocd") is None:
        raise ToolError(f"target {spec.name}: its probe needs pyOCD: pip install 'eishil[firmware]'")
    from pyocd.core import exceptions
    from pyocd.core.helpers import ConnectHelper
    from pyocd.core.session import Session

    from eishil_bench.boards import probe_targets

    probe_targets.register()
    logging.getLogger("pyocd").setLevel(logging.CRITICAL)  # it logs what it raises, with a traceback
    try:
        probes = ConnectHelper.get_all_connected_probes(blocking=False, unique_id=serial_number or spec.serial_number)
        probe = _only(spec, probes)
        # Neither settings nor scripts of whatever folder this runs in.
        options = {"target_override": spec.probe_target, "no_config": True, "hide_programming_progress": True}
        with Session(probe, options=options, project_dir=str(Path(__file__).parent)) as session:
            yield session
    except exceptions.TargetSupportError:
        raise ToolError(
            f"target {spec.name}: pyOCD has no flash algorithm for {spec.probe_target} yet; "
            f"`pyocd pack install {spec.probe_target}` downloads it"
        ) from None
    except (exceptions.Error, OSError) as error:
        what = str(error) or type(error).__name__
        raise TargetError(f"target {spec.name}: the debug probe failed: {what}; was it unplugged?") from None


def _only(spec: TargetSpec, probes: list[Any]) -> Any:
    if not probes:
        raise TargetError(f"target {spec.name}: no debug probe is connected; connect the board's ST-LINK")
    if len(probes) > 1:
        numbers = ", ".join(probe.unique_id for probe in probes)
        raise TargetError(
            f"target {spec.name}: more than one debug probe ({numbers}); give the target its serial_number "
            "in your targets.toml"
        )
    return probes[0]
