"""The tiny recipe of conftest.py made into a data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from eishil.dataset.factory import Options, generate
from eishil.dataset.recipe import Recipe
from eishil.dataset.tables import MANIFEST, SAMPLES, SPECTRA
from eishil.progress import silent

WriteRecipe = Callable[..., Path]
FILES = (SAMPLES, SPECTRA, MANIFEST)


def make(recipe_path: Path, out_dir: Path, **options: Any) -> dict[str, Any]:
    return generate(Recipe.load(recipe_path), recipe_path, out_dir, Options(**{"chunk_samples": 16} | options), silent)


LEFT_BEHIND = (*FILES, "quality.json", "datacard.md")


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
