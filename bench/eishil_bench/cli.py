"""The command line: `eishil STAGE RECIPE`. Imports of anything heavy stand inside the commands.

Exit status: 0 done, 1 a limit of the bench was missed, 2 a mistake told in one sentence, 70 an internal
error, 130 interrupted.
"""

from __future__ import annotations

import errno
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import typer.core

from eishil.errors import EishilError
from eishil_bench import cli_bench, cli_studies
from eishil_bench.cli_options import (
    BOARDS,
    BUILD_ROOT,
    DEFAULT_TARGETS,
    NONE,
    BuildRoot,
    Debug,
    Force,
    Port,
    Precision,
    RecipePath,
    Targets,
    Workers,
)

app = typer.Typer(
    name="eishil",
    help="Impedance spectra of ageing cells, from PyBaMM to a state-of-health estimator on a microcontroller and back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

CRASHED = 70  # EX_SOFTWARE of sysexits.h
WRITE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
INTERRUPTED = 130  # how typer leaves after a KeyboardInterrupt


@app.callback()
def common(debug: Debug = False) -> None:
    """Options before the command."""


class RecipeFirst(typer.core.TyperGroup):
    """`eishil dataset RECIPE` is short for `eishil dataset make RECIPE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = ["make", *args]
        return super().parse_args(ctx, args)


dataset = typer.Typer(
    cls=RecipeFirst,
    help="`eishil dataset RECIPE` simulates the recipe's aged cells and their impedance spectra.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(dataset, name="dataset")
DatasetFolder = Annotated[Path, typer.Argument(metavar="FOLDER", help="e.g. build/first_light/dataset")]


@dataset.command("make")
def dataset_make(
    recipe: RecipePath,
    out: BuildRoot = BUILD_ROOT,
    workers: Workers = 0,
    precision: Precision = "float64",
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler, tcp://host:port, whose workers make it")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Write the tables as text, too")] = False,
    force: Force = False,
) -> None:
    """Simulate the recipe's aged cells and their impedance spectra."""
    from eishil_bench import commands

    making = {"precision": precision, "scheduler": scheduler, "csv": csv}
    commands.make("dataset", recipe, out, workers, force or csv, making)


@dataset.command("inspect")
def dataset_inspect(folder: DatasetFolder) -> None:
    """Show what is in a data set, and write a page with plots."""
    from eishil_bench.studies import inspect

    inspect.command(folder)


@dataset.command("features")
def dataset_features(
    folder: DatasetFolder,
    circuit: Annotated[int, typer.Option(min=0, max=4, metavar="N", help="Fit R + N RC + Warburg; 0: no circuit")] = 0,
    workers: Workers = 0,
) -> None:
    """Derive features of every spectrum: ohmic intercept, arc, Warburg tail, equivalent circuit."""
    from eishil_bench import commands

    commands.features(folder, circuit, workers)


@app.command()
def train(recipe: RecipePath, out: BuildRoot = BUILD_ROOT, force: Force = False) -> None:
    """Train the observation network on the data set."""
    _make("train", recipe, out, 1, force)


@app.command()
def quantize(recipe: RecipePath, out: BuildRoot = BUILD_ROOT, force: Force = False) -> None:
    """Quantise the network to int8 and write the model file."""
    _make("quantize", recipe, out, 1, force)


@app.command()
def evaluate(recipe: RecipePath, out: BuildRoot = BUILD_ROOT, workers: Workers = 0, force: Force = False) -> None:
    """Compute the bound, the unscented filter and more seeds of an estimator on the held-out cells."""
    _make("evaluate", recipe, out, workers, force)


@app.command()
def generate(recipe: RecipePath, out: BuildRoot = BUILD_ROOT, force: Force = False) -> None:
    """Generate the C files of the model and of the wire table."""
    _make("generate", recipe, out, 1, force)


@app.command()
def build(
    recipe: RecipePath,
    env: Annotated[str, typer.Option(help="PlatformIO environment")] = "nucleo_f446re",
    out: BuildRoot = BUILD_ROOT,
) -> None:
    """Build the firmware from the generated files with PlatformIO."""
    from eishil_bench import commands

    commands.build(recipe, env, out)


@app.command()
def run(
    recipe: RecipePath,
    target: Targets = DEFAULT_TARGETS,
    port: Port = None,
    out: BuildRoot = BUILD_ROOT,
    workers: Workers = 0,
    precision: Precision = "float64",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the journal of a run that was cut short")
    ] = False,
    chaos: Annotated[int | None, typer.Option(metavar="SEED", help="Put a bad line in between")] = None,
    window: Annotated[
        int | None,
        typer.Option(
            min=1, help="Requests on their way at a time, instead of the roster's; with 1 all counts are clean"
        ),
    ] = None,
    covariance_every: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="One reply in N has its covariance, the others a third of its bytes"),
    ] = None,
) -> None:
    """Bring all up to date, run targets on held-out spectra, report."""
    from eishil_bench import commands

    making = {"precision": precision}
    line = {"chaos": chaos, "window": window, "covariance_every": covariance_every}
    raise typer.Exit(0 if commands.run(recipe, target, port, out, workers, resume, making, **line) else 1)


