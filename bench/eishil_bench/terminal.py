"""What the command line shows while it works: progress on standard error, results on standard output."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Table

from eishil.progress import Progress
from eishil_bench.report.words import (
    bound_text,
    commissioning_sentence,
    figure_text,
    interval_text,
    left_out_text,
    scored_before_sentence,
)
from eishil_bench.runs.results import Interval, Results
from eishil_bench.stamps import Made

if TYPE_CHECKING:
    from eishil_bench.boards.discovery import Board
    from eishil_bench.boards.flash import Flashed
    from eishil_bench.runs.diff import Difference


def messages() -> Console:
    """Where progress and remarks go."""
    return Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def results_console() -> Console:
    """Where results go."""
    return Console(highlight=False)


class PlainProgress:
    """Progress for a log: a line where the last one is some seconds old, so that what is quick leaves none."""

    INTERVAL_s = 10.0

    def __init__(self, console: Console, now: Callable[[], float] = time.monotonic) -> None:
        self._console, self._now = console, now
        self._start_s = self._told_s = now()

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        now_s = self._now()
        if now_s - self._told_s >= self.INTERVAL_s:
            self._told_s = now_s
            self._console.print(f"  {stage:<9} {done}/{total} after {now_s - self._start_s:.0f} s  {note}".rstrip())


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """A progress bar for each stage that reports; without a terminal a line now and then."""
    console = messages()
    if not console.is_terminal:
        yield PlainProgress(console)
        return
    columns = (
        TextColumn("  {task.description:<9}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
    )
    with RichProgress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int, note: str = "") -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, note=note)
            bars.update(tasks[stage], completed=done, total=total, note=note)

        yield show


def tell_made(made: Made, elapsed_s: float) -> None:
    """One line on what became of a stage."""
    if not made.reason:
        messages().print(f"  {made.stage:<9} up to date", style="dim")
        return
    figures = ", ".join(f"{name} {_short(value)}" for name, value in made.figures.items())
    messages().print(
        f"  {made.stage:<9} made in {elapsed_s:.1f} s ({made.reason})" + (f": {figures}" if figures else "")
    )


def tell_built(env: str, build_id: bytes, elapsed_s: float) -> None:
    """One line on the firmware."""
    messages().print(f"  {'build':<9} {env} {build_id.hex()} ready after {elapsed_s:.1f} s")


def tell_results(results: Results, report: Path) -> None:
    """The run's table, the verdict, and where the page lies."""
    console = results_console()
    console.print(_summary(results))
    console.print(_checks(results))
    for sentence in filter(None, (commissioning_sentence(results), scored_before_sentence(results))):
        console.print(escape(sentence), soft_wrap=True)
    for remark in results.remarks:
        console.print(f"[yellow]remark[/]  {escape(remark)}", soft_wrap=True)
    for failure in results.failures:
        console.print(f"[bold red]missed[/]  {escape(failure)}", soft_wrap=True)
    verdict = (
        "[bold green]passed[/]" if results.passed else f"[bold red]failed[/] ({len(results.failures)} limits missed)"
    )
    console.print(f"{verdict}  {report}", soft_wrap=True)


def tell_difference(difference: Difference) -> None:
    """What differs between two runs, figure by figure; figures that are equal are only counted."""
    console = results_console()
    for name, (first, second) in difference.identity.items():
        console.print(f"{name}: {escape(first)} | {escape(second)}", soft_wrap=True)
    table = Table("figure", "A", "B", "change", title_justify="left")
    changed = [change for change in difference.changes.values() if change.absolute != 0]
    for change in changed:
        moved = "" if change.absolute is None else f"{change.absolute:+.4g}"
        moved += "" if change.relative is None else f" ({change.relative:+.2%})"
        values = ("" if value is None else f"{value:.6g}" for value in (change.first, change.second))
        table.add_row(change.figure, *values, moved)
    if changed:
        console.print(table)
    console.print(f"{len(difference.changes) - len(changed)} of {len(difference.changes)} figures are equal")
    if difference.same_estimates is not None:
        console.print(f"estimates {'are the same bit for bit' if difference.same_estimates else 'differ'}")
    for sentence in difference.missed:
        console.print(f"[bold red]missed[/]  {escape(sentence)}", soft_wrap=True)


def tell_flashed(target: str, flashed: Flashed, elapsed_s: float) -> None:
    """One line on a board."""
    build_id, size_bytes = flashed.identity.build_id.hex(), flashed.programmed_bytes
    became = f"{size_bytes:,} B programmed and verified in {elapsed_s:.1f} s" if size_bytes else "up to date"
    results_console().print(f"  {target}: {became}, runs build {build_id}", soft_wrap=True)


def tell_boards(boards: Sequence[Board]) -> None:
    """One row for each board."""
    if not boards:
        results_console().print("no board of the roster is connected")
        return
    table = Table("port", "serial number", "target", "firmware", title_justify="left")
    for board in boards:
        known = board.identity
        firmware = f"{known.board}, build {known.build_id.hex()}, model {known.model_id.hex()}" if known else ""
        target = board.target or f"one of {', '.join(board.candidates)}"
        table.add_row(
            *map(escape, (board.port, board.serial_number, target, firmware or board.holder or board.silence))
        )
    results_console().print(table)


