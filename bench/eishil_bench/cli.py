"""The command line: `eishil STAGE RECIPE`. Imports of anything heavy stand inside the commands.

Exit status: 0 done, 1 a limit of the bench was missed, 2 a mistake told in one sentence, 70 an internal
error, 130 interrupted.
"""

from __future__ import annotations

import errno
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer
import typer.core

from eishil.errors import EishilError

app = typer.Typer(
    name="eishil",
    help="Impedance spectra of ageing cells, from PyBaMM to a state-of-health estimator on a microcontroller and back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

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
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error")]
BUILD_ROOT = Path("build")
DEFAULT_TARGETS = ["qemu"]
BOARDS = ["all"]
NONE: list[str] = []
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

    line = {"chaos": chaos, "window": window, "covariance_every": covariance_every}
    raise typer.Exit(0 if commands.run(recipe, target, port, out, workers, resume, **line) else 1)


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


@app.command()
def identify(
    recipe: RecipePath,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures there as well")] = None,
    periods: Annotated[float, typer.Option(min=0.5, max=1000.0, help="Periods of a sine that are measured")] = 3.0,
    out: BuildRoot = BUILD_ROOT,
    workers: Workers = 0,
) -> None:
    """Tell how good any estimator could be (Cramér-Rao), and which frequencies tell most."""
    from eishil_bench.studies import identify

    identify.command(recipe, out, json, periods, workers)


@app.command()
def robustness(
    recipe: RecipePath,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures there as well")] = None,
    out: BuildRoot = BUILD_ROOT,
    workers: Workers = 0,
) -> None:
    """Run the estimator on cells and measurements that are not as it was told."""
    from eishil_bench.studies import robustness

    robustness.command(recipe, out, json, workers)


@app.command()
def baselines(recipe: RecipePath, out: BuildRoot = BUILD_ROOT) -> None:
    """Fit random forest, Gaussian process and MLP to single spectra, for SOH and remaining life."""
    from eishil_bench.studies import baselines

    baselines.command(recipe, out)


@app.command()
def measured(
    table: Annotated[Path, typer.Argument(metavar="CSV", help="Measured spectra: docs/baselines.md has the columns")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER")] = BUILD_ROOT / "measured",
) -> None:
    """Fit the same regressions to measured cells, leaving cells or levels of SOH out."""
    from eishil_bench.studies import measured

    measured.command(table, out)


study = typer.Typer(help="Compare what could have been chosen.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(study, name="study")


@study.command()
def network(
    recipe: RecipePath,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures there as well")] = None,
    out: BuildRoot = BUILD_ROOT,
) -> None:
    """Compare observation networks: sizes, a Kramers-Kronig teacher, its students, polynomials, Gaussian process."""
    from eishil_bench.studies import network

    network.command(recipe, out, json)


bench = typer.Typer(help="Measure what things cost.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(bench, name="bench")


@bench.command()
def firmware(
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures there")] = None,
    target: Annotated[str, typer.Option(help="qemu, qemu_m7, or a connected board")] = "qemu",
    port: Port = None,
) -> None:
    """Count what an estimator step costs on the device, stage by stage, beside peers."""
    from eishil_bench import commands

    commands.bench_firmware(json, target, port)


@bench.command()
def impedance(
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures there")] = None,
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
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures there")] = None,
    scale: Annotated[float, typer.Option(min=0.001, max=100.0, help="1 is the full campaign, some minutes")] = 1.0,
) -> None:
    """Damage, drop, reset and kill what is between bench and device, and measure what the line carries."""
    from eishil_bench.link import link_bench

    link_bench.command(json, scale)


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
