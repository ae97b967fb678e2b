"""`eishil bench ...`: what things cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eishil_bench.cli_options import Json, Port

bench = typer.Typer(help="Measure what things cost.", no_args_is_help=True, rich_markup_mode=None)


@bench.command()
def firmware(
    json: Json = None,
    target: Annotated[str, typer.Option(help="qemu, qemu_m7, or a connected board")] = "qemu",
    port: Port = None,
) -> None:
    """Count what an estimator step costs on the device, stage by stage, beside peers."""
    from eishil_bench import commands

    commands.bench_firmware(json, target, port)


@bench.command()
def impedance(
    json: Json = None,
    spectra: Annotated[int, typer.Option(min=10, help="Cells that each run solves")] = 1000,
    pybammeis: Annotated[
        Path | None, typer.Option(metavar="PYTHON", help="Interpreter of an environment that has pybammeis")
    ] = None,
) -> None:
    """Time impedance spectra of SPM, SPMe and DFN beside PyBaMM's own, on the same cells."""
    from eishil_bench import commands

    commands.bench_impedance(json, spectra, pybammeis)


@bench.command()
def link(
    json: Json = None,
    scale: Annotated[float, typer.Option(min=0.001, max=100.0, help="1 is the full campaign, some minutes")] = 1.0,
) -> None:
    """Damage, drop, reset and kill what is between bench and device, and measure what the line carries."""
    from eishil_bench.link import link_bench

    link_bench.command(json, scale)
