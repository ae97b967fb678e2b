"""`eishil bench firmware`: what a step costs on the device, stage by stage, for every build and filter that there is.

Instructions are counted, cycles are estimated from them (docs/cycles.md); on a real board cycles are measured. Builds
are the environments of platformio.ini that extend the board's name: `nucleo_f446re_float64` is the build `float64`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from eishil import codegen
from eishil.ccore import CoreLibrary
from eishil.errors import EishilError
from eishil.files import write_atomic
from eishil.filters.step import StepInput
from eishil.model import Model
from eishil.network.onnx_files import load_float_network
from eishil.progress import Progress
from eishil_bench.dut import Dut, TargetSpec, load_targets, open_dut, target_spec
from eishil_bench.firmware import cortex_m4, toolchain
from eishil_bench.firmware.baseline import Bounds
from eishil_bench.firmware.build import FirmwareImage, build_firmware, linked_bytes
from eishil_bench.firmware.counts import CORTEX_M4_MACHINES, Count, CountingQemu
from eishil_bench.firmware.environments import boards, builds_of, definitions_of
from eishil_bench.firmware.model_variants import variants
from eishil_bench.firmware.peers import count_emlearn, count_network
from eishil_bench.firmware.stack import CallGraph
from eishil_bench.firmware.variant_accuracy import variant_accuracy
from eishil_bench.link.session import Session, stream
from eishil_bench.runs.measure import clock_of
from eishil_bench.runs.stimulus import Trajectory, held_out_trajectories

DATASETS = toolchain.PROJECT_ROOT / "datasets"
FIRST_LIGHT = DATASETS / "models" / "first_light"
SPECTRA = 4
ENTRY = "estimator_step"
CORE_API = (ENTRY, "estimator_init", "estimator_report", "integrity_verify_model", "eishil_model")
NETWORK = "network and jacobian"
WITH_JACOBIAN = ("network_evaluate", "nn_evaluate")
# Functions whose cost, and that of all that they call, goes to a stage; a build need not have all of them. Whatever of
# a step is in none of them is the stage "other".
STAGES: dict[str, tuple[str, ...]] = {
    "features": ("observation_take_usable",),
    NETWORK: (*WITH_JACOBIAN, "network_evaluate_batch", "nn_evaluate_batch"),
    "linearisation": ("observation_linearise", "curvature_look_aside", "trajectory_interpolate"),
    "update": ("information_compress", "ekf_update", "ukf_update", "gaussian_predict"),
    "readout": ("report", "estimator_report", "readout_evaluate"),
    "other": (ENTRY,),
}
FRAMES = ("frame_decoder_push", "dispatch_frame", "frame_encode")
FUNCTIONS = (*(name for names in STAGES.values() for name in names), *FRAMES)


@dataclass(frozen=True)
class Run:
    """One build of one model on one target: figures by stage, and the readouts (S,) that it gave.

    `with_jacobian` is, of the stage of the network, what evaluations with their Jacobian take in a step; None where
    the target counts no stages.
    """

    rows: list[dict[str, Any]]
    soh: np.ndarray
    with_jacobian: Count | None = None


def bench_firmware(target: str, port: str | None, progress: Progress) -> dict[str, Any]:
    """The JSON of the command, as a dict; docs/cycles.md names its fields."""
    spec = target_spec(target)
    model = Model.load(FIRST_LIGHT / "model.json")
    trajectories = held_out(model)
    spectra = trajectories[0].measured[:SPECTRA]
    rows: list[dict[str, Any]] = []
    cores: list[dict[str, Any]] = []
    soh: dict[tuple[Any, ...], np.ndarray] = {}
    cases = cases_of(model, spec.env)
    with TemporaryDirectory(prefix="eishil-bench-") as folder:
        for done, (name, variant, (build, env)) in enumerate(cases):
            progress("bench", done, len(cases), f"{build}, {name}")
            image_folder = Path(folder) / f"{name}-{env}"
            image = build_variant(variant, env, image_folder)
            run = measure(spec, image, variant, spectra, port)
            if spec.machine in CORTEX_M4_MACHINES and run.with_jacobian is not None:
                forward = count_network(image_folder / "generated", definitions_of(env))
                split_network(run.rows, run.with_jacobian, forward)
            about = {"build": build, "filter": name.split()[0], "states": variant.n_states}
            if build in {"int8", "weights_in_ram"}:
                cores.append(about | core_sizes(image_folder, env))
            rows += [about | row for row in run.rows]
            soh[(about["filter"], about["states"], build)] = run.soh
        sizes = {env: size_of(model, env, Path(folder) / env) for env in boards()}
    return {
        "target": target,
        "rows": rows,
        "accuracy": accuracy(soh) + variant_accuracy(model, trajectories),
        "peers": peers() if spec.kind == "qemu" else [],
        "core": cores,
        "sizes": sizes,
        "model_error": cortex_m4.ERROR,
    }


def cases_of(model: Model, board_env: str) -> list[tuple[str, Model, tuple[str, str]]]:
    """Variants by name with (build, environment): int8 for all, the builds to compare with for the smallest."""
    shapes = variants(model)
    fewest = min(shape.n_states for shape in shapes.values())
    return [
        (name, shape, build)
        for name, shape in shapes.items()
        for build in builds_of(board_env).items()
        if build[0] == "int8" or (shape.n_states == fewest and (build[0] != "weights_in_ram" or shape.filter == "ekf"))
    ]


def held_out(model: Model) -> list[Trajectory]:
    """The committed sample of held-out cells; all points of their spectra are there."""
    from eishil.dataset.recipe import Recipe
    from eishil.dataset.tables import Dataset

    recipe = Recipe.load(DATASETS / "recipes" / "first_light.toml")
    return held_out_trajectories(Dataset.open(DATASETS / "sample"), recipe, model)


def held_out_spectra(model: Model) -> list[StepInput]:
    """The first spectra of the first cell: what the counted steps are given."""
    return held_out(model)[0].measured[:SPECTRA]


def build_variant(model: Model, env: str, folder: Path) -> FirmwareImage:
    """Generate and build one model for one environment."""
    codegen.generate(model, folder / "generated", load_float_network(FIRST_LIGHT / "network_float.onnx"))
    return build_firmware(env, folder / "generated", folder)


def size_of(model: Model, env: str, folder: Path) -> dict[str, int | None]:
    """Flash, RAM and worst-case stack of an environment."""
    image = build_variant(model, env, folder)
    return {name: getattr(image, name) for name in ("flash_bytes", "ram_bytes", "stack_bytes")}


def bounds_of(image: FirmwareImage, model: Model) -> Bounds:
    """What an image takes; its counts where a target of the roster emulates it."""
    sizes = {"flash_bytes": image.flash_bytes, "ram_bytes": image.ram_bytes, "stack_bytes": image.stack_bytes}
    spec = next((spec for spec in load_targets().values() if (spec.kind, spec.env) == ("qemu", image.env)), None)
    if spec is None:
        return Bounds.model_validate(sizes)
    rows = {
        row["stage"]: row["instructions"] for row in measure(spec, image, model, held_out_spectra(model), None).rows
    }
    counts = {"step_instructions": rows["step"], "worst_step_instructions": rows.get("step, worst case")}
    return Bounds.model_validate(sizes | counts)


def core_sizes(folder: Path, env: str) -> dict[str, int | None]:
    """The core alone, without app and port: what `build_variant` left in the folder.

    Flash is that of what its functions and the model bring with them into a program; RAM that of one cell
    (`instance`), of the work area that all cells share, and of the weights where a build has them there; stack that
    of a step.
    """
    objects = folder / "pio" / "build" / env
    flash_bytes, weight_bytes = linked_bytes([*objects.glob("src/core/*.o"), *objects.glob("generated/*.o")], CORE_API)
    library = CoreLibrary.build(folder / "generated")
    return {
        "flash_bytes": flash_bytes,
        "weight_ram_bytes": weight_bytes,
        "instance_ram_bytes": library.ffi.sizeof("estimator_t"),
        "work_ram_bytes": library.ffi.sizeof("estimator_work_t"),
        "stack_bytes": CallGraph.load(objects).depth_bytes(ENTRY),
    }


def measure(
    spec: TargetSpec, image: FirmwareImage, model: Model, spectra: Sequence[StepInput], port: str | None
) -> Run:
    """One trajectory on the target."""
    if spec.kind == "qemu":
        return _count(spec, image, model, spectra)
    dut: Dut = open_dut(spec.name, image, port=port)
    with dut:
        session = Session(dut, model)
        clock = clock_of(spec.kind, session.hello().counter)
        steps = stream(session, list(spectra))
    if clock == "none":
        raise EishilError(f"target {spec.name} has no counter; `eishil bench firmware` needs one")
    cost = round(float(np.mean([step.count for step in steps])))
    return Run([{"stage": "step", clock: cost}], _soh(steps))


def _count(spec: TargetSpec, image: FirmwareImage, model: Model, spectra: Sequence[StepInput]) -> Run:
    board = CountingQemu(spec, image.elf, FUNCTIONS)
    with board:
        session = Session(board, model)
        session.hello()
        steps = stream(session, list(spectra))
        counts = board.finish()
    estimated = spec.machine in CORTEX_M4_MACHINES
    rows = [_row(stage, count, estimated) for stage, count in _stages(counts, len(spectra))]
    # Software float64 takes minutes for the corners, and nobody ships it.
    if not image.env.endswith("_float64"):
        worst = max(counts[ENTRY].most, worst_case_instructions(spec, image, model))
        rows.append(_row("step, worst case", Count(1, worst, 0, 0), estimated=False))
    return Run(rows, _soh(steps), _sum(counts, WITH_JACOBIAN).per_call(len(spectra)))


def worst_case_instructions(spec: TargetSpec, image: FirmwareImage, model: Model) -> int:
    """Most instructions of one step over inputs that are as unkind as the protocol allows, all points present."""
    board = CountingQemu(spec, image.elf, (ENTRY,))
    with board:
        session = Session(board, model)
        session.hello()
        for spectrum in adversarial_spectra(model):
            session.init()
            session.step(spectrum)
        return board.finish()[ENTRY].most


def adversarial_spectra(model: Model) -> Iterator[StepInput]:
    """Corners of what is accepted: voltage, temperature, elapsed cycles, and impedances from tiny to huge.

    But not so far that a model whose noise follows the spectrum would leave them out.
    """
    points = np.ones(model.n_frequencies)
    for size_ohm, voltage_V, temperature_degC, cycles in itertools.product(
        (1e-6, 0.02, 1e9), (0.0, 3.7, 10.0), (-60.0, 25.0, 100.0), (0.0, 123.4, 1e6)
    ):
        z_ohm = (size_ohm * (1 - 1j) * points).astype(np.complex128)
        yield StepInput(cycles, voltage_V, temperature_degC, z_ohm, np.full(model.n_frequencies, True))


def _stages(counts: dict[str, Count], steps: int) -> Iterator[tuple[str, Count]]:
    """Means per step. Frames are the request and the reply of a step, and of the few others of the session."""
    total = Count(0, 0, 0, 0)
    for stage, functions in STAGES.items():
        found = _sum(counts, functions)
        total += found
        yield stage, found.per_call(steps)
    entry = counts[ENTRY]
    yield "step", Count(entry.calls, total.instructions, total.cycles_0ws, total.cycles_5ws).per_call(steps)
    yield "frame handling", _sum(counts, FRAMES).per_call(counts[FRAMES[-1]].calls)


def _sum(counts: dict[str, Count], functions: Sequence[str]) -> Count:
    return sum((counts[name] for name in functions if name in counts), Count(0, 0, 0, 0))


def split_network(rows: list[dict[str, Any]], with_jacobian: Count, forward: Count) -> None:
    """Put "network" and "jacobian" in the place of both: the Jacobian is what it adds to a forward pass."""
    forward = forward if with_jacobian.calls else with_jacobian  # nobody asked for it
    index = next(index for index, row in enumerate(rows) if row["stage"] == NETWORK)
    once, alone = (_row("", count, estimated=True) for count in (with_jacobian, forward))
    jacobian = {name: value - alone[name] for name, value in once.items() if name != "stage"}
    network = {name: rows[index][name] - value for name, value in jacobian.items()}
    rows[index : index + 1] = [{"stage": "network", **network}, {"stage": "jacobian", **jacobian}]


def _row(stage: str, count: Count, estimated: bool) -> dict[str, Any]:
    return {
        "stage": stage,
        "instructions": count.instructions,
        "estimated_cycles_0ws": count.cycles_0ws if estimated else None,
        "estimated_cycles_5ws": count.cycles_5ws if estimated else None,
    }


def _soh(steps: Sequence[Any]) -> np.ndarray:
    return np.array([step.output.readout[0] for step in steps], np.float64)


def accuracy(soh: dict[tuple[Any, ...], np.ndarray]) -> list[dict[str, Any]]:
    """RMS difference of SOH between each build and the float64 build of the same filter, where there is one."""
    rows = []
    for (kind, states, build), values in soh.items():
        reference = soh.get((kind, states, "float64"))
        if reference is not None and build != "float64":
            difference = float(np.sqrt(np.mean((values - reference) ** 2)))
            rows.append({"build": build, "filter": kind, "states": states, "rms_soh_difference": difference})
    return rows


def peers() -> list[dict[str, Any]]:
    """Forward passes of the same network by others."""
    network = load_float_network(FIRST_LIGHT / "network_float.onnx")
    return [{"build": "emlearn float", "filter": None} | _row("network", count_emlearn(network), estimated=True)]


def write_json(result: dict[str, Any], path: Path) -> None:
    """Write the file whole or not at all."""
    write_atomic(path, json.dumps(result, indent=1) + "\n")
