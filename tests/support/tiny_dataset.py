"""A recipe small enough to be run in a test, and its data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from eishil.dataset.factory import Options, generate
from eishil.dataset.recipe import Recipe
from eishil.dataset.tables import MANIFEST, SAMPLES, SPECTRA
from eishil.progress import silent

TINY = """
name = "tiny"
description = "a data set for tests"
seed = 7

[cell]
model = "SPM"
mesh = "pybamm"

[impedance]
frequency_Hz = [0.01, 1.0, 100.0]

[ageing]
steps = 4
cycles_per_step = 300.0
speed = [0.9, 1.1]
knee_probability = 0.5
knee_onset = [0.5, 0.8]
knee_gain = [0.1, 0.4]
lli = { start = [0.0, 0.01], end = [0.10, 0.22], exponent = [0.6, 1.1], box = [0.0, 0.3] }
lam_ne = { start = [0.0, 0.01], end = [0.03, 0.14], exponent = [0.8, 1.5], box = [0.0, 0.25] }
lam_pe = { start = [0.0, 0.01], end = [0.03, 0.18], exponent = [0.8, 1.5], box = [0.0, 0.3] }
sei_thickness_nm = { start = [4.0, 6.0], end = [20.0, 100.0], exponent = [0.6, 1.0], box = [3.0, 250.0] }
contact_resistance_mOhm = { start = [0.0, 0.3], end = [0.3, 3.0], exponent = [0.8, 1.5], box = [0.0, 5.0] }

[population]
train = { trajectories = 3, snapshots = 40, soc = [0.1, 0.9], temperature_degC = [10.0, 40.0] }
validation = { trajectories = 2, soc = [0.2, 0.8], temperature_degC = [15.0, 35.0] }
test = { trajectories = 2, soc = [0.2, 0.8], temperature_degC = [15.0, 35.0] }

[measurement]
z_relative_std = 0.003
voltage_std_V = 0.002
temperature_std_K = 0.5

[network]
hidden = [4]
frequency_Hz = [0.01, 1.0]
seed = 1

[filter]
process = ["random_walk"]
process_std_scale = [1.0]
mismatch_std = [0.01]
"""

# In place of the line with the knee's gain: modes that not every recipe has.
KNEE_GAIN = "knee_gain = [0.1, 0.4]"
FURTHER_MODES = f"""{KNEE_GAIN}
porosity_loss_ne = {{ start = [0.0, 0.01], end = [0.05, 0.1], exponent = [0.8, 1.2], box = [0.0, 0.2] }}
plated_share = {{ start = [0.0, 0.0], end = [0.1, 0.3], exponent = [1.0, 1.0], box = [0.0, 0.6] }}"""

WriteRecipe = Callable[..., Path]
FILES = (SAMPLES, SPECTRA, MANIFEST)


def make(recipe_path: Path, out_dir: Path, **options: Any) -> dict[str, Any]:
    return generate(Recipe.load(recipe_path), recipe_path, out_dir, Options(**{"chunk_samples": 16} | options), silent)


LEFT_BEHIND = (*FILES, "quality.json", "datacard.md")


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
