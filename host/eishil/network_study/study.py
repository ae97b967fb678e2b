"""The study: every case on validation spectra, and in the reference filter on validation trajectories.

The filter is the recipe's: its process model, prior and readouts stay as they are, and only the network and the noise
that goes with it change. Test cells are not read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from eishil.dataset.recipe import Recipe
from eishil.dataset.tables import Dataset
from eishil.files import sha256_file, write_atomic
from eishil.filters.observation import Network
from eishil.filters.replay import Estimates, MeasuredCell, measured_cells, replay
from eishil.filters.scores import rms
from eishil.model import Model, Noise
from eishil.network.assemble import calibrated
from eishil.network.noise import observation_noise
from eishil.network.samples import NETWORK_INPUTS, frequency_columns, network_samples
from eishil.network_study.cases import DIRECT, DISTILLED, DISTILLED_FROM_LARGE, Case, Fitter, cases, macs, network_file
from eishil.network_study.relaxation import RelaxationBasis
from eishil.progress import Progress
from eishil.versions import versions

SOURCES = Path(__file__).resolve().parents[1]
CODE = ("network_study/*.py", "network/*.py", "filters/*.py")
# What grows with a mode at every frequency and in every spectrum of the cell model, at the same rest voltage: Re Z with
# loss of negative electrode, -Im Z with the film. `eishil identify` has the shares; contact resistance is exact anyway.
ALWAYS_RISE = (("lam_ne", "real"), ("log10_sei_thickness", "imaginary"))
MLPS = (DIRECT, DISTILLED, DISTILLED_FROM_LARGE)


@dataclass(frozen=True)
class Row:
    """Figures of one case on validation cells; `residual_ln_ohm` is root mean square over spectra and outputs.

    `physical_signs` is the share of derivatives that have the sign which the cell model's have always (`ALWAYS_RISE`).
    """

    kind: str
    size: tuple[int, ...]
    seed: int
    group: str
    macs: int
    residual_ln_ohm: float
    residual_real_ln_ohm: float
    residual_imaginary_ln_ohm: float
    soh_rmse: float
    coverage_2_sigma: float
    physical_signs: float
    step_instructions: int | None = None
    network_instructions: int | None = None


@dataclass(frozen=True)
class NetworkStudy:
    """All rows. `basis_residual_ln_ohm` is what the teacher's basis leaves with the best weights for each spectrum."""

    recipe: str
    train_spectra: int
    validation_spectra: int
    validation_trajectories: int
    frequency_Hz: tuple[float, ...]
    basis_residual_ln_ohm: float
    rows: tuple[Row, ...]

    def save(self, path: Path) -> None:
        """Write all figures as JSON."""
        write_atomic(path, json.dumps(asdict(self) | {"versions": versions()}, indent=1) + "\n")

    def groups(self) -> dict[str, list[Row]]:
        """Rows that differ by their seed only, by the name of what they have in common."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.group, []).append(row)
        return found


def study(recipe: Recipe, dataset: Dataset, model: Model, folder: Path, progress: Progress) -> NetworkStudy:
    """Fit and score all cases; rows that `folder` has from the same inputs and code are taken from there."""
    fitter = Fitter(recipe, dataset, folder, progress)
    validation = dataset.split("validation")
    columns = frequency_columns(dataset.frequency_Hz, recipe.network.frequency_Hz)
    cells = measured_cells(validation, columns, recipe.measurement, recipe.seed)
    inputs = fingerprint(recipe, dataset, model)
    wanted, rows = cases(recipe), []
    for done, case in enumerate(wanted):
        progress("study", done, len(wanted), case.file_name)
        path = folder / f"{case.file_name}.json"
        row = _stored(path, inputs)
        if row is None:
            row = _scored(case, fitter, model, cells)
            write_atomic(path, json.dumps({"inputs": inputs, "row": asdict(row)}, indent=1) + "\n")
        rows.append(row)
    progress("study", len(wanted), len(wanted))
    return NetworkStudy(
        recipe=recipe.name,
        train_spectra=len(fitter.train.v),
        validation_spectra=len(fitter.validation.v),
        validation_trajectories=len(cells),
        frequency_Hz=tuple(recipe.network.frequency_Hz),
        basis_residual_ln_ohm=basis_residual(dataset),
        rows=tuple(rows),
    )


def _scored(case: Case, fitter: Fitter, model: Model, cells: Sequence[MeasuredCell]) -> Row:
    network = fitter.fit(case)
    error = fitter.residual(network)
    real, imaginary = np.split(error, 2, axis=1)
    noise = observation_noise(fitter.recipe, np.mean(error**2, axis=0), network, fitter.train.v)
    estimates = filtered(model, network, noise, cells)
    return Row(
        kind=case.kind,
        size=case.size,
        seed=case.seed,
        group=case.group,
        macs=macs(network),
        residual_ln_ohm=rms(error),
        residual_real_ln_ohm=rms(real),
        residual_imaginary_ln_ohm=rms(imaginary),
        soh_rmse=estimates.rmse,
        coverage_2_sigma=estimates.coverage(2.0),
        physical_signs=physical_signs(network, fitter.validation.v),
    )


def physical_signs(network: Network, v: np.ndarray) -> float:
    """Share of the derivatives of `ALWAYS_RISE` at inputs v (S, n_inputs) that are positive."""
    J = network.evaluate(v)[1]
    halves = dict(zip(("real", "imaginary"), np.split(J, 2, axis=-2), strict=True))
    return float(np.mean([halves[part][..., NETWORK_INPUTS.index(mode)] > 0 for mode, part in ALWAYS_RISE]))


def filtered(model: Model, network: Network, noise: Noise, cells: Sequence[MeasuredCell]) -> Estimates:
    """Estimates with another network and its noise, scaled as `eishil quantize` scales the model's own."""
    own, _ = calibrated(model.model_copy(update={"noise": noise}), network, cells)
    return replay(own, network, cells)


