"""A recipe: one TOML file that says everything a run depends on.

`Recipe.load` is the only way in. Every mistake is told with the file, the key and what would be right.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from eishil.dataset.ageing_recipe import AgeingRecipe
from eishil.dataset.cell_recipe import CellRecipe, with_parameter_file
from eishil.dataset.recipe_types import (
    CelsiusRange,
    FractionRange,
    Frequencies,
    NotNegative,
    Positive,
    PositiveRange,
    Section,
)
from eishil.dataset.run_recipe import CommissioningRecipe, EvaluationRecipe
from eishil.dataset.simulation_recipe import SimulationRecipe, check_simulated
from eishil.errors import RecipeError
from eishil.validation import first_mistake

DATASET_SECTIONS = ("seed", "cell", "impedance", "ageing", "simulation", "population")


class ImpedanceRecipe(Section):
    """The points of every spectrum, rising."""

    frequency_Hz: Frequencies


class PopulationRecipe(Section):
    """Cells of one split: trajectories have `ageing.steps` spectra each, snapshots one, `simulated` cells as many as
    their life has.

    A `seed` of its own takes the place of the recipe's: test cells that a reserved seed draws have never been seen.
    """

    trajectories: Annotated[int, Field(ge=0, le=99_999)] = 0
    snapshots: Annotated[int, Field(ge=0, le=999_999)] = 0
    simulated: Annotated[int, Field(ge=0, le=99_999)] | None = None
    seed: Annotated[int, Field(ge=0)] | None = None
    soc: FractionRange
    temperature_degC: CelsiusRange


class PopulationsRecipe(Section):
    """The three splits. No cell is in two of them."""

    train: PopulationRecipe
    validation: PopulationRecipe
    test: PopulationRecipe

    def count(self, *kinds: str) -> int:
        """Cells of these kinds ("trajectories", "snapshots", "simulated") in all splits."""
        return sum(getattr(split, kind) or 0 for split in (self.train, self.validation, self.test) for kind in kinds)


class MeasurementRecipe(Section):
    """Noise that `measurement.measure` puts on clean spectra."""

    z_relative_std: NotNegative
    voltage_std_V: NotNegative
    temperature_std_K: NotNegative


class NetworkRecipe(Section):
    """Observation network, trained for `epochs` in batches of `batch`; the rate falls from `learning_rate` to 0.

    With `file`, an ONNX file beside the recipe, nothing is trained: see `eishil.network.onnx_import`.
    """

    hidden: Annotated[list[Annotated[int, Field(ge=1, le=64)]], Field(min_length=1, max_length=3)]
    frequency_Hz: Annotated[Frequencies, Field(max_length=16)]
    seed: Annotated[int, Field(ge=0)]
    epochs: Annotated[int, Field(ge=1)] = 200
    batch: Annotated[int, Field(ge=1)] = 512
    learning_rate: Positive = 0.02
    file: str | None = None


class FilterRecipe(Section):
    """Candidates that validation chooses from: every combination is replayed.

    `process` is "random_walk" (states are the modes), "level_velocity" (the modes' velocities are random walks) or
    "latent" (lives are a mean and some latent constants, as in the training population). `process_std_scale` multiplies
    the walk's standard deviation, or the prior's of the latents. The two last ones are expanded in `n_latents`, which
    may wander by `walk_std` over a life. `mismatch_std`, a noise floor, is in ln ohm.

    With `speed`, cells whose speed of ageing changes once, at any moment and by a factor drawn from that range, count
    as much as those of the population: in the process models, where every training path is used once more with such a
    change, and in the choice, where every validation cell is.

    `curvature` is whether the extended filter has second-order terms (docs/estimator.md). `context` is where the
    effects of errors of voltage and temperature come from: "network", its derivatives, or "linear", a straight line of
    the temperature that was fitted to them, and a variance.

    `outlier_probability`, `_patience` and `_probation` are those of `eishil.model.Gate`; a probability of 0 is no gate.
    """

    process: Annotated[list[Literal["random_walk", "level_velocity", "latent"]], Field(min_length=1)]
    process_std_scale: Annotated[list[Positive], Field(min_length=1)] = Field(default=[1.0])
    mismatch_std: Annotated[list[NotNegative], Field(min_length=1)] = Field(default=[0.0])
    n_latents: Annotated[list[Annotated[int, Field(ge=1, le=16)]], Field(min_length=1)] = Field(default=[12])
    walk_std: Annotated[list[NotNegative], Field(min_length=1)] = Field(default=[0.0])
    speed: PositiveRange | None = None
    curvature: Annotated[list[bool], Field(min_length=1)] = Field(default=[True])
    context: Literal["network", "linear"] = "network"
    outlier_probability: Annotated[float, Field(ge=0, lt=1)] = 1e-20
    outlier_patience: Annotated[int, Field(ge=1, le=255)] = 2
    outlier_probation: Annotated[int, Field(ge=1, le=255)] = 5


class Recipe(Section):
    """Everything a run depends on."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
    description: str
    seed: Annotated[int, Field(ge=0)]
    cell: CellRecipe
    impedance: ImpedanceRecipe
    ageing: AgeingRecipe | None = None
    simulation: SimulationRecipe | None = None
    population: PopulationsRecipe
    measurement: MeasurementRecipe
    network: NetworkRecipe
    filter: FilterRecipe
    evaluation: EvaluationRecipe | None = None
    commissioning: CommissioningRecipe | None = None

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        missing = sorted(set(self.network.frequency_Hz) - set(self.impedance.frequency_Hz))
        if missing:
            raise ValueError(f"network.frequency_Hz: {missing[0]:g} Hz is not one of impedance.frequency_Hz")
        snapshot, simulated = self.population.count("trajectories", "snapshots"), self.population.count("simulated")
        if snapshot and self.ageing is None:
            raise ValueError("ageing: this table is missing; trajectories and snapshots need it")
        if simulated:
            check_simulated(self.simulation, self.cell.model, beside_snapshots=snapshot > 0)
        if self.commissioning is not None:
            self.commissioning.check(ages=self.ageing is not None, evaluated=self.evaluation is not None)
        if self.ageing is not None:
            self.ageing.check_growth()
            self._check_cells_differ("trajectories", self.ageing.varies(), "ageing", "start, end, exponent or speed")
        if self.simulation is not None:
            remedy = "rates, temperature_degC or contact_resistance_mOhm"
            self._check_cells_differ("simulated", self.simulation.varies(), "simulation", remedy)
        return self

    def _check_cells_differ(self, kind: str, varies: bool, section: str, remedy: str) -> None:
        """A held-out cell that lives as a training cell does is no held-out cell."""
        splits = (self.population.train, self.population.validation, self.population.test)
        if sum((getattr(split, kind) or 0) > 0 for split in splits) > 1 and not self.cell.spread and not varies:
            raise ValueError(
                f"{section}: every cell would live the same life, so that held-out cells are known from training;"
                f" widen {remedy}"
            )

    def fresh_spectra(self) -> int:
        """How often every held-out cell is measured before it ages."""
        return self.commissioning.spectra if self.commissioning else 0

    def seed_of(self, split: str) -> int:
        """What draws the cells of a split."""
        seed: int | None = getattr(self.population, split).seed
        return self.seed if seed is None else seed

    def ageing_paths(self) -> AgeingRecipe:
        """The section `ageing`.

        Raises
        ------
        RecipeError
            It is missing: the recipe has simulated cells alone.
        """
        if self.ageing is None:
            raise RecipeError("ageing: this table is missing; trajectories and snapshots need it")
        return self.ageing

    def dataset_sha256(self) -> str:
        """SHA-256 of the sections that shape the data set: the others may change without making it again."""
        sections = json.dumps(self.dataset_sections(), sort_keys=True)
        return hashlib.sha256(sections.encode()).hexdigest()

    def dataset_sections(self) -> dict[str, Any]:
        """The sections that shape the data set; optional keys that are not given are left out."""
        return self.model_dump(mode="json", include=set(DATASET_SECTIONS), exclude_none=True)

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Read and check a recipe.

        Raises
        ------
        RecipeError
            The file is missing or malformed; the sentence names the file, the key and what would be right.
        """
        return cls._parse(path, with_parameter_file(path, _read_toml(path)))

    @classmethod
    def _parse(cls, path: Path, content: dict[str, Any]) -> Recipe:
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise RecipeError(f"{path}: {first_mistake(error)}") from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: there is no readable recipe ({error.strerror}); try datasets/recipes") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: this is not TOML: {error}") from None
