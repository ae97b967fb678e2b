"""`eishil dataset inspect`: what is in a data set, as tables and plots. It reads the tables and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eishil.dataset.audit import audit
from eishil.dataset.design import SPLITS
from eishil.dataset.feature_table import FEATURES, columns, read_features
from eishil.dataset.schema import Column, column, spectra_columns
from eishil.dataset.tables import SAMPLES, SPECTRA, Dataset
from eishil_bench.report.study import Rows, Section, tell_study, write_study
from eishil_bench.studies import inspect_plots as plots

PAGE = "inspect.html"


def command(directory: Path) -> None:
    """Print the summary, write the page into the data set's folder."""
    dataset = Dataset.open(directory)
    lead = _lead(dataset)
    parts = sections(dataset, audit(directory), read_features(directory))
    path = directory / PAGE
    write_study(path, f"Data set {dataset.manifest.get('name', directory.name)}", lead, parts)
    tell_study(lead, [part for part in parts if part.title in ("Splits", "Quality", "Masked")], path)


def sections(dataset: Dataset, quality: Mapping[str, Any], features: pd.DataFrame | None) -> list[Section]:
    """The page's sections in their order."""
    soc_nyquist, soc_bode = plots.spectra(dataset, "soc", "SOC {:.2f}")
    temperature_nyquist, temperature_bode = plots.spectra(dataset, "temperature_degC", "{:.1f} °C")
    return [
        Section("Splits", "A cell is in one split.", _splits(dataset.samples)),
        quality_sections(quality)[0],
        Section("Nyquist plots over state of charge", plots=soc_nyquist),
        Section("Bode plots over state of charge", plots=soc_bode),
        Section("Nyquist plots over temperature", plots=temperature_nyquist),
        Section("Bode plots over temperature", plots=temperature_bode),
        Section("Labels over life", plots=plots.labels(dataset.samples)),
        Section("Coverage of the state space", plots=plots.coverage(dataset.samples)),
        quality_sections(quality)[1],
        Section("Features", _features_text(features), _feature_counts(features)),
        Section(f"Columns of {SAMPLES}", table=_columns({str(name): column(str(name)) for name in dataset.samples})),
        Section(f"Columns of {SPECTRA}", table=_columns(dict(spectra_columns(len(dataset.frequency_Hz))))),
        Section(
            f"Columns of {FEATURES}",
            "Derived data in a file of its own; `eishil dataset features` makes it.",
            _columns(dict(columns(n_rc=2))),
        ),
    ]


def quality_sections(quality: Mapping[str, Any]) -> list[Section]:
    """What `quality.json` says, and what is masked."""
    return [
        Section("Quality", table=_quality(quality), remark=_near(quality)),
        Section("Masked", table=_masked(quality), plots=plots.masked(quality["masked"])),
    ]


def _lead(dataset: Dataset) -> str:
    frequency, cells = dataset.frequency_Hz, dataset.samples["cell_id"].nunique()
    masked = int((dataset.samples["reason"] != "").sum())
    return (
        f"{len(dataset):,} samples of {cells:,} cells, {len(frequency)} frequencies from {frequency[0]:g} to "
        f"{frequency[-1]:g} Hz; {masked:,} spectra are masked. Labels come from "
        f"{' and '.join(sorted(dataset.samples['label_source'].unique()))}."
    )


def _splits(samples: pd.DataFrame) -> Rows:
    def span(values: pd.Series[Any], form: str) -> str:
        return f"{values.min():{form}}..{values.max():{form}}" if values.notna().any() else ""

    rows = [
        [
            split,
            f"{part['cell_id'].nunique():,}",
            f"{len(part):,}",
            f"{(part['reason'] != '').sum():,}",
            span(part["soh"], ".2f"),
            span(part["soc"], ".2f"),
            span(part["temperature_degC"], ".0f"),
        ]
        for split in SPLITS
        if len(part := samples[samples["split"] == split])
    ]
    return Rows(["split", "cells", "samples", "masked", "SOH", "SOC", "°C"], rows)


def _quality(quality: Mapping[str, Any]) -> Rows:
    kk = quality["kramers_kronig"]
    rows = [
        ["samples of the same state", f"{quality['duplicate_samples']:,}"],
        ["spectra of the same values", f"{quality['duplicate_spectra']:,}"],
        ["points that repeat their neighbour", f"{quality['repeated_spectrum_points']:,}"],
        *(
            [f"{split} samples next to a training sample", f"{found['near_duplicates']:,} of {found['samples']:,}"]
            for split, found in quality["leakage"].items()
            if isinstance(found, dict)
        ),
        *([f"solved by: {name}", f"{count:,}"] for name, count in quality["backends"].items()),
        ["largest Kramers-Kronig residual", f"{kk['largest']:.2%}" if kk["applies"] else "does not apply"],
        *([f"{name} missing", f"{count:,}"] for name, count in quality["missing_labels"].items() if count),
    ]
    return Rows(["what", "found"], rows)


def _near(quality: Mapping[str, Any]) -> str:
    near = quality["leakage"].get("near")
    return f"Next to: every state within {near:g} of its range in training." if near else ""


def _masked(quality: Mapping[str, Any]) -> Rows:
    rows = [[reason, f"{count:,}"] for reason, count in quality["masked"]["by_reason"].items()]
    return Rows(["reason", "samples"], rows or [["none", "0"]])


def _columns(described: Mapping[str, Column | None]) -> Rows:
    rows = [[name, one.unit, one.meaning] for name, one in described.items() if one is not None]
    return Rows(["column", "unit", "meaning"], rows, figures=False)


def _features_text(features: pd.DataFrame | None) -> str:
    if features is None:
        return f"There is no {FEATURES} of these spectra; `eishil dataset features FOLDER` makes it."
    return "What the flags of the features say, and the median of those that are good."


def _feature_counts(features: pd.DataFrame | None) -> Rows | None:
    if features is None:
        return None
    rows = []
    for flag in [name for name in features if str(name).endswith("_quality")]:
        counts = features[flag].value_counts()
        rows.append([str(flag), ", ".join(f"{name} {count:,}" for name, count in counts.items())])
    numbers = [name for name in features.columns if features[name].dtype == np.float64]
    rows += [[str(name), f"{features[name].median():.4g}"] for name in numbers]
    return Rows(["feature", "found"], rows, figures=False)
