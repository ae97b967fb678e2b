"""How much memory making a data set takes, and how it grows: the figures of docs/dataset.md.

python -m eishil.dataset.memory RECIPE [--samples 10000 40000]

The recipe's training snapshots are set to each number, its other cells left out; every size runs in a process of its
own with two workers. Peak resident memory is that of the process that owns the data set and of its largest worker.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from eishil.dataset.recipe import Recipe
from eishil.errors import EishilError

MIB = 2**10  # ru_maxrss is in KiB
MILLION = 1_000_000
WORKERS = 2


def measure(recipe_path: Path, samples: int) -> dict[str, float]:
    """Peak MiB of owner and largest worker, and seconds, for a data set of so many snapshots."""
    command = [sys.executable, "-m", "eishil.dataset.memory", str(recipe_path), "--one", str(samples)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise EishilError(f"{recipe_path}: {result.stderr.strip().splitlines()[-1]}")
    return {name: float(value) for name, value in json.loads(result.stdout).items()}


def _one(recipe_path: Path, samples: int) -> None:
    from eishil.dataset.factory import Options, generate
    from eishil.progress import silent

    recipe = Recipe.load(recipe_path)
    few = {"trajectories": 0, "simulated": None}
    train, others = few | {"snapshots": samples}, few | {"snapshots": 0}
    population = recipe.population.model_copy(
        update={
            split: getattr(recipe.population, split).model_copy(update=train if split == "train" else others)
            for split in ("train", "validation", "test")
        }
    )
    start_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        changed = recipe.model_copy(update={"population": population})
        generate(changed, recipe_path, Path(folder), Options(workers=WORKERS), silent)
        elapsed_s = time.monotonic() - start_s
    peaks = [resource.getrusage(who).ru_maxrss / MIB for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps({"owner_MiB": peaks[0], "worker_MiB": peaks[1], "elapsed_s": elapsed_s}))


def main() -> None:
    """Print a line for each size, and what the owner's growth comes to at a million."""
    parser = argparse.ArgumentParser(description="Peak memory of making data sets of different sizes.")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--samples", type=int, nargs=2, default=[10_000, 40_000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        _one(arguments.recipe, arguments.one)
        return
    found = []
    print("samples   owner_MiB  largest_worker_MiB  seconds")
    for samples in arguments.samples:
        peak = measure(arguments.recipe, samples)
        found.append(peak["owner_MiB"])
        print(
            f"{samples:8d}  {peak['owner_MiB']:9.0f}  {peak['worker_MiB']:18.0f}  {peak['elapsed_s']:7.0f}", flush=True
        )
    few, many = arguments.samples
    slope = (found[1] - found[0]) / (many - few)
    whole = found[1] + slope * (MILLION - many)
    print(f"owner: {1024 * slope:.3f} KiB a sample, so {whole:.0f} MiB at {MILLION} samples")


if __name__ == "__main__":
    main()
