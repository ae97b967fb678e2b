"""The bench's limits: `limits.toml` names a figure of the results, its bounds, and why they are what they are."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from eishil.errors import RecipeError
from eishil.validation import first_mistake
from eishil_bench.runs.results import Check

LIMITS_PATH = Path(__file__).parents[2] / "limits.toml"


class Limit(BaseModel):
    """Bounds of one figure, inclusive."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_least: float | None = None
    at_most: float | None = None
    reason: str = Field(min_length=20)

    @model_validator(mode="after")
    def _bounded(self) -> Limit:
        if self.at_least is None and self.at_most is None:
            raise ValueError("needs at_least or at_most or both")
        return self

    def check(self, figure: str, value: float | None) -> Check:
        """A figure that is missing or not a number misses its limit."""
        above = value is not None and (self.at_least is None or value >= self.at_least)
        below = value is not None and (self.at_most is None or value <= self.at_most)
        bounds = {"at_least": self.at_least, "at_most": self.at_most}
        return Check(figure=figure, value=value, **bounds, reason=self.reason, passed=above and below)


def load_limits(path: Path = LIMITS_PATH) -> dict[str, Limit]:
    """Limits by figure; RecipeError names file, key and what would be right."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"{path}: there is no file of limits") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not a TOML file: {error}") from None
    return {figure: _limit(path, figure, entry) for figure, entry in document.items()}


def _limit(path: Path, figure: str, entry: object) -> Limit:
    try:
        return Limit.model_validate(entry)
    except ValidationError as error:
        raise RecipeError(f"{path}: {first_mistake(error, figure)}") from None


def check_all(figures: Mapping[str, Any], limits: Mapping[str, Limit]) -> list[Check]:
    """Hold every limit against its figure; RecipeError where a limit names a figure that does not exist."""
    unknown = sorted(limits.keys() - figures.keys())
    if unknown:
        raise RecipeError(f"limits.toml: {unknown[0]} is no figure of results.json")
    return [limit.check(figure, figures[figure]) for figure, limit in limits.items()]


def sentence(check: Check) -> str:
    """A missed limit in words."""
    bounds = [
        f"{word} {bound:g}"
        for word, bound in (("at least", check.at_least), ("at most", check.at_most))
        if bound is not None
    ]
    value = "missing" if check.value is None else f"{check.value:.5g}"
    return f"{check.figure} is {value} and should be {' and '.join(bounds)}: {check.reason}"
