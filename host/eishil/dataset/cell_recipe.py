"""The section of a recipe that says what cell is simulated, on which mesh, and how cells differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_serializer, model_validator

from eishil.cell.constants import CONSTANTS, SPREAD_GROUPS
from eishil.cell.mesh import Mesh, mesh_of_accuracy
from eishil.dataset.recipe_types import Positive, Section
from eishil.errors import EishilError, RecipeError
from eishil.files import sha256_file


class SpreadRecipe(Section):
    """How a constant varies from cell to cell, as a factor on the parameter set's value.

    "normal": 1 + `std` n, "lognormal": exp(`std` n), where n is standard normal and within -3..3.
    """

    distribution: Literal["normal", "lognormal"] = "normal"
    std: Annotated[float, Field(ge=0, le=0.3)]


def _known_constants(given: dict[str, SpreadRecipe]) -> dict[str, SpreadRecipe]:
    groups = ", ".join(SPREAD_GROUPS)
    for name in given.keys() - {*CONSTANTS, *SPREAD_GROUPS}:
        raise ValueError(f"{name} cannot be spread; what can is {groups} or one of {', '.join(CONSTANTS)}")
    return given


class CellRecipe(Section):
    """Which PyBaMM cell and how it is discretised; see `eishil.cell.parameters`.

    A `parameter_set` that ends in .json is a file beside the recipe; loading adds its SHA-256, or compares it with one
    that is given. `spread` draws constants for every cell of `spread_splits`; `transport_and_kinetics` stands for a
    group of them, of which one that is named itself is an exception. Instead of a `mesh` a recipe may ask for an
    `accuracy`, the largest relative error of Z up to a frequency.
    """

    parameter_set: str = "Chen2020"
    parameter_set_sha256: str | None = None
    model: Literal["DFN", "SPMe", "SPM"] = "DFN"
    mesh: Literal["default", "pybamm"] = "default"
    accuracy: Annotated[float, Field(gt=0, lt=1)] | None = None
    accuracy_up_to_Hz: Positive | None = None
    spread: Annotated[dict[str, SpreadRecipe], AfterValidator(_known_constants)] | None = None
    spread_splits: Annotated[list[Literal["train", "validation", "test"]], Field(min_length=1)] | None = None

    @field_serializer("parameter_set")
    def _without_folder(self, parameter_set: str) -> str:
        return Path(parameter_set).name

    @model_validator(mode="after")
    def _check(self) -> CellRecipe:
        if (self.accuracy is None) != (self.accuracy_up_to_Hz is None):
            raise ValueError("accuracy and accuracy_up_to_Hz stand together: give both or a mesh")
        if self.accuracy is not None and "mesh" in self.model_fields_set:
            raise ValueError("mesh and accuracy contradict each other: give one of them")
        try:
            self.points()
        except EishilError as error:
            raise ValueError(str(error)) from None
        return self

    def points(self) -> str | Mesh:
        """The mesh: by its name, or the smallest one that is as accurate as the recipe asks for."""
        if self.accuracy is None or self.accuracy_up_to_Hz is None:
            return self.mesh
        return mesh_of_accuracy(self.model, self.accuracy, self.accuracy_up_to_Hz)

    def spreads(self) -> dict[str, SpreadRecipe]:
        """Constants that vary, groups resolved, in the order of `CONSTANTS`."""
        given = self.spread or {}
        grouped = {name: given[group] for group in SPREAD_GROUPS if group in given for name in SPREAD_GROUPS[group]}
        return {name: (grouped | given)[name] for name in CONSTANTS if name in grouped | given}


def with_parameter_file(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """The recipe with the place and the SHA-256 of its file of cell parameters, where it names one."""
    cell = content.get("cell")
    name = cell.get("parameter_set") if isinstance(cell, dict) else None
    if not isinstance(cell, dict) or not isinstance(name, str) or not name.endswith(".json"):
        return content
    file = path.parent / name
    try:
        digest = sha256_file(file)
    except OSError as error:
        raise RecipeError(f"{path}: cell.parameter_set: {file} cannot be read: {error.strerror}") from None
    if cell.get("parameter_set_sha256", digest) != digest:
        raise RecipeError(f"{path}: cell.parameter_set_sha256: {file} has {digest}; give that, or the file it was")
    return content | {"cell": cell | {"parameter_set": str(file), "parameter_set_sha256": digest}}