def _summary(results: Results) -> Table:
    table = Table(title=f"{results.recipe} on {results.target}", title_justify="left", show_header=False, box=None)
    count = results.count_per_step
    cost = f"{count.median:,.0f} median, {count.p99:,.0f} p99, {count.max:,} max" if count else ""
    cost += f"; {left_out}" if count and (left_out := left_out_text(count).strip(" .")) else ""
    size, late = results.size, results.end_of_life
    rows = {
        "measured on": f"{results.cells} held-out cells, {results.spectra} spectra, {results.masked_spectra} masked",
        "SOH error, rms": f"{results.soh_rmse_device:.2%} device, {results.soh_rmse_reference:.2%} reference, "
        f"{results.soh_rmse_prior:.2%} drift only; device over cells drawn again "
        f"{interval_text(results.soh_rmse_device_interval, 2)}",
        "device - reference": f"{results.rms_soh_difference:.3%} rms, {results.max_abs_soh_difference:.3%} at worst",
        "within 2 sigma": f"{results.coverage_2_sigma:.1%} device, {results.coverage_2_sigma_reference:.1%} reference; "
        f"device over cells drawn again {interval_text(results.coverage_2_sigma_interval, 1)}",
        "end of life": f"{late.rmse_device:.2%} rms, {late.coverage_2_sigma:.1%} within 2 sigma, device, last fifth of "
        f"each cell's cycles ({late.spectra} spectra)",
        "consistency": f"NIS {results.nis_mean:.3f} ({_span(results.nis_bounds)} by chi-square), "
        f"NEES {results.nees_mean:.2f} ({_span(results.nees_bounds)})",
        "modes": "; ".join(f"{one.name} {one.rms_error:.2g} rms, sigma {one.mean_sigma:.2g}" for one in results.modes),
        "life left": _life_left(results),
        "bound": _bound(results),
        "seeds": _seeds(results),
        f"{results.clock} per step": cost,
        "link": f"{results.link.frames} frames, {results.link.retries} retries, {results.link.crc_errors} damaged, "
        f"{results.link.lost} lost",
        "image": f"{size.flash_bytes:,} B flash, {size.ram_bytes:,} B RAM, stack {bytes_text(size.stack_bytes)}",
    }
    for name, text in rows.items():
        if text:
            table.add_row(name, text, style="")
    return table


def _span(bounds: Interval) -> str:
    return f"{bounds.low:.3f} to {bounds.high:.3f}"


def _life_left(results: Results) -> str:
    if results.rul is None or results.rul_mae_cycles is None:
        return ""
    return f"{results.rul_mae_cycles:.0f} cycles mean error, {results.rul.coverage_90:.0%} in the 90% interval"


def _bound(results: Results) -> str:
    """The figures of `eishil evaluate` that are not of a seed."""
    if results.cramer_rao_soh_rms is None or results.soh_rmse_ukf is None:
        return ""
    ratio = results.soh_rmse_device / results.cramer_rao_soh_rms
    bound = f"{results.cramer_rao_soh_rms:.3%} Cramer-Rao, device x {ratio:.2f}"
    return f"{bound}; unscented filter {results.soh_rmse_ukf:.3%}"


def _seeds(results: Results) -> str:
    return ", ".join(f"{one.soh_rmse:.3%}" for one in results.seeds)


def _checks(results: Results) -> Table:
    table = Table("limit", "figure", "bound", "", title_justify="left")
    for check in results.checks:
        mark = "[green]kept[/]" if check.passed else "[bold red]missed[/]"
        table.add_row(check.figure, figure_text(check.value, check.figure), bound_text(check), mark)
    return table


def bytes_text(size_bytes: int | None) -> str:
    """A size, or that it is not known."""
    return "unknown" if size_bytes is None else f"{size_bytes:,} B"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def tell_costs(result: dict[str, Any]) -> None:
    """The table of `eishil bench firmware`."""
    columns = ("instructions", "estimated_cycles_0ws", "estimated_cycles_5ws")
    rows = [*result["rows"], *result["peers"]]
    measured = sorted({name for row in rows for name in row if name.endswith("_cycles")})
    table = Table("build", "filter", "states", "stage")
    for name in (*columns, *measured):
        table.add_column(name.replace("_", " "), justify="right")
    for row in rows:
        figures = (row.get(name) for name in (*columns, *measured))
        about = (str(row.get(name) or "") for name in ("build", "filter", "states", "stage"))
        table.add_row(*about, *("" if figure is None else f"{figure:,}" for figure in figures))
    results_console().print(table)


def tell_impedance(result: dict[str, Any]) -> None:
    """The table of `eishil bench impedance`."""
    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "ms, median (min to max)": lambda row: "{median:.3f} ({min:.3f} to {max:.3f})".format(**row["milliseconds"]),
        "interpreted": lambda row: "{median:.3f}".format(**row["milliseconds_without_compiled_jacobian"]),
        "per s and core": lambda row: f"{row['spectra_per_second_core']:,.0f}",
        "x EISSimulation": lambda row: f"{row['ratio_to_eissimulation']:.0f}",
        "x pybammeis": lambda row: f"{row['ratio_to_pybammeis']:.0f}" if "ratio_to_pybammeis" in row else "",
        "deviation": lambda row: f"{row['max_relative_deviation']:.1e}",
    }
    about = "{parameter_set}, {mesh} mesh, {frequencies} frequencies, {spectra} spectra, CPU time".format(**result)
    table = Table("model", title=about, title_justify="left")
    for name in columns:
        table.add_column(name, justify="right")
    for model, row in result["models"].items():
        table.add_row(model, *(text(row) for text in columns.values()))
    results_console().print(table)
    workers = result["two_workers"]
    results_console().print(
        f"two processes make {workers['ratio']:.2f} times the spectra of one in the same time, "
        f"{workers['cpu_ratio']:.2f} times for the processor time they get (they had {workers['processors']:.2f} of 2)"
    )
    memory = result["memory"]
    results_console().print(
        f"memory: {memory['peak_MB'][0]:.0f} and {memory['peak_MB'][1]:.0f} MB for {memory['samples'][0]:,} and "
        f"{memory['samples'][1]:,} samples, which is {memory['million_samples_MB']:.0f} MB for a million"
    )
