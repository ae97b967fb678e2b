"""What the sections of a recipe are made of: strict tables, numbers within limits, ranges."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WrapValidator


class Section(BaseModel):
    """A table of a recipe: unknown keys and values of another type are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _interval(given: Any, validate: Callable[[Any], tuple[float, float]]) -> tuple[float, float]:
    if not isinstance(given, list | tuple) or len(given) != 2:
        raise ValueError(f"has to be two numbers, [lowest, highest], not {given!r}")
    low, high = validate(given)
    if low > high:
        raise ValueError(f"has to be [lowest, highest], not [{low:g}, {high:g}]")
    return low, high


def _rising(values: list[float]) -> list[float]:
    if any(a >= b for a, b in itertools.pairwise(values)):
        raise ValueError("has to rise from each frequency to the next")
    return values


Fraction = Annotated[float, Field(ge=0, le=1)]
Loss = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Celsius = Annotated[float, Field(ge=-60, le=100)]
Frequencies = Annotated[list[Positive], Field(min_length=1, strict=False), AfterValidator(_rising)]

# TOML has arrays, not tuples: these are lax about that and strict about what is in them.
FractionRange = Annotated[tuple[Fraction, Fraction], Field(strict=False), WrapValidator(_interval)]
LossRange = Annotated[tuple[Loss, Loss], Field(strict=False), WrapValidator(_interval)]
PositiveRange = Annotated[tuple[Positive, Positive], Field(strict=False), WrapValidator(_interval)]
NotNegativeRange = Annotated[tuple[NotNegative, NotNegative], Field(strict=False), WrapValidator(_interval)]
CelsiusRange = Annotated[tuple[Celsius, Celsius], Field(strict=False), WrapValidator(_interval)]