def basis_residual(dataset: Dataset) -> float:
    """Root mean square of ln Z that no weights of the teacher's basis can explain, on validation spectra."""
    frequency_Hz = np.asarray(dataset.frequency_Hz)
    ln_ohm = network_samples(dataset.split("validation"), frequency_Hz).ln_ohm
    return rms(RelaxationBasis.of(frequency_Hz).closest(ln_ohm, frequency_Hz) - ln_ohm)


def with_counts(found: NetworkStudy, counts: dict[str, tuple[int, int]]) -> NetworkStudy:
    """With the instructions of a step and of its network, by group."""
    rows = [
        replace(row, step_instructions=step, network_instructions=network)
        for row in found.rows
        for step, network in [counts.get(row.group, (None, None))]
    ]
    return replace(found, rows=tuple(rows))


def network_files(found: NetworkStudy, folder: Path) -> dict[str, Path]:
    """One MLP of every group: instructions do not depend on the seed."""
    mlps = {row.group: row for row in reversed(found.rows) if row.kind in MLPS}
    return {group: network_file(folder, Case(row.kind, tuple(row.size), row.seed)) for group, row in mlps.items()}


def fingerprint(recipe: Recipe, dataset: Dataset, model: Model) -> str:
    """Changes with whatever a row depends on."""
    code = [sha256_file(path) for pattern in CODE for path in sorted(SOURCES.glob(pattern))]
    data = hashlib.sha256(dataset.z_ohm.tobytes()).hexdigest()
    parts = [recipe.model_dump_json(), model.model_id.hex(), data, *code, json.dumps(versions())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _stored(path: Path, inputs: str) -> Row | None:
    try:
        content = json.loads(path.read_bytes())
        if content["inputs"] != inputs:
            return None
        return Row(**content["row"] | {"size": tuple(content["row"]["size"])})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # damaged or of another version: made again