@app.command()
def replay(
    journal: Annotated[Path, typer.Argument(metavar="JOURNAL", help="e.g. build/first_light/qemu/journal.bin")],
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Default: replay/ beside the journal")] = None,
) -> None:
    """Repeat the comparison of a recorded run; needs no board, recipe or data set."""
    from eishil_bench import commands

    raise typer.Exit(0 if commands.replay(journal, out) else 1)


@app.command()
def diff(
    first: Annotated[Path, typer.Argument(metavar="A", help="results.json of a run, or its folder")],
    second: Annotated[Path, typer.Argument(metavar="B", help="The same of the run that is held against it")],
    max_increase: Annotated[
        list[str], typer.Option(metavar="FIGURE=2%", help="Exit 1 where a figure rises by more; may be repeated")
    ] = NONE,
    max_decrease: Annotated[list[str], typer.Option(metavar="FIGURE=0.01", help="The same for a fall")] = NONE,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the comparison as JSON")] = None,
) -> None:
    """Compare two runs: accuracy, counts, sizes."""
    from eishil_bench import commands

    raise typer.Exit(0 if commands.diff(first, second, max_increase, max_decrease, json) else 1)


@app.command()
def report(recipe: RecipePath, out: BuildRoot = BUILD_ROOT) -> None:
    """Write the report of the last run again; needs no target."""
    from eishil_bench import commands

    commands.report(recipe, out)


for command in cli_studies.COMMANDS:
    app.command()(command)
app.add_typer(cli_studies.study, name="study")
app.add_typer(cli_bench.bench, name="bench")


@app.command()
def flash(
    recipe: Annotated[
        Path | None, typer.Argument(metavar="[RECIPE]", help="Whose firmware; without it the committed model's")
    ] = None,
    target: Targets = BOARDS,
    port: Port = None,
    out: BuildRoot = BUILD_ROOT,
) -> None:
    """Build a board's firmware, put it onto the board through its debug probe, and see that it answers."""
    from eishil_bench import commands

    commands.flash(recipe, target, port, out)


@app.command()
def boards() -> None:
    """List connected boards, who holds them, and which firmware they run."""
    from eishil_bench import commands

    commands.boards()


@app.command()
def doctor(
    target: Annotated[
        str | None, typer.Option(help="Start that target, renode or another on Renode, and look at all it relies on")
    ] = None,
) -> None:
    """Tell what is installed, what is missing and how to get it."""
    from eishil_bench import doctor

    if target is not None:
        raise typer.Exit(0 if doctor.examine_target(target) else 1)
    raise typer.Exit(0 if doctor.examine() else 2)


def _make(stage: str, recipe: Path, out: Path, workers: int, force: bool) -> None:
    from eishil_bench import commands

    commands.make(stage, recipe, out, workers, force)


def main() -> None:
    """Console script: a user's mistake is told in one sentence and not as a traceback."""
    try:
        app()
    except EishilError as error:
        _leave(error, str(error), error.exit_code)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("eishil"):
            _leave_crash(error)
        _leave(error, f"the Python package {error.name} is not installed; `eishil doctor` tells how to get it", 2)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        kept = "; nothing half-written was left under its final name" if error.errno in WRITE_ERRORS else ""
        _leave(error, what + kept, 2)
    except Exception as error:
        _leave_crash(error)
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:
            print(
                "eishil: interrupted; what is finished is kept: the same command goes on, `run` with --resume",
                file=sys.stderr,
            )
        raise


def _leave(error: Exception, sentence: str, status: int) -> NoReturn:
    if "--debug" in sys.argv:
        traceback.print_exception(error)
    print(f"eishil: {sentence}", file=sys.stderr)
    sys.exit(status)


def _leave_crash(error: Exception) -> NoReturn:
    what = " ".join(f"{type(error).__name__}: {error}".split())
    _leave(error, f"internal error ({what}); `eishil --debug ...` shows the traceback; please report it", CRASHED)
