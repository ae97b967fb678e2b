"""One run: the device that is wanted, every held-out trajectory through it, and the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from eishil.filters.ekf import Ekf
from eishil.filters.forecast import Forecast
from eishil.model import Model
from eishil.progress import Progress
from eishil_bench.link.interface import Exchanger, LinkStatistics
from eishil_bench.link.session import DeviceStatus, Identity
from eishil_bench.record.logbook import Image, Logbook
from eishil_bench.runs import compare, limits, run_table
from eishil_bench.runs.device_run import Device, DeviceLife, DeviceRun
from eishil_bench.runs.results import Clock, Comparison, DeviceCounts, LinkCounts, Results, Size
from eishil_bench.runs.stimulus import Trajectory, reference_life


@dataclass(frozen=True)
class Measurement:
    """Everything that a run on a device gave; `remarks` are sentences on what had to be repeated."""

    table: pd.DataFrame
    identity: Identity
    status: DeviceStatus
    link: LinkStatistics
    remarks: list[str] = field(default_factory=list)


def measure(
    device: Device,
    model: Model,
    image: Image,
    ekf: Ekf,
    trajectories: Sequence[Trajectory],
    progress: Progress,
    *,
    link: Exchanger | None = None,
    logbook: Logbook | None = None,
    window: int = 1,
    covariance_every: int = 1,
    flash_command: str = "",
) -> Measurement:
    """Stream every trajectory, or take it from the logbook, and compare step by step.

    `flash_command` puts the image onto the device; it is named where the device runs another one.

    Raises
    ------
    TargetError
        The device is silent, is another one than is wanted, lost a step, or recorded a fault.
    """
    run = DeviceRun(
        device,
        model,
        image.build_id,
        link,
        logbook,
        window=window,
        covariance_every=covariance_every,
        flash_command=flash_command,
    )
    total = sum(len(trajectory.spectra) for trajectory in trajectories)
    rows: list[dict[str, Any]] = []
    for trajectory, life in run.answers(trajectories):
        rows += compared(ekf, trajectory, life)
        progress("run", len(rows), total, f"{device.name}, cell {trajectory.cell_id}")
    return Measurement(pd.DataFrame(rows), run.identity, run.status, run.link, run.remarks)


def compared(ekf: Ekf, trajectory: Trajectory, device: DeviceLife) -> list[dict[str, Any]]:
    """Rows of the run's table: the device's estimates beside the reference's on the same numbers."""
    forecast, rows, cycles = Forecast(ekf.model), [], 0.0
    reference = reference_life(ekf, trajectory)
    learned = run_table.commissioned(trajectory, reference, device)
    for labelled, expected, answer in zip(trajectory.spectra, reference.steps, device.steps, strict=True):
        cycles += labelled.measured.elapsed_cycles
        says = run_table.Says(forecast.remaining_life(answer.output, cycles), *forecast.modes(answer.output, cycles))
        rows.append(run_table.row(trajectory.cell_id, labelled, expected, answer, says) | learned)
    return rows


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
    modes = [mode.name for mode in model.modes]
    comparison = compare.compare(measurement.table, states, modes, counted=clock != "none")
    figures = limit_figures(comparison, masked_spectra, measurement.link.lost)
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
        remarks=measurement.remarks,
        **verdict(figures, bounds),
    )


def verdict(figures: dict[str, Any], bounds: dict[str, limits.Limit]) -> dict[str, Any]:
    """The fields of the results that say which limits were kept."""
    checks = limits.check_all(figures, bounds)
    failures = [limits.sentence(check) for check in checks if not check.passed]
    return {"checks": checks, "failures": failures, "passed": not failures}


def clock_of(kind: str, counter: str) -> Clock:
    """What a device's count means, by the kind of target and the counter that it names."""
    meanings: dict[tuple[str, str], Clock] = {
        ("qemu", "TIM2"): "instructions",
        ("renode", "DWT"): "instructions",
        ("serial", "DWT"): "silicon_cycles",
    }
    return meanings.get((kind, counter), "none")


def limit_figures(comparison: Comparison, masked_spectra: int, lost_exchanges: int) -> dict[str, Any]:
    """What limits may name: the numbers of the comparison and what the link and the masks add."""
    figures = {name: value for name, value in comparison if isinstance(value, int | float)}
    figures["masked_fraction"] = masked_spectra / (masked_spectra + comparison.spectra)
    figures["lost_exchanges"] = lost_exchanges
    return figures
