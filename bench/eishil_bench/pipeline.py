"""The stages of a recipe: what each reads and writes (the table in docs/design.md) and what it depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import cpu_count
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

import eishil
from eishil.errors import EishilError, RecipeError
from eishil.files import sha256_file
from eishil.progress import Progress
from eishil.versions import versions
from eishil_bench.stamps import Stage

if TYPE_CHECKING:
    from eishil.dataset.recipe import Recipe


# Libraries whose version decides a stage's figures or the bytes of its files.
DATASET_LIBRARIES = ("pybamm", "casadi", "numpy", "scipy", "pyarrow")
TRAIN_LIBRARIES = ("scikit-learn", "numpy", "scipy", "threadpoolctl", "onnx")
QUANTIZE_LIBRARIES = ("scikit-learn", "numpy", "scipy", "onnx")
STAGES = ("dataset", "train", "quantize", "generate")
FRESH = "fresh"  # of recipes that commission their cells
EVALUATE = "evaluate"  # of recipes with a section for it; nothing but results.json reads it
DEFAULT_BUILD_ROOT = Path("build")
NEEDED_TRAJECTORIES = (
    ("train", 2, "show how cells age"),
    ("validation", 1, "choose the process model"),
    ("test", 1, "are what targets are run on"),
)
# The recipe's values are hashed; how they are parsed and what is made of finished tables do not touch these.
ASIDE = tuple(
    f"dataset/{name}.py"
    for name in ("recipe", "recipe_types", "simulation_recipe", "run_recipe", "variants", "measurement", "sample",
                 "audit", "card", "export", "features", "circuits", "feature_table", "memory_benchmark",
                 "impedance_benchmark")
)  # fmt: skip
NO_OPTIONS: Mapping[str, Any] = {}
SOURCES = Path(eishil.__file__).parent


@dataclass(frozen=True)
class Workspace:
    """Where one recipe's files lie: `root` is `<build root>/<recipe name>`."""

    recipe: Recipe
    recipe_path: Path
    root: Path

    @classmethod
    def open(cls, recipe_path: Path, build_root: Path) -> Workspace:
        """Read the recipe; RecipeError where it is malformed."""
        from eishil.dataset.recipe import Recipe

        recipe = Recipe.load(recipe_path)
        return cls(recipe, recipe_path, build_root / recipe.name)

    @property
    def dataset(self) -> Path:
        return self.root / "dataset"

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def generated(self) -> Path:
        return self.root / "generated"

    @property
    def results(self) -> Path:
        return self.root / "results.json"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def evaluation(self) -> Path:
        return self.root / "evaluation" / "evaluation.json"

    def firmware(self, env: str) -> Path:
        return self.root / "firmware" / env

    @property
    def targets(self) -> Path:
        """Names of the last run's targets."""
        return self.root / "targets.json"

    def run_table(self, target: str) -> Path:
        return self.root / target / "run.parquet"

    def journal(self, target: str) -> Path:
        return self.root / target / "journal.bin"

    def target_results(self, target: str) -> Path:
        return self.root / target / "results.json"

    def target_report(self, target: str) -> Path:
        return self.root / target / "report.html"

    def command(self, stage: str) -> str:
        """The command that makes a stage of this recipe in this folder."""
        elsewhere = "" if self.root.parent == DEFAULT_BUILD_ROOT else f" --out {quote(str(self.root.parent))}"
        return f"eishil {stage} {quote(str(self.recipe_path))}{elsewhere}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands out of this folder; EishilError at once where one is at work."""
        self.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise EishilError(
                f"{self.root}: another eishil command is at work in this folder; wait for it or choose another --out"
            ) from None
        try:
            yield
        finally:
            lock.release()


def fresh(workspace: Workspace) -> Workspace | None:
    """The same held-out cells before they age, in a folder of their own; None where they are not commissioned."""
    from eishil.dataset.variants import fresh_cells

    spectra = workspace.recipe.fresh_spectra()
    if not spectra:
        return None
    return Workspace(fresh_cells(workspace.recipe, spectra), workspace.recipe_path, workspace.root / "fresh")


def require_cells(workspace: Workspace) -> None:
    """RecipeError where a population lacks the trajectories that a later stage needs of it."""
    populations = workspace.recipe.population
    for split, least, purpose in NEEDED_TRAJECTORIES:
        found = getattr(populations, split).trajectories
        if found < least:
            raise RecipeError(
                f"{workspace.recipe_path}: population.{split}.trajectories: {least} or more {purpose}, not {found}"
            )


def stage(workspace: Workspace, name: str, workers: int = 1, making: Mapping[str, Any] = NO_OPTIONS) -> Stage:
    """A stage by its name; `making` are options of `eishil.dataset.factory.Options`."""
    if name == "dataset":
        return _dataset(workspace, workers, making)
    if name == FRESH and (own := fresh(workspace)):
        return replace(_dataset(own, workers, making), name=FRESH)
    if name == EVALUATE:
        return _evaluate(workspace, workers)
    return {"train": _train, "quantize": _quantize, "generate": _generate}[name](workspace)


