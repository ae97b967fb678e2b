"""Commands that study estimators, cells and regressions; `eishil_bench.cli` puts them under `eishil`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eishil_bench.cli_options import BUILD_ROOT, BuildRoot, Json, RecipePath, Workers

study = typer.Typer(help="Compare what could have been chosen.", no_args_is_help=True, rich_markup_mode=None)


def identify(
    recipe: RecipePath,
    json: Json = None,
    periods: Annotated[float, typer.Option(min=0.5, max=1000.0, help="Periods of a sine that are measured")] = 3.0,
    out: BuildRoot = BUILD_ROOT,
    workers: Workers = 0,
) -> None:
    """Tell how good any estimator could be (Cramér-Rao), and which frequencies tell most."""
    from eishil_bench.studies import identify

    identify.command(recipe, out, json, periods, workers)


def robustness(
    recipe: RecipePath,
    json: Json = None,
    out: BuildRoot = BUILD_ROOT,
    workers: Workers = 0,
) -> None:
    """Run the estimator on cells and measurements that are not as it was told."""
    from eishil_bench.studies import robustness

    robustness.command(recipe, out, json, workers)


def baselines(recipe: RecipePath, out: BuildRoot = BUILD_ROOT) -> None:
    """Fit random forest, Gaussian process and MLP to single spectra, for SOH and remaining life."""
    from eishil_bench.studies import baselines

    baselines.command(recipe, out)


def measured(
    table: Annotated[Path, typer.Argument(metavar="CSV", help="Measured spectra: docs/baselines.md has the columns")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER")] = BUILD_ROOT / "measured",
) -> None:
    """Fit the same regressions to measured cells, leaving cells or levels of SOH out."""
    from eishil_bench.studies import measured

    measured.command(table, out)


@study.command()
def network(
    recipe: RecipePath,
    json: Json = None,
    out: BuildRoot = BUILD_ROOT,
) -> None:
    """Compare observation networks: sizes, a Kramers-Kronig teacher, its students, polynomials, Gaussian process."""
    from eishil_bench.studies import network

    network.command(recipe, out, json)


COMMANDS = (identify, robustness, baselines, measured)
