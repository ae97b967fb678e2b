"""The quality report of a data set: what is there twice, missing, masked, leaking, and how its space is filled.

It is made from the tables alone, row group by row group, and kept beside them as `quality.json`.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.spatial import KDTree

from eishil.cell.constants import SPREAD_PREFIX
from eishil.dataset import kramers_kronig
from eishil.dataset.design import MODES, SPLITS
from eishil.dataset.tables import SPECTRA, Dataset, open_pieces
from eishil.files import write_atomic

Floats = NDArray[np.float64]
QUALITY = "quality.json"
STATE = (*MODES, "soc", "temperature_degC")
LABELS = ("capacity_Ah", "soh", "lli", "lam_ne", "lam_pe", "plating_loss", "local_resistance_mOhm", "rul_cycles")
NEAR = 1e-3  # of the range of every state: a held-out state that near to a training state is the same to a network
SOC_EDGES = np.linspace(0.0, 1.0, 11)
TEMPERATURE_EDGES_degC = np.arange(-60.0, 101.0, 10.0)
BINS = 10


class _Audit:
    """What is kept of the pieces that have gone by."""

    def __init__(self, frequency_Hz: Floats) -> None:
        self.frequency_Hz = frequency_Hz
        self.states: list[Floats] = []
        self.splits: list[NDArray[Any]] = []
        self.hashes: list[NDArray[np.uint64]] = []
        self.missing: Counter[str] = Counter()
        self.masked: Counter[tuple[str, int, int]] = Counter()
        self.repeated_points = 0
        self.kramers_kronig: list[Floats] = []

    def add(self, piece: Dataset) -> None:
        samples = piece.samples
        spread = [name for name in samples if str(name).startswith(SPREAD_PREFIX)]
        self.states.append(samples[[*STATE, *spread]].to_numpy(float))
        self.splits.append(pd.Categorical(samples["split"], categories=SPLITS).codes.astype(np.int8))
        self.missing.update({name: int(samples[name].isna().sum()) for name in LABELS})
        solved = samples["reason"].to_numpy() == ""
        self._count_masked(samples[~solved])
        z = piece.z_ohm[solved]
        self.hashes.append(pd.util.hash_pandas_object(pd.DataFrame(z.view(float)), index=False).to_numpy())
        self.repeated_points += int((np.diff(z, axis=1) == 0).sum())
        if kramers_kronig.applies(self.frequency_Hz) and len(z):
            self.kramers_kronig.append(kramers_kronig.residual(z, self.frequency_Hz))

    def _count_masked(self, samples: pd.DataFrame) -> None:
        soc = _bin(samples["soc"].to_numpy(float), SOC_EDGES)
        temperature = _bin(samples["temperature_degC"].to_numpy(float), TEMPERATURE_EDGES_degC)
        self.masked.update(zip(samples["reason"], soc.tolist(), temperature.tolist(), strict=True))


def audit(directory: Path) -> dict[str, Any]:
    """Write `quality.json` for the data set in `directory`; give what it says."""
    found: _Audit | None = None
    for piece in open_pieces(directory):
        found = found or _Audit(piece.frequency_Hz)
        found.add(piece)
    assert found is not None, "a data set has rows"
    states, splits = np.concatenate(found.states), np.concatenate(found.splits)
    report = {
        "samples": len(states),
        "duplicate_samples": int(pd.DataFrame(states).dropna().duplicated().sum()),
        "duplicate_spectra": len(hashes := np.concatenate(found.hashes)) - len(np.unique(hashes)),
        "repeated_spectrum_points": found.repeated_points,
        "missing_labels": {name: found.missing[name] for name in LABELS},
        "backends": _backends(directory),
        "masked": _masked(found.masked),
        "leakage": _leakage(states, splits),
        "coverage": _coverage(states, splits),
        "kramers_kronig": _kramers_kronig(found),
    }
    write_atomic(directory / QUALITY, json.dumps(report, indent=1) + "\n")
    return report


def _bin(values: Floats, edges: Floats) -> NDArray[np.intp]:
    """Position of the bin; -1 where there is no value."""
    inside = np.clip(np.digitize(values, edges) - 1, 0, len(edges) - 2)
    return np.where(np.isnan(values), -1, inside)


def _backends(directory: Path) -> dict[str, int]:
    backend = pq.read_table(directory / SPECTRA, columns=["backend"])["backend"].to_pandas()
    return {str(name): int(count) for name, count in backend.fillna("none").value_counts().sort_index().items()}


def _masked(found: Counter[tuple[str, int, int]]) -> dict[str, Any]:
    """Reason -> counts (SOC bins, temperature bins); a sample without a state of charge is in no bin."""
    reasons = sorted({reason for reason, _, _ in found})
    counts = {reason: np.zeros((len(SOC_EDGES) - 1, len(TEMPERATURE_EDGES_degC) - 1), int) for reason in reasons}
    for (reason, soc, temperature), count in found.items():
        if soc >= 0 and temperature >= 0:
            counts[reason][soc, temperature] += count
    edges = {"soc_edges": SOC_EDGES.round(3).tolist(), "temperature_edges_degC": TEMPERATURE_EDGES_degC.tolist()}
    totals = {name: sum(count for (reason, _, _), count in found.items() if reason == name) for name in reasons}
    return edges | {"by_reason": totals, "counts": {reason: table.tolist() for reason, table in counts.items()}}


def _leakage(states: Floats, splits: NDArray[np.int8]) -> dict[str, Any]:
    """How near held-out states come to training states, every state scaled to its range in training."""
    training = states[(splits == 0) & np.isfinite(states).all(axis=1)]
    if not len(training):
        return {}
    low, width = training.min(axis=0), np.ptp(training, axis=0)
    scale = np.where(width > 0, width, 1.0)
    tree = KDTree((training - low) / scale)
    found = {}
    for code, split in enumerate(SPLITS[1:], start=1):
        held_out = states[(splits == code) & np.isfinite(states).all(axis=1)]
        if len(held_out):
            distance, _ = tree.query((held_out - low) / scale, p=np.inf)
            found[split] = {
                "samples": len(held_out),
                "near_duplicates": int((distance < NEAR).sum()),
                "smallest_distance": float(distance.min()),
                "median_distance": float(np.median(distance)),
            }
    return {"near": NEAR} | found


def _coverage(states: Floats, splits: NDArray[np.int8]) -> dict[str, Any]:
    """Range of every state, and how much of SOC x temperature has samples, in `BINS` bins each over the whole range."""
    report: dict[str, Any] = {}
    soc, temperature = (states[:, STATE.index(name)] for name in ("soc", "temperature_degC"))
    edges = [np.linspace(np.nanmin(v), np.nanmax(v) + 1e-9, BINS + 1) for v in (soc, temperature)]
    for code, split in enumerate(SPLITS):
        rows = states[splits == code]
        if len(rows):
            ranges = {
                name: [float(np.nanmin(rows[:, k])), float(np.nanmax(rows[:, k]))] for k, name in enumerate(STATE)
            }
            filled, _, _ = np.histogram2d(soc[splits == code], temperature[splits == code], edges)
            report[split] = {"ranges": ranges, "soc_temperature_bins_filled": float((filled > 0).mean())}
    return report


def _kramers_kronig(found: _Audit) -> dict[str, Any]:
    if not found.kramers_kronig:
        return {"applies": False}
    residual = np.concatenate(found.kramers_kronig)
    return {"applies": True, "largest": float(residual.max()), "median": float(np.median(residual))}
