"""`eishil study network`: observation networks side by side, in accuracy and in instructions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import plotly.graph_objects as go

from eishil import codegen
from eishil.dataset.tables import Dataset
from eishil.filters.replay import measured_cells
from eishil.filters.step import StepInput
from eishil.model import Model
from eishil.network.conversion import convert
from eishil.network.onnx_files import load_float_network
from eishil.network.samples import frequency_columns, network_samples
from eishil.network_study.cases import (
    DIRECT,
    DISTILLED,
    DISTILLED_FROM_LARGE,
    GAUSSIAN,
    INT8,
    POLYNOMIAL,
    REFINED,
    TEACHER,
)
from eishil.network_study.study import NetworkStudy, Row, network_files, study, with_counts
from eishil.progress import Progress
from eishil_bench import pipeline, terminal
from eishil_bench.dut import require_target, target_spec
from eishil_bench.firmware.build import build_firmware
from eishil_bench.firmware.counts import CountingQemu
from eishil_bench.firmware.firmware_bench import ENTRY, NETWORK, STAGES
from eishil_bench.link.session import Session, stream
from eishil_bench.pipeline import Workspace
from eishil_bench.report.study import Rows, Section, tell_study, write_study
from eishil_bench.report.style import DEVICE, LABEL, PRIOR, REFERENCE, dots, plain
from eishil_bench.stamps import require

TARGET = "qemu"
COUNTED_SPECTRA = 4
COLOURS = {
    POLYNOMIAL: PRIOR,
    GAUSSIAN: PRIOR,
    TEACHER: LABEL,
    DIRECT: DEVICE,
    INT8: "#8a8a8a",
    REFINED: "#4f8f6f",
    DISTILLED: REFERENCE,
    DISTILLED_FROM_LARGE: "#7a4fa3",
}


def command(recipe: Path, out: Path, json_path: Path | None) -> None:
    """Make the study, count the networks' instructions, show it, and write its page and figures."""
    require_target(target_spec(TARGET))
    workspace = Workspace.open(recipe, out)
    pipeline.require_cells(workspace)
    model_path, folder = workspace.model / "model.json", workspace.root / "network_study"
    require(model_path, workspace.command("quantize"))
    with workspace.locked(), terminal.progress_bars() as progress:
        dataset, model = Dataset.open(workspace.dataset), Model.load(model_path)
        found = study(workspace.recipe, dataset, model, folder, progress)
        found = with_counts(found, counts(workspace, found, dataset, model, progress))
        for path in (folder / "network_study.json", json_path):
            if path is not None:
                found.save(path)
        page = folder / "network_study.html"
        write_study(page, f"Observation networks on {found.recipe}", lead(found), sections(found))
    tell_study(lead(found), sections(found), page)


def counts(
    workspace: Workspace, found: NetworkStudy, dataset: Dataset, model: Model, progress: Progress
) -> dict[str, tuple[int, int]]:
    """Instructions of a step and of its network with Jacobian, of every MLP in the recipe's model, int8."""
    calibration = network_samples(dataset.split("train"), model.frequency_Hz).v
    columns = frequency_columns(dataset.frequency_Hz, model.frequency_Hz)
    recipe = workspace.recipe
    steps = measured_cells(dataset.split("validation"), columns, recipe.measurement, recipe.seed)[0].steps
    files = network_files(found, workspace.root / "network_study")
    counted: dict[tuple[int, ...], tuple[int, int]] = {}
    made = {}
    for done, (group, path) in enumerate(files.items()):
        progress("count", done, len(files), group)
        network = load_float_network(path)
        size = tuple(len(bias) for bias in network.biases)
        if size not in counted:
            own = model.model_copy(update={"network": convert(network, calibration)})
            counted[size] = _count(own, steps[:COUNTED_SPECTRA])
        made[group] = counted[size]
    progress("count", len(files), len(files))
    return made


def _count(model: Model, steps: Sequence[StepInput]) -> tuple[int, int]:
    """Of the cheapest step: a request that a busy host repeats interrupts one and is counted with it."""
    spec = target_spec(TARGET)
    with TemporaryDirectory(prefix="eishil-study-") as folder:
        codegen.generate(model, Path(folder) / "generated")
        image = build_firmware(spec.env, Path(folder) / "generated", Path(folder))
        board = CountingQemu(spec, image.elf, (ENTRY, *STAGES[NETWORK]))
        with board:
            stream(Session(board, model), list(steps))
            counted = board.finish()
    return counted[ENTRY].least, max(counted[name].least for name in STAGES[NETWORK] if name in counted)


def lead(found: NetworkStudy) -> str:
    """What was compared, on what."""
    return (
        f"h(modes, V, 1/T) to ln Z at {len(found.frequency_Hz)} frequencies, fitted on {found.train_spectra} training "
        f"spectra. All figures are of {found.validation_spectra} validation spectra of "
        f"{found.validation_trajectories} trajectories; test cells are not read."
    )


