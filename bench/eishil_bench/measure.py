"""One run: the device that is wanted, every held-out trajectory through it, and the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from eishil.filters.ekf import Ekf
from eishil.model import Model
from eishil.progress import Progress
from eishil_bench import compare, limits, run_table
from eishil_bench.link import ByteStream, Link, LinkStatistics
from eishil_bench.results import Clock, Comparison, DeviceCounts, LinkCounts, Results, Size
from eishil_bench.session import (
    DeviceStatus,
    Identity,
    Session,
    refuse_faults,
    refuse_stranger,
    stream,
)
from eishil_bench.stimulus import Trajectory, reference_steps


class Device(ByteStream, Protocol):
    """A started target that can be reset."""

    @property
    def kind(self) -> str: ...

    def reset(self) -> None:
        """Reset the device; it is ready to talk afterwards."""


class Image(Protocol):
    """What the bench needs to know of a firmware image; a stack of None is one that nobody knows."""

    @property
    def build_id(self) -> bytes: ...

    @property
    def flash_bytes(self) -> int: ...

    @property
    def ram_bytes(self) -> int: ...

    @property
    def stack_bytes(self) -> int | None: ...


@dataclass(frozen=True)
class Measurement:
    """Everything that a run on a device gave."""

    table: pd.DataFrame
    identity: Identity
    status: DeviceStatus
    link: LinkStatistics


def measure(
    device: Device,
    model: Model,
    image: Image,
    ekf: Ekf,
    trajectories: Sequence[Trajectory],
    progress: Progress,
    *,
    link: Link | None = None,
) -> Measurement:
    """Stream every trajectory and compare step by step.

    Raises
    ------
    TargetError
        The device is silent, is another one than is wanted, lost a step, or recorded a fault.
    """
    session = Session(device, model, link)
    refuse_stranger(device.name, session.hello(), model, image.build_id)
    device.reset()
    identity = session.hello()
    before = session.status()
    total = sum(len(trajectory.spectra) for trajectory in trajectories)
    rows: list[dict[str, Any]] = []
    for trajectory in trajectories:
        spectra = [spectrum.measured for spectrum in trajectory.spectra]
        answers = stream(session, spectra)
        for labelled, reference, answer in zip(
            trajectory.spectra, reference_steps(ekf, trajectory), answers, strict=True
        ):
            rows.append(run_table.row(trajectory.cell_id, labelled, reference, answer))
        progress("run", len(rows), total, f"{device.name}, cell {trajectory.cell_id}")
    after = session.status()
    refuse_faults(device.name, before, after)
    return Measurement(pd.DataFrame(rows), identity, after, session.link.statistics)


def judge(
    measurement: Measurement,
    model: Model,
    image: Image,
    masked_spectra: int,
    bounds: dict[str, limits.Limit],
    **about: Any,
) -> Results:
    """Results of a measurement held against the limits; `about` are the fields that say what was measured on what."""
    clock = clock_of(about["target_kind"], measurement.identity.counter)
    states = [state.name for state in model.states]
    comparison = compare.compare(measurement.table, states, counted=clock != "none")
    figures = _figures(comparison, measurement, masked_spectra)
    checks = limits.check_all(figures, bounds)
    failures = [limits.sentence(check) for check in checks if not check.passed]
    link, status = measurement.link, measurement.status
    size = Size(
        flash_bytes=image.flash_bytes,
        ram_bytes=image.ram_bytes,
        stack_bytes=image.stack_bytes,
        stack_used_bytes=status.stack_used_bytes or None,
    )
    return Results(
        **dict(comparison),
        **about,
        board=measurement.identity.board,
        clock=clock,
        core_clock_Hz=measurement.identity.core_clock_Hz,
        wire_digest=measurement.identity.wire_digest.hex(),
        build_id=measurement.identity.build_id.hex(),
        model_id=measurement.identity.model_id.hex(),
        frequency_Hz=model.frequency_Hz,
        masked_spectra=masked_spectra,
        link=LinkCounts(**{name: getattr(link, name) for name in LinkCounts.model_fields}),
        device=DeviceCounts(**{name: getattr(status, name) for name in DeviceCounts.model_fields}),
        size=size,
        checks=checks,
        failures=failures,
        passed=not failures,
    )


def clock_of(kind: str, counter: str) -> Clock:
    """What a device's count means, by the kind of target and the counter that it names."""
    meanings: dict[tuple[str, str], Clock] = {
        ("qemu", "TIM2"): "instructions",
        ("renode", "DWT"): "instructions",
        ("serial", "DWT"): "silicon_cycles",
    }
    return meanings.get((kind, counter), "none")


def _figures(comparison: Comparison, measurement: Measurement, masked_spectra: int) -> dict[str, Any]:
    """What limits may name: the numbers of the comparison and what the link and the masks add."""
    figures = {name: value for name, value in comparison if isinstance(value, int | float)}
    figures["masked_fraction"] = masked_spectra / (masked_spectra + comparison.spectra)
    figures["lost_exchanges"] = measurement.link.lost
    return figures
