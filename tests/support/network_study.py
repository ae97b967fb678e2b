"""A study of networks that takes seconds: the cells of `circuit_dataset`, few cases, small ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eishil.network.quantize import quantize
from eishil.network.train import train
from eishil.network_study import baselines, cases
from eishil.progress import silent
from eishil_bench.pipeline import Workspace
from support.circuit_dataset import FREQUENCY_HZ, write_circuit_dataset

FIRST_LIGHT = Path(__file__).resolve().parents[2] / "datasets" / "recipes" / "first_light.toml"
SMALL = {
    "DEGREES": (1, 3),
    "GAUSSIAN_PROCESS_POINTS": 80,
    "TEACHER_HIDDEN": (12, 12),
    "SIZES": ((4, 4), (10, 10)),
    "TEACHERS": 1,
    "SEEDS": 2,
    "POINTS_PER_SPECTRUM": 1,
}


def small_study(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Data set and model of a recipe; the study's cases are cut down for as long as the patch lasts."""
    for name, value in SMALL.items():
        monkeypatch.setattr(cases, name, value)
    monkeypatch.setattr(baselines, "HYPERPARAMETER_POINTS", 40)
    text = re.sub(r"frequency_Hz = \[[^]]*\]", f"frequency_Hz = {FREQUENCY_HZ.tolist()}", FIRST_LIGHT.read_text())
    for key, value in (("hidden", "[10, 10]"), ("epochs", "30"), ("batch", "64"), ("process", '["random_walk"]')):
        text = re.sub(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
    path = folder / "recipe.toml"
    path.write_text(text, "utf-8")
    workspace = Workspace.open(path, folder / "build")
    write_circuit_dataset(workspace.dataset)
    train(workspace.recipe, workspace.dataset, workspace.model, silent)
    quantize(workspace.recipe, workspace.dataset, workspace.model, silent)
    return workspace
