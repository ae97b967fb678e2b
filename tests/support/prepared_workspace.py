"""A recipe whose data set and model are there and up to date, made in a second: for tests of what comes after.

The estimator is a random one and the held-out cells obey it (`simulated_cells`). The stamps are real: a stage that is
asked for finds its files up to date.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from eishil.dataset.schema import COLUMNS, TEXT
from eishil.network.onnx_files import write_float_network
from eishil.progress import silent
from eishil_bench import pipeline
from eishil_bench.pipeline import Workspace
from eishil_bench.runs.stimulus import HeldOutSpectrum, Trajectory
from eishil_bench.stamps import bring_up_to_date
from support.random_models import random_estimator
from support.simulated_cells import before_ageing, commissioned_cells, simulated_cells
from support.whole_dataset import write_dataset

FIRST_LIGHT = Path(__file__).resolve().parents[2] / "datasets" / "recipes" / "first_light.toml"
CELLS, STEPS = 4, 12


def prepared_workspace(folder: Path, *, seed: int = 5, mask_first: bool = False, fresh: int = 0) -> Workspace:
    """`folder`/recipe.toml and its files under `folder`/build; `mask_first` masks the first cell's first spectrum.

    With `fresh` the cells have constants of their own, offsets of ln Z, and so many spectra to be commissioned with.
    """
    model, network = random_estimator(np.random.default_rng(seed))
    frequency_Hz = sorted(model.frequency_Hz)
    recipe_path = folder / "recipe.toml"
    folder.mkdir(parents=True, exist_ok=True)
    recipe_path.write_text(_recipe(frequency_Hz, fresh))
    workspace = Workspace.open(recipe_path, folder / "build")
    cells = simulated_cells(model, network, cells=CELLS, steps=STEPS, seed=seed)
    if fresh:
        cells = commissioned_cells(model, network, cells, fresh, std=0.02)
    samples, z_ohm = _tables([(cell, cell.spectra) for cell in cells])
    samples.loc[0, "reason"] = "test" if mask_first else ""
    order = np.argsort(model.frequency_Hz)
    write_dataset(workspace.dataset, samples, np.array(frequency_Hz), z_ohm[:, order], {})
    if own := pipeline.fresh(workspace):
        samples, z_ohm = _tables([(cell, before_ageing(cell)) for cell in cells])
        write_dataset(own.dataset, samples, np.array(frequency_Hz), z_ohm[:, order], {})
    workspace.model.mkdir(parents=True)
    write_float_network(network, workspace.model / "network_float.onnx")
    (workspace.model / "model.json").write_text(model.to_json())
    for unused in ("training.json", "network_int8.onnx"):
        (workspace.model / unused).write_text("{}")
    for name in ("dataset", "train", "quantize", *([pipeline.FRESH] if fresh else [])):
        bring_up_to_date(replace(pipeline.stage(workspace, name), make=lambda progress: {}), silent, force=True)
    return workspace


def _recipe(frequency_Hz: list[float], fresh: int) -> str:
    text = re.sub(r"frequency_Hz = \[[^]]*\]", f"frequency_Hz = {frequency_Hz}", FIRST_LIGHT.read_text())
    text = re.sub(r"(z_relative_std|voltage_std_V|temperature_std_K) = \S+", r"\1 = 0.0", text)
    text = text.replace('name = "first_light"', 'name = "prepared"')
    return f"{text}\n[commissioning]\nspectra = {fresh}\n" if fresh else text


def _tables(cells: list[tuple[Trajectory, Sequence[HeldOutSpectrum]]]) -> tuple[pd.DataFrame, np.ndarray]:
    blank = {name: "" if one.kind == TEXT else 0.0 for name, one in COLUMNS.items() if not one.optional}
    rows, spectra = [], []
    for cell, lived in cells:
        for one in lived:
            known = {"sample_id": f"{cell.cell_id}-{one.step}", "cell_id": cell.cell_id, "split": "test"}
            known |= {
                "population": "trajectory",
                "step": one.step,
                "cycles": one.cycles,
                "soc": one.soc,
                "soh": one.soh,
            }
            measured = {"voltage_V": one.measured.voltage_V, "temperature_degC": one.measured.temperature_degC}
            rows.append(blank | known | measured)
            spectra.append(one.measured.z_ohm)
    return pd.DataFrame(rows), np.array(spectra)
