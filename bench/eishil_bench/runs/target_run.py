"""Targets over the held-out trajectories, each with journal, table and results in a folder of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eishil.errors import EishilError, RecipeError, TargetError
from eishil.evaluation_figures import HostFigures
from eishil.filters.ukf import reference_filter
from eishil.model import Model
from eishil.progress import Progress
from eishil_bench import pipeline
from eishil_bench.dut import TargetSpec, open_dut
from eishil_bench.pipeline import Workspace
from eishil_bench.record.logbook import journal_header, open_logbook
from eishil_bench.record.recorded import MODEL_FILE, NETWORK_FILE
from eishil_bench.runs import run_table, scored
from eishil_bench.runs.measure import judge, measure
from eishil_bench.runs.results import Results
from eishil_bench.runs.stimulus import Trajectory, held_out_trajectories

if TYPE_CHECKING:
    from eishil.network.mlp import FloatNetwork
    from eishil_bench.firmware.build import FirmwareImage
    from eishil_bench.runs.limits import Limit


@dataclass(frozen=True)
class Stimulus:
    """What every target of a run gets: the held-out trajectories, the estimator, and where they come from."""

    workspace: Workspace
    model: Model
    network: FloatNetwork
    trajectories: Sequence[Trajectory]
    provenance: dict[str, str]

    @classmethod
    def of(cls, workspace: Workspace) -> Stimulus:
        """RecipeError where the recipe leaves nothing to stream."""
        from eishil.dataset.tables import Dataset
        from eishil.network.onnx_files import load_float_network

        model = Model.load(workspace.model / MODEL_FILE)
        fresh = pipeline.fresh(workspace)
        before = Dataset.open(fresh.dataset) if fresh else None
        trajectories = held_out_trajectories(Dataset.open(workspace.dataset), workspace.recipe, model, before)
        if not any(trajectory.spectra for trajectory in trajectories):
            raise RecipeError(f"{workspace.recipe_path}: [population.test] gives no spectrum that is not masked")
        network = load_float_network(workspace.model / NETWORK_FILE)
        return cls(workspace, model, network, trajectories, _provenance(workspace, model, fresh))

    @property
    def masked_spectra(self) -> int:
        return sum(trajectory.masked for trajectory in self.trajectories)


def run_targets(
    workspace: Workspace,
    specs: Sequence[TargetSpec],
    port: str | None,
    images: Mapping[str, FirmwareImage],
    bounds: dict[str, Limit],
    progress: Progress,
    *,
    resume: bool,
) -> list[Results]:
    """Run all targets at once, each with its own connection, journal and reference.

    A target that fails does not stop the others: what they gave is kept, and the sentences of those that failed are
    one EishilError at the end.
    """
    stimulus = Stimulus.of(workspace)

    def run(spec: TargetSpec, progress: Progress) -> Results:
        return run_target(stimulus, spec, port, images[spec.env], bounds, progress, resume=resume)

    return [run(specs[0], progress)] if len(specs) == 1 else all_at_once(run, specs, progress)


def all_at_once(
    run: Callable[[TargetSpec, Progress], Results], specs: Sequence[TargetSpec], progress: Progress
) -> list[Results]:
    """`run` for all targets, each in a thread; an interrupt ends each of them after its running trajectory."""
    interrupted = threading.Event()

    def watched(stage: str, done: int, total: int, note: str = "") -> None:
        if interrupted.is_set():
            raise TargetError("interrupted")
        progress(stage, done, total, note)

    with ThreadPoolExecutor(len(specs)) as pool:
        pending = [pool.submit(run, spec, watched) for spec in specs]
        try:
            failures = [error for future in pending if (error := future.exception()) is not None]
        except KeyboardInterrupt:
            interrupted.set()
            raise
    for error in failures:
        if not isinstance(error, EishilError):
            raise error
    if failures:
        raise TargetError("; ".join(str(error) for error in failures))
    return [future.result() for future in pending]


def run_target(
    stimulus: Stimulus,
    spec: TargetSpec,
    port: str | None,
    image: FirmwareImage,
    bounds: dict[str, Limit],
    progress: Progress,
    *,
    resume: bool,
) -> Results:
    """Run one target; everything of it lies in its folder afterwards."""
    workspace, model = stimulus.workspace, stimulus.model
    ekf, about = reference_filter(model, stimulus.network), _about(stimulus, spec)
    with open_dut(spec, image, port=port) as dut:
        header = journal_header(model, image, stimulus.masked_spectra, about)
        files = {name: (workspace.model / name).read_bytes() for name in (MODEL_FILE, NETWORK_FILE)}
        logbook = open_logbook(workspace.journal(spec.name), header, files, resume=resume)
        with logbook.journal:
            measurement = measure(
                dut,
                model,
                image,
                ekf,
                stimulus.trajectories,
                progress,
                logbook=logbook,
                window=spec.window,
                covariance_every=spec.covariance_every,
                flash_command=_flash_command(workspace, spec, port),
            )
    about["run_table_sha256"] = run_table.save(measurement.table, workspace.run_table(spec.name))
    results = judge(measurement, model, image, stimulus.masked_spectra, bounds, **about, **_host_figures(workspace))
    results.save(workspace.target_results(spec.name))
    return results


def _about(stimulus: Stimulus, spec: TargetSpec) -> dict[str, Any]:
    """The fields of the results that say what was run on what."""
    workspace = stimulus.workspace
    earlier = scored.earlier(workspace, stimulus.model.model_id)
    return {
        "recipe": workspace.recipe.name,
        "description": workspace.recipe.description,
        "target": spec.name,
        "target_kind": spec.kind,
        "window": spec.window,
        "covariance_every": spec.covariance_every,
        "run_table": workspace.run_table(spec.name).name,
        "test_seed": workspace.recipe.population.test.seed,
        "test_cells_scored_before": [one.model_dump(mode="json") for one in earlier],
        "provenance": stimulus.provenance,
    }


def _host_figures(workspace: Workspace) -> dict[str, Any]:
    """What was computed of the same estimator on the host; nothing where the recipe does not ask for it."""
    if workspace.recipe.evaluation is None:
        return {}
    return dict(HostFigures.model_validate_json(workspace.evaluation.read_bytes()))


def _flash_command(workspace: Workspace, spec: TargetSpec, port: str | None) -> str:
    on_port = f" --port {port}" if port else ""
    return f"{workspace.command('flash')} --target {spec.name}{on_port}"


def _provenance(workspace: Workspace, model: Model, fresh: Workspace | None) -> dict[str, str]:
    """Where every figure comes from: files by hash, libraries by version, and what the model file says of itself."""
    from eishil.files import sha256_file
    from eishil.versions import versions

    files = (
        workspace.recipe_path,
        workspace.dataset / "samples.parquet",
        workspace.dataset / "spectra.parquet",
        workspace.model / NETWORK_FILE,
        workspace.model / MODEL_FILE,
    )
    hashes = {f"sha256 of {path.name}": sha256_file(path) for path in files}
    if fresh:
        hashes["sha256 of the fresh cells' spectra.parquet"] = sha256_file(fresh.dataset / "spectra.parquet")
    libraries = {f"version of {name}": version for name, version in versions().items()}
    return hashes | libraries | {f"model: {name}": text for name, text in model.provenance.items()}
