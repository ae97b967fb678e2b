"""Which models have scored the test cells of a reserved seed.

Test cells that a recipe draws with a seed of their own (`population.test.seed`) tell what an estimator can do as long
as nothing was chosen on them. Nobody can be kept from looking twice, but it can be said: whoever scores such cells is
entered in `<recipe>.scored.json` beside the recipe, a file to be committed, and every later model's results name the
earlier ones.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from eishil.errors import RecipeError
from eishil.files import write_atomic
from eishil.validation import first_mistake
from eishil_bench.pipeline import Workspace


class Scored(BaseModel):
    """A model (`model_id` in hex) that a command scored on the cells of `seed`, and on which day it did so first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int
    model_id: str
    day: date
    command: str


class Ledger(RootModel[list[Scored]]):
    """The file, in the order of entry."""


def ledger_path(recipe_path: Path) -> Path:
    """Where the entries of a recipe are."""
    return recipe_path.with_suffix(".scored.json")


def load(recipe_path: Path) -> list[Scored]:
    """Every entry; RecipeError where the file is malformed."""
    path = ledger_path(recipe_path)
    if not path.is_file():
        return []
    try:
        return Ledger.model_validate_json(path.read_bytes()).root
    except ValidationError as error:
        raise RecipeError(f"{path}: {first_mistake(error)}; take it from version control again") from None


def enter(workspace: Workspace, model_id: bytes, command: str) -> None:
    """Put down that `command` scores a model on the recipe's test cells: once, and for reserved seeds only."""
    seed, entries = workspace.recipe.population.test.seed, load(workspace.recipe_path)
    if seed is None or any((one.seed, one.model_id) == (seed, model_id.hex()) for one in entries):
        return
    today = datetime.now(UTC).date()
    entries.append(Scored(seed=seed, model_id=model_id.hex(), day=today, command=command))
    write_atomic(ledger_path(workspace.recipe_path), Ledger(entries).model_dump_json(indent=1) + "\n")


def earlier(workspace: Workspace, model_id: bytes) -> list[Scored]:
    """Other models that had scored the recipe's test cells before this one, or at all where it has not yet."""
    seed = workspace.recipe.population.test.seed
    entries = [one for one in load(workspace.recipe_path) if one.seed == seed]
    own = [position for position, one in enumerate(entries) if one.model_id == model_id.hex()]
    return entries[: own[0]] if own else entries