def sections(found: NetworkStudy) -> list[Section]:
    """The table with its front, and what distillation brings."""
    header = ["h", "ln Z, 0.001", "Re", "Im", "SOH, %", "in 2 σ", "signs", "MAC", "network", "step"]
    seeds = max(len(rows) for rows in found.groups().values())
    return [
        Section(
            "Accuracy and instructions",
            table=Rows(header, [_texts(name, rows) for name, rows in found.groups().items()]),
            plots=[
                (_against(found, "step_instructions", "instructions of a step"), "MLPs; each point is one seed."),
                (_against(found, "macs", "multiply-accumulates"), "One evaluation in float, without Jacobian."),
                (_against(found, "residual_ln_ohm", "residual of ln Z, ln ohm"), "SOH follows ln Z down to a floor."),
            ],
            remark=f"Means over seeds, up to {seeds}, with the lowest and the highest. ln Z: rms residual over spectra "
            "and outputs in 0.001 ln ohm; Re, Im: its halves. SOH: rms error of the recipe's filter in float64 with "
            "this h and nothing else changed but its noise. Signs: of the derivatives that are positive in every "
            "spectrum of the cell model (Re Z by lam_ne, -Im Z by the film), the share that is. Network, step: "
            "executed instructions of the int8 network "
            f"with its Jacobian and of a whole step, counted under {TARGET}.",
        ),
        Section("What distillation brings", table=_verdicts(found), remark=_basis(found)),
    ]


def _texts(name: str, rows: Sequence[Row]) -> list[str]:
    instructions = [rows[0].network_instructions, rows[0].step_instructions]
    return [
        name,
        _spread([1e3 * row.residual_ln_ohm for row in rows], 2),
        f"{1e3 * _mean(rows, 'residual_real_ln_ohm'):.2f}",
        f"{1e3 * _mean(rows, 'residual_imaginary_ln_ohm'):.2f}",
        _spread([100 * row.soh_rmse for row in rows], 3),
        f"{_mean(rows, 'coverage_2_sigma'):.1%}",
        f"{_mean(rows, 'physical_signs'):.2%}",
        f"{rows[0].macs:,}",
        *("" if count is None else f"{count:,}" for count in instructions),
    ]


def _spread(values: Sequence[float], digits: int) -> str:
    """The mean, and where there are several the lowest and the highest."""
    mean, low, high = (f"{value:.{digits}f}" for value in (np.mean(values), min(values), max(values)))
    return mean if len(values) == 1 else f"{mean} ({low}-{high})"


def _mean(rows: Sequence[Row], name: str) -> float:
    return float(np.mean([getattr(row, name) for row in rows]))


def _verdicts(found: NetworkStudy) -> Rows:
    """Students against the direct network of their size: a difference within the seeds' spread is none."""
    direct = {tuple(row.size): [one for one in found.rows if one.kind == DIRECT and one.size == row.size]
              for row in found.rows if row.kind == DIRECT}  # fmt: skip
    rows = []
    for kind in (DISTILLED, DISTILLED_FROM_LARGE):
        students = [row for row in found.rows if row.kind == kind]
        for name, title in (("residual_ln_ohm", "ln Z, rms"), ("soh_rmse", "SOH, rms")):
            one, other = ([getattr(row, name) for row in some] for some in (students, direct[tuple(students[0].size)]))
            rows.append([kind, title, f"{np.mean(one) / np.mean(other) - 1:+.1%}", verdict(one, other)])
    return Rows(["student", "figure", "against direct", "beyond the spread"], rows)


def verdict(student: Sequence[float], direct: Sequence[float]) -> str:
    """Better or worse where every seed of one is beyond every seed of the other."""
    if max(student) < min(direct):
        return "better"
    return "worse" if min(student) > max(direct) else "no"


def _basis(found: NetworkStudy) -> str:
    return (
        "Students take as many steps of the optimiser as the direct network. The teacher's relaxations, with the best "
        f"non-negative weights for each validation spectrum, leave {found.basis_residual_ln_ohm:.5f} ln ohm "
        "at all frequencies of the data set."
    )


def _against(found: NetworkStudy, quantity: str, title: str) -> go.Figure:
    """SOH's error over a figure of the rows; a row without that figure is left out."""
    figure = plain(title, "rms error of SOH")
    for kind, colour in COLOURS.items():
        rows = [row for row in found.rows if row.kind == kind and getattr(row, quantity) is not None]
        if rows:
            x, y = ([getattr(row, name) for row in rows] for name in (quantity, "soh_rmse"))
            text = [f"{row.group}, seed {row.seed}" for row in rows]
            figure.add_trace(go.Scatter(x=x, y=y, name=kind, text=text, **dots(colour, 8)))
    figure.update_traces(marker_symbol="diamond", selector={"name": GAUSSIAN})
    figure.update_xaxes(type="log")
    figure.update_yaxes(type="log", dtick="D2", tickformat=".1%")
    return figure
