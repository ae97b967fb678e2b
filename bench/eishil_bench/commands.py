"""What the commands do. The command line imports this module only when a command is really run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from eishil.errors import RecipeError
from eishil.model import Model
from eishil.progress import Progress
from eishil_bench import pipeline, terminal
from eishil_bench.pipeline import Workspace
from eishil_bench.results import Results
from eishil_bench.stamps import bring_up_to_date, reason_to_make, require

if TYPE_CHECKING:
    from eishil_bench.build import FirmwareImage
    from eishil_bench.limits import Limit


def make(stage: str, recipe: Path, out: Path, workers: int, force: bool) -> None:
    """Bring one stage up to date; older inputs are used as they are, and that is said."""
    workspace = Workspace.open(recipe, out)
    with workspace.locked():
        for earlier in pipeline.STAGES[: pipeline.STAGES.index(stage)]:
            _remark_if_stale(workspace, earlier)
        _make(workspace, stage, workers, force)


def build(recipe: Path, env: str, out: Path) -> None:
    """Build the firmware of one environment."""
    workspace = Workspace.open(recipe, out)
    with workspace.locked():
        image = _build(workspace, env)
    terminal.results_console().print(
        f"{image.elf}: {image.flash_bytes} B flash, {image.ram_bytes} B RAM", soft_wrap=True
    )


def run(recipe: Path, target: str, port: str | None, out: Path, workers: int) -> bool:
    """Everything from the data set to the report; whether all limits were kept."""
    from eishil_bench.dut import require_emulator, target_spec
    from eishil_bench.limits import load_limits

    # What can be wrong without any work is found before minutes are spent on a data set.
    spec, bounds, workspace = target_spec(target), load_limits(), Workspace.open(recipe, out)
    require_emulator(spec)
    with workspace.locked():
        for stage in pipeline.STAGES:
            _make(workspace, stage, workers, force=False)
        image = _build(workspace, spec.env)
        with terminal.progress_bars() as progress:
            results = _measure(workspace, spec.name, port, image, bounds, progress)
        _write_report(workspace, results)
    terminal.tell_results(results, workspace.report)
    return results.passed


def report(recipe: Path, out: Path) -> None:
    """Write the report of the last run again."""
    workspace = Workspace.open(recipe, out)
    require(workspace.results, workspace.command("run"))
    results = Results.load(workspace.results)
    with workspace.locked():
        _write_report(workspace, results)
    terminal.tell_results(results, workspace.report)


def _make(workspace: Workspace, name: str, workers: int, force: bool) -> None:
    started_s = time.monotonic()
    with terminal.progress_bars() as progress:
        made = bring_up_to_date(pipeline.stage(workspace, name, workers), progress, force=force)
    terminal.tell_made(made, time.monotonic() - started_s)


def _remark_if_stale(workspace: Workspace, name: str) -> None:
    """Say that an input is not what recipe and code would give now; a missing one is told by the stage itself."""
    stage = pipeline.stage(workspace, name)
    if all(path.is_file() for path in stage.outputs) and (reason := reason_to_make(stage)):
        remedy = workspace.command(name)
        terminal.messages().print(f"  {name:<9} used as it is, but {reason}; `{remedy}` makes it again", style="yellow")


def _build(workspace: Workspace, env: str) -> FirmwareImage:
    """Build the image of an environment; PlatformIO itself knows what is up to date."""
    from eishil_bench.build import build_firmware

    require(workspace.generated / "model.c", workspace.command("generate"))
    started_s = time.monotonic()
    image = build_firmware(env, workspace.generated, workspace.firmware(env))
    terminal.tell_built(env, image.build_id, time.monotonic() - started_s)
    return image


def _measure(
    workspace: Workspace,
    target: str,
    port: str | None,
    image: FirmwareImage,
    bounds: dict[str, Limit],
    progress: Progress,
) -> Results:
    """Run the target over the held-out trajectories and write table and results."""
    from eishil.dataset.tables import Dataset
    from eishil.filters.ekf import Ekf
    from eishil.network.onnx_files import load_float_network
    from eishil_bench import run_table
    from eishil_bench.dut import open_dut
    from eishil_bench.measure import judge, measure
    from eishil_bench.stimulus import held_out_trajectories

    model = Model.load(workspace.model / "model.json")
    ekf = Ekf(model, load_float_network(workspace.model / "network_float.onnx"))
    trajectories = held_out_trajectories(Dataset.open(workspace.dataset), workspace.recipe, model)
    if not any(trajectory.spectra for trajectory in trajectories):
        raise RecipeError(f"{workspace.recipe_path}: [population.test] gives no spectrum that is not masked")
    with open_dut(target, image, port=port) as dut:
        measurement = measure(dut, model, image, ekf, trajectories, progress)
        kind = dut.kind
    table_path = workspace.run_table(target)
    results = judge(
        measurement,
        model,
        image,
        sum(trajectory.masked for trajectory in trajectories),
        bounds,
        recipe=workspace.recipe.name,
        description=workspace.recipe.description,
        target=target,
        target_kind=kind,
        run_table=table_path.relative_to(workspace.root).as_posix(),
        provenance=_provenance(workspace, model),
    )
    run_table.save(measurement.table, table_path)
    results.save(workspace.results)
    return results


def _provenance(workspace: Workspace, model: Model) -> dict[str, str]:
    """Where every figure comes from: files by hash, libraries by version, and what the model file says of itself."""
    from eishil.files import sha256_file
    from eishil.versions import versions

    files = (
        workspace.recipe_path,
        workspace.dataset / "samples.parquet",
        workspace.dataset / "spectra.parquet",
        workspace.model / "network_float.onnx",
        workspace.model / "model.json",
    )
    hashes = {f"sha256 of {path.name}": sha256_file(path) for path in files}
    libraries = {f"version of {name}": version for name, version in versions().items()}
    return hashes | libraries | {f"model: {name}": text for name, text in model.provenance.items()}


def _write_report(workspace: Workspace, results: Results) -> None:
    from eishil_bench import run_table
    from eishil_bench.report.page import write_report

    write_report(results, run_table.load(workspace.root / results.run_table), workspace.report)
