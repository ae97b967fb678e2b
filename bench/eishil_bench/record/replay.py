"""A journal compared once more, without a board: the recorded replies against a reference that is computed anew."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from eishil import wire
from eishil.errors import EishilError
from eishil.filters.ekf import Ekf
from eishil.filters.ukf import reference_filter
from eishil.model import Model
from eishil.progress import Progress
from eishil_bench.link.interface import LinkStatistics
from eishil_bench.link.session import ID_BYTES
from eishil_bench.record.journal import Exchange, Recording, read
from eishil_bench.record.recorded import MODEL_FILE, NETWORK_FILE, recorded_session, recorded_trajectory
from eishil_bench.report.page import write_report
from eishil_bench.runs import run_table
from eishil_bench.runs.device_run import live
from eishil_bench.runs.limits import Limit
from eishil_bench.runs.measure import Measurement, compared, judge
from eishil_bench.runs.results import Results


@dataclass(frozen=True)
class ImageFacts:
    """What a journal's header says of the firmware image."""

    build_id: bytes
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int | None


def replay(path: Path, bounds: dict[str, Limit], progress: Progress, out_dir: Path) -> Results:
    """Compare a journal's run again; writes `run.parquet`, `results.json` and `report.html` into `out_dir`.

    Raises
    ------
    EishilError
        The journal is damaged, of another protocol, or of a run that did not end.
    """
    recording = read(path)
    if recording.end is None:
        cut = f", {recording.torn_bytes} bytes of a torn record were left out" if recording.torn_bytes else ""
        raise EishilError(
            f"{path}: the run ended within its trajectories ({len(recording.finished)} are whole{cut}); "
            "`eishil run` with --resume finishes it"
        )
    _require_protocol(path, recording)
    model, ekf = _estimator(path, recording)
    measurement = _measurement(recording, model, ekf, progress)
    header = recording.header
    image = ImageFacts(**{**header["image"], "build_id": bytes.fromhex(header["image"]["build_id"])})
    digest = run_table.save(measurement.table, out_dir / "run.parquet")
    about = header["about"] | {"run_table": "run.parquet", "run_table_sha256": digest}
    results = judge(measurement, model, image, header["masked_spectra"], bounds, **about)
    results.save(out_dir / "results.json")
    write_report(results, measurement.table, out_dir / "report.html")
    return results


def _require_protocol(path: Path, recording: Recording) -> None:
    recorded, ours = recording.header["wire_digest"], wire.digest()[:ID_BYTES].hex()
    if recorded != ours:
        raise EishilError(
            f"{path}: was recorded with wire digest {recorded}, but this bench speaks {ours}; "
            "replay it with the version of eishil that recorded it"
        )


def _estimator(path: Path, recording: Recording) -> tuple[Model, Ekf]:
    from eishil.network.onnx_files import load_float_network

    with tempfile.TemporaryDirectory() as folder:
        for name in (MODEL_FILE, NETWORK_FILE):
            if name not in recording.files:
                raise EishilError(f"{path}: the journal lacks {name}; run again")
            (Path(folder) / name).write_bytes(recording.files[name])
        model = Model.load(Path(folder) / MODEL_FILE)
        return model, reference_filter(model, load_float_network(Path(folder) / NETWORK_FILE))


def _measurement(recording: Recording, model: Model, ekf: Ekf, progress: Progress) -> Measurement:
    about = recording.header["about"]
    name, covariance_every = about["target"], about.get("covariance_every", 1)
    rows: list[dict[str, Any]] = []
    for done, section in enumerate(recording.finished.values(), 1):
        trajectory = recorded_trajectory(section, model)
        session = recorded_session(name, section.exchanges, model, covariance_every=covariance_every)
        rows += compared(ekf, trajectory, live(session, trajectory))
        progress("replay", done, len(recording.finished), f"{name}, cell {trajectory.cell_id}")
    end = recording.end or {}
    return Measurement(
        table=pd.DataFrame(rows),
        identity=recorded_session(name, _last(recording, "hello"), model).hello(),
        status=recorded_session(name, _last(recording, "status"), model).status(),
        link=LinkStatistics(**end["link"]),
        remarks=end["remarks"],
    )


def _last(recording: Recording, name: str) -> Sequence[Exchange]:
    exchange = recording.last(name)
    if exchange is None:
        raise EishilError(f"the journal has no {name} exchange; run again")
    return [exchange]
