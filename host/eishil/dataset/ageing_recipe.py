"""The section `ageing` of a recipe: what a cell loses over its life, as paths that are drawn."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from eishil.dataset.recipe_types import (
    Fraction,
    FractionRange,
    LossRange,
    NotNegativeRange,
    Positive,
    PositiveRange,
    Section,
)


class LossRecipe(Section):
    """How a fraction that is lost (of lithium, of active material) grows; see `AgeingRecipe`."""

    start: LossRange
    end: LossRange
    exponent: PositiveRange
    box: LossRange


class FilmRecipe(Section):
    """How the SEI thickens, in nm; its logarithm follows the path."""

    start: PositiveRange
    end: PositiveRange
    exponent: PositiveRange
    box: PositiveRange


class ContactRecipe(Section):
    """How the contact resistance grows, in mOhm."""

    start: NotNegativeRange
    end: NotNegativeRange
    exponent: PositiveRange
    box: NotNegativeRange


class AgeingRecipe(Section):
    """Ageing paths: a mode goes from `start` towards `end` as s(u), u = 0..1 over a life.

    s(u) = (speed u)^exponent, plus with probability `knee_probability` a knee: gain ((u - onset) / (1 - onset))^2 after
    its onset. Each number is drawn from its range, speed once for a cell and the others once for each of its modes.
    `box` is what snapshots fill evenly.

    `porosity_loss_ne` is the part of the negative electrode's pores that deposits fill, `plated_share` the part of the
    lost lithium that is plated: a label, because plated lithium acts on a spectrum by its loss alone.
    """

    steps: Annotated[int, Field(ge=2, le=99)]
    cycles_per_step: Positive
    speed: PositiveRange
    knee_probability: Fraction
    knee_onset: FractionRange
    knee_gain: NotNegativeRange
    lli: LossRecipe
    lam_ne: LossRecipe
    lam_pe: LossRecipe
    sei_thickness_nm: FilmRecipe
    contact_resistance_mOhm: ContactRecipe
    porosity_loss_ne: LossRecipe | None = None
    plated_share: LossRecipe | None = None

    def modes(self) -> dict[str, LossRecipe | FilmRecipe | ContactRecipe]:
        """What ages, by name."""
        always: dict[str, LossRecipe | FilmRecipe | ContactRecipe] = {
            "lli": self.lli,
            "lam_ne": self.lam_ne,
            "lam_pe": self.lam_pe,
            "sei_thickness_nm": self.sei_thickness_nm,
            "contact_resistance_mOhm": self.contact_resistance_mOhm,
        }
        return always | self.further_modes()

    def further_modes(self) -> dict[str, LossRecipe]:
        """Those that a recipe need not have, where it has them."""
        further = {"porosity_loss_ne": self.porosity_loss_ne, "plated_share": self.plated_share}
        return {name: mode for name, mode in further.items() if mode is not None}

    def check_growth(self) -> None:
        """ValueError where a cell could end a life healthier than it began."""
        for name, mode in self.modes().items():
            if mode.end[0] < mode.start[1]:
                raise ValueError(
                    f"ageing.{name}: a cell may end at {mode.end[0]:g} and start at {mode.start[1]:g}, but what is lost"
                    " does not come back; end has to begin where start ends, or above"
                )

    def varies(self) -> bool:
        """Whether two cells can live different lives."""
        ranges = [self.speed, *(r for mode in self.modes().values() for r in (mode.start, mode.end, mode.exponent))]
        return any(low < high for low, high in ranges) or 0 < self.knee_probability < 1
