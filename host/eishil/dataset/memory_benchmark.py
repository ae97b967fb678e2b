"""How much memory a data set of many samples takes: `eishil bench impedance` asks at two sizes and extrapolates.

`python -m eishil.dataset.memory_benchmark RECIPE OUT` makes one data set and prints what it took.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from eishil.dataset.factory import Options, generate
from eishil.dataset.recipe import Recipe
from eishil.errors import ToolError
from eishil.progress import silent

SAMPLES = (40_000, 120_000)  # both with compiled functions, as a million has
DEADLINE_S = 1800.0
RECIPE = """
name = "memory"
description = "snapshots of SPM"
seed = 1
[cell]
model = "SPM"
accuracy = 0.02
accuracy_up_to_Hz = 1000.0
[impedance]
frequency_Hz = [
    0.01, 0.0147, 0.0215, 0.0316, 0.0464, 0.1, 0.316, 1.0, 3.16,
    4.64, 6.81, 10.0, 21.5, 31.6, 46.4, 100.0, 316.0, 1000.0,
]
[ageing]
steps = 2
cycles_per_step = 1.0
speed = [1.0, 1.0]
knee_probability = 0.0
knee_onset = [0.5, 0.5]
knee_gain = [0.0, 0.0]
lli = { start = [0.0, 0.0], end = [0.1, 0.1], exponent = [1.0, 1.0], box = [0.05, 0.3] }
lam_ne = { start = [0.0, 0.0], end = [0.1, 0.1], exponent = [1.0, 1.0], box = [0.0, 0.1] }
lam_pe = { start = [0.0, 0.0], end = [0.1, 0.1], exponent = [1.0, 1.0], box = [0.0, 0.2] }
sei_thickness_nm = { start = [5.0, 5.0], end = [9.0, 9.0], exponent = [1.0, 1.0], box = [3.0, 250.0] }
contact_resistance_mOhm = { start = [0.0, 0.0], end = [1.0, 1.0], exponent = [1.0, 1.0], box = [0.0, 5.0] }
[population]
train = { snapshots = SAMPLES, soc = [0.1, 0.9], temperature_degC = [10.0, 40.0] }
validation = { soc = [0.2, 0.8], temperature_degC = [15.0, 35.0] }
test = { soc = [0.2, 0.8], temperature_degC = [15.0, 35.0] }
[measurement]
z_relative_std = 0.003
voltage_std_V = 0.002
temperature_std_K = 0.5
[network]
hidden = [4]
frequency_Hz = [0.01]
seed = 1
[filter]
process = ["random_walk"]
process_std_scale = [1.0]
mismatch_std = [0.01]
"""


def peak_memory(samples: tuple[int, int] = SAMPLES) -> dict[str, Any]:
    """Peak resident set in MB, of the process and its largest worker together, at two sizes.

    `million_samples_MB` is on the line through them.
    """
    with tempfile.TemporaryDirectory() as folder:
        peaks = [_peak_MB(Path(folder), count) for count in samples]
    slope = (peaks[1] - peaks[0]) / (samples[1] - samples[0])
    return {"samples": list(samples), "peak_MB": peaks, "million_samples_MB": peaks[0] + slope * (1e6 - samples[0])}


def _peak_MB(folder: Path, samples: int) -> float:
    recipe = folder / f"{samples}.toml"
    recipe.write_text(RECIPE.replace("SAMPLES", str(samples)), encoding="utf-8")
    command = [sys.executable, "-m", "eishil.dataset.memory_benchmark", str(recipe), str(folder / str(samples))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S)
    if ended.returncode:
        raise ToolError(f"the data set of {samples} samples failed: {ended.stderr.strip()[-300:]}")
    return float(ended.stdout.split()[-1])


def main() -> None:
    """Make a data set in one worker; print the peak in MB."""
    recipe, out_dir = (Path(argument) for argument in sys.argv[1:3])
    generate(Recipe.load(recipe), recipe, out_dir, Options(workers=1), silent)
    kB = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(kB / 1e3)


if __name__ == "__main__":
    main()