def _dataset(workspace: Workspace, workers: int, making: Mapping[str, Any]) -> Stage:
    from eishil.dataset.recipe import DATASET_SECTIONS

    def make(progress: Progress) -> Mapping[str, Any]:
        from eishil.dataset.factory import Options, generate

        options = Options(workers=workers or cpu_count() or 1, **making)
        return generate(workspace.recipe, workspace.recipe_path, workspace.dataset, options, progress)

    sections = _sections(workspace.recipe, *DATASET_SECTIONS)
    code = _code("cell/*.py", "cell/*.[ch]", "cell/*.csv", "dataset/*.py", but=ASIDE)
    if making.get("precision", "float64") != "float64":
        sections |= {"precision": making["precision"]}
    outputs = (*_tables(workspace), workspace.dataset / "manifest.json")
    return Stage("dataset", workspace.root, {}, outputs, sections | code | _versions(*DATASET_LIBRARIES), make)


def _train(workspace: Workspace) -> Stage:
    file = workspace.recipe.network.file
    imported = None if file is None else workspace.recipe_path.parent / file

    def make(progress: Progress) -> Mapping[str, Any]:
        from eishil.network.train import train

        return train(workspace.recipe, workspace.dataset, workspace.model, progress, imported)

    depends = _sections(workspace.recipe, "seed", "network") | _code("network/*.py", but=("network/quantize.py",))
    if imported is not None and imported.is_file():
        depends |= {"network.file": sha256_file(imported)}
    inputs = dict.fromkeys(_tables(workspace), workspace.command("dataset"))
    return Stage("train", workspace.root, inputs, _network(workspace), depends | _versions(*TRAIN_LIBRARIES), make)


def _quantize(workspace: Workspace) -> Stage:
    def make(progress: Progress) -> Mapping[str, Any]:
        from eishil.network.quantize import quantize

        return quantize(workspace.recipe, workspace.dataset, workspace.model, progress)

    inputs = dict.fromkeys(_tables(workspace), workspace.command("dataset"))
    inputs |= dict.fromkeys(_network(workspace), workspace.command("train"))
    outputs = (workspace.model / "network_int8.onnx", workspace.model / "model.json")
    depends = _sections(workspace.recipe, "name", "description", "seed", "network", "filter", "measurement")
    depends |= _code("network/*.py", "filters/*.py", "model*.py", "dataset/measurement.py")
    return Stage("quantize", workspace.root, inputs, outputs, depends | _versions(*QUANTIZE_LIBRARIES), make)


def _evaluate(workspace: Workspace, workers: int) -> Stage:
    def make(progress: Progress) -> Mapping[str, Any]:
        from eishil.evaluation import evaluate
        from eishil.model import Model

        model = Model.load(workspace.model / "model.json")
        return evaluate(workspace.recipe, workspace.dataset, model, workspace.evaluation.parent, workers, progress)

    inputs = dict.fromkeys(_tables(workspace), workspace.command("dataset"))
    inputs |= {workspace.model / "model.json": workspace.command("quantize")}
    depends = _sections(workspace.recipe, "seed", "ageing", "network", "measurement", "evaluation")
    depends |= _code("evaluation.py", "network/*.py", "filters/*.py", "identify/*.py", "model*.py")
    depends |= _versions(*DATASET_LIBRARIES, *QUANTIZE_LIBRARIES)
    return Stage(EVALUATE, workspace.root, inputs, (workspace.evaluation,), depends, make)


def _generate(workspace: Workspace) -> Stage:
    def make(progress: Progress) -> Mapping[str, Any]:
        from eishil.codegen import generate
        from eishil.model import Model

        files = generate(Model.load(workspace.model / "model.json"), workspace.generated)
        progress("generate", 1, 1)
        return {"files": len(files)}

    inputs = {workspace.model / "model.json": workspace.command("quantize")}
    outputs = tuple(workspace.generated / name for name in ("wire.h", "model_size.h", "model.c"))
    return Stage(
        "generate", workspace.root, inputs, outputs, _code("codegen*.py", "c_literals.py", "wire.py", "model*.py"), make
    )


def _tables(workspace: Workspace) -> tuple[Path, ...]:
    return tuple(workspace.dataset / name for name in ("samples.parquet", "spectra.parquet"))


def _network(workspace: Workspace) -> tuple[Path, ...]:
    return tuple(workspace.model / name for name in ("network_float.onnx", "training.json"))


def _sections(recipe: Recipe, *names: str) -> dict[str, str]:
    values = recipe.model_dump(mode="json", include=set(names), exclude_none=True)
    return {f"recipe [{name}]": _hash(json.dumps(value, sort_keys=True)) for name, value in values.items()}


def _code(*patterns: str, but: tuple[str, ...] = ()) -> dict[str, str]:
    paths = {path.relative_to(SOURCES).as_posix(): path for pattern in patterns for path in SOURCES.glob(pattern)}
    lines = [f"{name} {sha256_file(path)}" for name, path in sorted(paths.items()) if name not in but]
    return {"code": _hash("\n".join(lines))}


def _versions(*packages: str) -> dict[str, str]:
    return {name: found for name, found in versions(packages).items() if name in packages}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
