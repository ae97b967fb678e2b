"""Arguments and options that several commands of `eishil_bench.cli` have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="TOML file, e.g. datasets/recipes/first_light.toml")]
BuildRoot = Annotated[
    Path, typer.Option("--out", metavar="FOLDER", help="Build root; files go to FOLDER/<recipe name>")
]
Workers = Annotated[int, typer.Option(min=0, help="Processes; 0 means one per core")]
Precision = Annotated[
    Literal["float64", "float32"], typer.Option(help="How impedances are stored; labels are float64 always")
]
Force = Annotated[bool, typer.Option("--force", help="Make the stage even where its files are up to date")]
Targets = Annotated[
    list[str],
    typer.Option("--target", help="native, qemu, nucleo_f446re, ...; may be repeated; all: every connected board"),
]
Port = Annotated[str | None, typer.Option(help="Serial port of a board, where it is not found by itself")]
Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures there as well")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error")]
BUILD_ROOT = Path("build")
DEFAULT_TARGETS = ["qemu"]
BOARDS = ["all"]
NONE: list[str] = []
