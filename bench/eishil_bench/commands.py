"""What the commands do. The command line imports this module only when a command is really run."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eishil.errors import EishilError
from eishil.files import write_atomic
from eishil_bench import pipeline, terminal
from eishil_bench.pipeline import Workspace
from eishil_bench.runs.results import Results
from eishil_bench.stamps import bring_up_to_date, reason_to_make, require

if TYPE_CHECKING:
    import pandas as pd

    from eishil_bench.firmware.build import FirmwareImage

NO_OPTIONS: Mapping[str, Any] = {}


def make(
    stage: str, recipe: Path, out: Path, workers: int, force: bool, making: Mapping[str, Any] = NO_OPTIONS
) -> None:
    """Bring one stage up to date; older inputs are used as they are, and that is said."""
    workspace = Workspace.open(recipe, out)
    with workspace.locked():
        stages = (*pipeline.STAGES, pipeline.EVALUATE)
        for earlier in stages[: stages.index(stage)]:
            _remark_if_stale(workspace, earlier)
        if stage == pipeline.EVALUATE:
            _enter_as_scored(workspace, "eishil evaluate")
        if stage == "dataset" and (simulation := workspace.recipe.simulation) and (remark := simulation.remark()):
            terminal.messages().print(f"  {remark}", style="yellow")
        _make(workspace, stage, workers, force, making)


def build(recipe: Path, env: str, out: Path) -> None:
    """Build the firmware of one environment."""
    workspace = Workspace.open(recipe, out)
    with workspace.locked():
        image = _build(workspace, env)
    terminal.results_console().print(
        f"{image.elf}: {image.flash_bytes} B flash, {image.ram_bytes} B RAM", soft_wrap=True
    )


def run(
    recipe: Path,
    targets: Sequence[str],
    port: str | None,
    out: Path,
    workers: int,
    resume: bool,
    making: Mapping[str, Any] = NO_OPTIONS,
    **line: int | None,
) -> bool:
    """Everything from the data set to the report, on every target; whether all limits were kept.

    `making` are options of the data set; `line` are fields of `TargetSpec` that take the place of the roster's, where
    they are not None.
    """
    from eishil_bench.boards.discovery import chosen_targets
    from eishil_bench.dut import require_target
    from eishil_bench.runs import run_table
    from eishil_bench.runs.limits import load_limits
    from eishil_bench.runs.target_run import run_targets

    # What can be wrong without any work is found before minutes are spent on a data set.
    specs, bounds, workspace = chosen_targets(targets, port), load_limits(), Workspace.open(recipe, out)
    given = {name: value for name, value in line.items() if value is not None}
    specs = [spec.model_copy(update=given) for spec in specs]
    pipeline.require_cells(workspace)
    for spec in specs:
        require_target(spec, port)
    with workspace.locked():
        for stage in pipeline.STAGES:
            _make(workspace, stage, workers, force=False, making=making)
        if pipeline.fresh(workspace):
            _make(workspace, pipeline.FRESH, workers, force=False, making=making)
        _enter_as_scored(workspace, "eishil run")
        if workspace.recipe.evaluation is not None:
            _make(workspace, pipeline.EVALUATE, workers, force=False)
        images = {env: _build(workspace, env) for env in dict.fromkeys(spec.env for spec in specs)}
        _forget_results(workspace, [spec.name for spec in specs])
        with terminal.progress_bars() as progress:
            runs = run_targets(workspace, specs, port, images, bounds, progress, resume=resume)
        _write_reports(workspace, runs, [run_table.load(workspace.run_table(results.target)) for results in runs])
    for results in runs:
        terminal.tell_results(results, workspace.report)
    return all(results.passed for results in runs)


def report(recipe: Path, out: Path) -> None:
    """Write the pages of the last run again, with the verdict that its tables and the limits give now."""
    from eishil_bench.runs import stored_run
    from eishil_bench.runs.limits import load_limits

    bounds, workspace = load_limits(), Workspace.open(recipe, out)
    require(workspace.targets, workspace.command("run"))
    with workspace.locked():
        stored = [stored_run.load(workspace.target_results(name), bounds) for name in _last_targets(workspace)]
        runs, tables = [results for results, _ in stored], [table for _, table in stored]
        _write_reports(workspace, runs, tables)
    for results in runs:
        terminal.tell_results(results, workspace.report)


def replay(journal: Path, out: Path | None) -> bool:
    """Compare a journal's run again; whether all limits were kept."""
    from eishil_bench.record.replay import replay as replay_journal
    from eishil_bench.runs.limits import load_limits

    folder = out or journal.parent / "replay"
    with terminal.progress_bars() as progress:
        results = replay_journal(journal, load_limits(), progress, folder)
    terminal.tell_results(results, folder / "report.html")
    return results.passed


def bench_firmware(json_path: Path | None, target: str, port: str | None) -> None:
    """Figures of the firmware to the terminal and, if wanted, into a file."""
    from eishil_bench.dut import require_target, target_spec
    from eishil_bench.firmware import firmware_bench

    require_target(target_spec(target), port)
    with terminal.progress_bars() as progress:
        result = firmware_bench.bench_firmware(target, port, progress)
    if json_path is not None:
        firmware_bench.write_json(result, json_path)
    terminal.tell_costs(result)


def bench_impedance(json_path: Path | None, spectra: int, peer_python: Path | None) -> None:
    """Figures of the impedance solver to the terminal and, if wanted, into a file."""
    from eishil.dataset import impedance_benchmark

    with terminal.progress_bars() as progress:
        result = impedance_benchmark.bench_impedance(spectra, peer_python, progress)
    if json_path is not None:
        write_atomic(json_path, json.dumps(result, indent=1) + "\n")
    terminal.tell_impedance(result)


