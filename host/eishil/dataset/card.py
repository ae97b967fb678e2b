"""The data card: what a data set is, in Markdown, from its manifest and its quality report."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eishil.dataset.schema import Column, column, spectra_columns
from eishil.files import write_atomic

CARD = "datacard.md"


def write_card(directory: Path, columns: Iterable[str], manifest: dict[str, Any], quality: dict[str, Any]) -> None:
    """Write `datacard.md`; `columns` are those of the samples."""
    frequency = manifest["frequency_Hz"]
    sections = [
        f"# {manifest['name']}\n\n{manifest['recipe']['description']}",
        _facts(manifest, quality),
        "## Splits\n\n" + _splits(manifest["counts"]),
        "## Quality\n\n" + _quality(quality),
        "## `samples.parquet`: one row per sample\n\n" + _columns({name: column(name) for name in columns}),
        f"## `spectra.parquet`: the same rows, lists of {len(frequency)} values\n\n"
        + _columns(dict(spectra_columns(len(frequency)))),
        "## Reading it\n\n    import eishil\n    dataset = eishil.open_dataset(FOLDER)\n"
        "    dataset.samples       # pandas, one row per sample\n"
        "    dataset.points()      # pandas, one row per spectrum and frequency\n"
        "    dataset.to_xarray()   # xarray, sample by frequency",
    ]
    write_atomic(directory / CARD, "\n\n".join(sections) + "\n")


def _facts(manifest: dict[str, Any], quality: dict[str, Any]) -> str:
    cell, frequency = manifest["recipe"]["cell"], manifest["frequency_Hz"]
    versions, precision = manifest["versions"], manifest.get("precision", "float64")
    return "\n".join(
        [
            f"- {quality['samples']:,} simulated samples of {cell['parameter_set']}, model {cell['model']}.",
            f"- {len(frequency)} frequencies from {frequency[0]:g} Hz to {frequency[-1]:g} Hz, no noise added.",
            "- The state of charge is of the present capacity, the state of health of the fresh cell's capacity.",
            f"- Seed {manifest['seed']}, recipe {manifest['recipe_sha256'][:16]}, impedances in {precision}; "
            f"PyBaMM {versions['pybamm']}, eishil {versions['eishil']}.",
            *(f"- Assumed, not in the parameter set: {name} = {value}."
              for name, value in manifest.get("assumed_parameters", {}).items()),
        ]
    )  # fmt: skip


def _splits(counts: dict[str, Any]) -> str:
    rows = [
        [split, f"{count['cells']:,}", f"{count['spectra']:,}", f"{count['masked']:,}",
         ", ".join(f"{reason} {n:,}" for reason, n in count["masked_by_reason"].items())]
        for split, count in counts.items()
    ]  # fmt: skip
    return "A cell is in one split.\n\n" + _table(["split", "cells", "samples", "masked", "reasons"], rows)


def _quality(quality: dict[str, Any]) -> str:
    leakage = {split: found for split, found in quality["leakage"].items() if isinstance(found, dict)}
    kk = quality["kramers_kronig"]
    lines = [
        f"- Samples of the same state: {quality['duplicate_samples']}; spectra of the same values: "
        f"{quality['duplicate_spectra']}; points that repeat their neighbour: {quality['repeated_spectrum_points']}.",
        "- Solved by: " + ", ".join(f"{name} {count:,}" for name, count in quality["backends"].items()) + ".",
        *(
            f"- Of {found['samples']:,} {split} samples {found['near_duplicates']} have a training sample within "
            f"{quality['leakage']['near']:g} of the range of every state; the nearest is at "
            f"{found['smallest_distance']:.3g}."
            for split, found in leakage.items()
        ),
        f"- Largest deviation from a linear Kramers-Kronig fit: {kk['largest']:.2%}."
        if kk["applies"]
        else "- The frequencies are too few or too narrow for a Kramers-Kronig test.",
        *(f"- `{name}` is null in {count:,} samples." for name, count in quality["missing_labels"].items() if count),
    ]
    return "\n".join(lines)


def _columns(columns: dict[str, Column | None]) -> str:
    rows = [[f"`{name}`", one.unit, one.meaning] for name, one in columns.items() if one is not None]
    return _table(["column", "unit", "meaning"], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
