"""Line and branch coverage of firmware/core under the tests of this folder; fails below the limits.

    python tests/core/coverage.py

Every model has its own build of the core. A line counts as covered when one build ran it; a branch when one build took
it, in builds where the line has as many branches: what the compiler folds away for one model is there for another.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from eishil.ccore import CORE, COVERAGE

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LINES_MIN, BRANCHES_MIN = 0.95, 0.90
# They do not call the core, or build it with options of their own.
EXCLUDED = {"test_core_cross.py", "test_core_sanitized.py", "test_core_kernels.py"}


def run_tests(folder: Path) -> None:
    tests = [str(path) for path in sorted(HERE.glob("test_core_*.py")) if path.name not in EXCLUDED]
    # -O1: every line of the source is still there, and no branch that the optimiser made up.
    environment = os.environ | {"EISHIL_CORE_OPTIONS": f"{COVERAGE} -O1", "EISHIL_CORE_CACHE": str(folder)}
    # One worker: two that compile the same model at the same time leave notes of one build and counts of the other.
    options = ["-q", "-p", "no:cacheprovider"]
    subprocess.run([sys.executable, "-m", "pytest", *options, *tests], env=environment, check=True)


def read_counts(folder: Path) -> dict[tuple[str, int], list[tuple[int, tuple[int, ...]]]]:
    """By file and line, of every build: how often it ran, and how often each of its branches was taken."""
    counts = defaultdict(list)
    for notes in sorted(folder.glob("*.gcno")):
        subprocess.run(["gcov", "--json-format", "--branch-probabilities", notes.name], cwd=folder, check=True,
                       capture_output=True)  # fmt: skip
        for report in folder.glob("*.gcov.json.gz"):
            for file in json.loads(gzip.decompress(report.read_bytes()))["files"]:
                path = (folder / file["file"]).resolve()
                if path.parent != CORE:
                    continue
                for line in file["lines"]:
                    branches = tuple(branch["count"] for branch in line["branches"])
                    counts[path.name, line["line_number"]].append((line["count"], branches))
            report.unlink()
    return counts


def covered(builds: list[tuple[int, tuple[int, ...]]]) -> tuple[bool, int, int]:
    """Whether a line ran; how many branches it has at most, and how many of them were taken."""
    most = max(len(branches) for _, branches in builds)
    taken = [sum(column) > 0 for column in zip(*(b for _, b in builds if len(b) == most), strict=True)]
    return any(count for count, _ in builds), most, sum(taken)


def main() -> int:
    folder = ROOT / "build" / "coverage"
    shutil.rmtree(folder, ignore_errors=True)
    run_tests(folder)
    counts = read_counts(folder)
    by_file: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for (name, number), builds in sorted(counts.items()):
        ran, branches, taken = covered(builds)
        for index, value in enumerate((1, ran, branches, taken)):
            by_file[name][index] += value
        if not ran or taken < branches:
            print(f"{name}:{number}: {f'{taken} of {branches} branches' if ran else 'never run'}")
    total = [sum(column) for column in zip(*by_file.values(), strict=True)]
    lines, branches = total[1] / total[0], total[3] / total[2]
    print(f"firmware/core: {lines:.1%} of {total[0]} lines, {branches:.1%} of {total[2]} branches")
    return int(lines < LINES_MIN or branches < BRANCHES_MIN)


if __name__ == "__main__":
    sys.exit(main())