def diff(first: Path, second: Path, increases: Sequence[str], decreases: Sequence[str], json_path: Path | None) -> bool:
    """Compare two runs; whether no figure rose or fell by more than is allowed."""
    from eishil_bench.runs import diff as differ

    gates = [differ.Gate.parse(text, sign) for texts, sign in ((increases, 1), (decreases, -1)) for text in texts]
    difference = differ.diff(first, second, gates)
    if json_path is not None:
        differ.save(difference, json_path)
    terminal.tell_difference(difference)
    return difference.passed


def flash(recipe: Path | None, targets: Sequence[str], port: str | None, out: Path) -> None:
    """Put firmware onto boards, one after the other; those that run it already are left alone."""
    from eishil_bench.boards.discovery import chosen_targets
    from eishil_bench.boards.flash import flash as flash_board

    specs = chosen_targets(targets, port)
    for spec in specs:
        image = _image_to_flash(recipe, spec.env, out)
        started_s = time.monotonic()
        terminal.tell_flashed(spec.name, flash_board(spec, image, image.elf, port), time.monotonic() - started_s)


def boards() -> None:
    """List the boards that are connected."""
    from eishil_bench.boards.discovery import list_boards

    terminal.tell_boards(list_boards())


def features(folder: Path, n_rc: int, workers: int) -> None:
    """Write `features.parquet` of a data set."""
    from os import cpu_count

    from eishil.dataset.feature_table import write_features

    with terminal.progress_bars() as progress:
        path = write_features(folder, n_rc, workers or cpu_count() or 1, progress)
    terminal.results_console().print(str(path), soft_wrap=True)


def _make(workspace: Workspace, name: str, workers: int, force: bool, making: Mapping[str, Any] = NO_OPTIONS) -> None:
    started_s = time.monotonic()
    with terminal.progress_bars() as progress:
        made = bring_up_to_date(pipeline.stage(workspace, name, workers, making), progress, force=force)
    terminal.tell_made(made, time.monotonic() - started_s)


def _enter_as_scored(workspace: Workspace, command: str) -> None:
    """Before a test cell is looked at: who fails afterwards has looked as well."""
    from eishil.model import Model
    from eishil_bench.runs import scored

    scored.enter(workspace, Model.load(workspace.model / "model.json").model_id, command)


def _remark_if_stale(workspace: Workspace, name: str) -> None:
    """Say that an input is not what recipe and code would give now; a missing one is told by the stage itself."""
    stage = pipeline.stage(workspace, name)
    if all(path.is_file() for path in stage.outputs) and (reason := reason_to_make(stage)):
        remedy = workspace.command(name)
        terminal.messages().print(f"  {name:<9} used as it is, but {reason}; `{remedy}` makes it again", style="yellow")


def _build(workspace: Workspace, env: str) -> FirmwareImage:
    """Build the image of an environment; PlatformIO itself knows what is up to date."""
    from eishil_bench.firmware.build import build_firmware

    require(workspace.generated / "model.c", workspace.command("generate"))
    started_s = time.monotonic()
    image = build_firmware(env, workspace.generated, workspace.firmware(env))
    terminal.tell_built(env, image.build_id, time.monotonic() - started_s)
    return image


def _image_to_flash(recipe: Path | None, env: str, out: Path) -> FirmwareImage:
    """Of a recipe's generated files, or of the committed ones."""
    from eishil_bench.firmware.build import build_firmware
    from eishil_bench.firmware.toolchain import PROJECT_ROOT

    if recipe is None:
        return build_firmware(env, PROJECT_ROOT / "firmware" / "generated", out / "committed" / "firmware" / env)
    workspace = Workspace.open(recipe, out)
    with workspace.locked():
        return _build(workspace, env)


def _last_targets(workspace: Workspace) -> list[str]:
    """Targets of the last run; EishilError where the file has no such names."""
    try:
        names = json.loads(workspace.targets.read_bytes())
    except ValueError:
        names = None
    if not isinstance(names, list) or not names or not all(re.fullmatch(r"\w[\w.-]*", str(name)) for name in names):
        raise EishilError(f"{workspace.targets}: is no list of targets; `{workspace.command('run')}` writes a new one")
    return names


def _forget_results(workspace: Workspace, targets: Sequence[str]) -> None:
    """A run that fails shall not leave an older verdict behind that looks like its own."""
    stale = [workspace.results, workspace.report, workspace.targets]
    for name in targets:
        stale += [workspace.target_results(name), workspace.target_report(name)]
    for path in stale:
        path.unlink(missing_ok=True)


def _write_reports(workspace: Workspace, runs: Sequence[Results], tables: Sequence[pd.DataFrame]) -> None:
    """A page for each target and one for the run: the target's own where there is only one."""
    from eishil_bench.report.combined import write_combined
    from eishil_bench.report.page import write_report
    from eishil_bench.report.stored_studies import load_studies

    studies = load_studies(workspace, runs[0].model_id)
    for results, table in zip(runs, tables, strict=True):
        write_report(results, table, workspace.target_report(results.target), studies)
    if len(runs) == 1:
        runs[0].model_copy(update={"run_table": f"{runs[0].target}/{runs[0].run_table}"}).save(workspace.results)
        write_report(runs[0], tables[0], workspace.report, studies)
    else:
        workspace.results.unlink(missing_ok=True)  # which of several would it be?
        write_combined(runs, tables, workspace.report)
    write_atomic(workspace.targets, json.dumps([results.target for results in runs]) + "\n")
